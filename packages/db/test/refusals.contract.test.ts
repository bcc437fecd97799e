/** Arguments and directories that are refused before anything happens. */
import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { expectCode, keep, memoryPlace, SMALL } from './harness.js'

describe('refused before anything happens', () => {
  it.each<[string, unknown]>([
    ['no object', 7],
    ['gc.minSpaceAmp over gc.maxSpaceAmp', { gc: { minSpaceAmp: 2, maxSpaceAmp: 1.5 } }],
    ['gc.minSpaceAmp of 1', { gc: { minSpaceAmp: 1 } }],
    ['gc.bytesPerSecond of 0', { gc: { bytesPerSecond: 0 } }],
  ])('options: %s', async (_, options) => {
    const fs = new MemoryFileSystem()
    await expectCode(() => DB.open('/db', (typeof options === 'object' ? { ...options, fs } : options) as never), 'WK_INVALID_ARGUMENT')
    expect(await fs.list('/')).toEqual([])
  })

  it('a value of more than 1 GiB, a dry run that is no boolean, a high-water mark of 0', async () => {
    const db = await memoryPlace().open()
    // Pages that nobody touches take no memory.
    await expectCode(() => db.put('k', new Uint8Array(2 ** 30 + 1)), 'WK_INVALID_ARGUMENT')
    await expectCode(() => db.gc({ dryRun: 1 as never }), 'WK_INVALID_ARGUMENT')
    expect(() => db.iterator({ highWaterMarkBytes: 0 })).toThrow('highWaterMarkBytes')
    expect(await db.get('k')).toBe(undefined)
  })

  it('a collection of a database that was opened read-only', async () => {
    const fs = new MemoryFileSystem()
    await (await DB.open('/db', { ...SMALL, fs })).close()
    const db = keep(await DB.open('/db', { ...SMALL, fs, readOnly: true }))
    await expectCode(() => db.gc(), 'WK_READ_ONLY')
    await expectCode(() => db.runValueLogGC(0.5), 'WK_READ_ONLY')
  })

  it('a directory that holds files of others, and none of ours: it keeps them', async () => {
    const fs = new MemoryFileSystem()
    await fs.mkdir('/home')
    const file = await fs.open('/home/thesis.txt', 'create')
    await file.close()
    await expectCode(() => DB.open('/home', { ...SMALL, fs }), 'WK_INVALID_ARGUMENT')
    expect(await fs.list('/home')).toEqual(['thesis.txt'])
  })
})
