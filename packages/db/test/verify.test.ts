/** Law 8 as `verify()` sees it: live bytes are counted again, and accounts that are wrong anywhere are told. */
import { MemoryFileSystem, readFullySync, writeFullySync } from '@wk/fs'
import { LsmTree } from '@wk/lsm'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { DB } from '../src/index.js'
import { large, type Options } from './harness.js'

const OPTIONS: Options = { valueThreshold: 64, memTableSize: 64 * 1024, valueLogFileSize: 4096, tableSize: 4096, gc: { auto: false } }

/** Values in tables of two levels and in the memtable, with older versions and tombstones among them. */
async function filled(): Promise<DB> {
  const db = await DB.open('/db', { ...OPTIONS, fs: new MemoryFileSystem() })
  for (let i = 0; i < 30; i++) await db.put(`k${i % 20}`, large(200 + i, i))
  await db.flush()
  await db.compact()
  for (let i = 0; i < 10; i++) await db.put(`k${i}`, large(300 + i, i))
  await db.flush()
  for (let i = 5; i < 15; i++) await db.put(`k${i}`, large(400 + i, i))
  await db.del('k3')
  return db
}

/** Makes the tree account for something else from now on. */
function misaccount(change: (live: ReturnType<LsmTree['liveReferences']>) => void): void {
  const { liveReferences } = LsmTree.prototype
  vi.spyOn(LsmTree.prototype, 'liveReferences').mockImplementation(function (this: LsmTree) {
    const live = liveReferences.call(this)
    change(live)
    return live
  })
}

function addTo(live: ReturnType<LsmTree['liveReferences']>, count: number, bytes: number): void {
  const [sum = { count: 0, bytes: 0 }] = live.values()
  sum.count += count
  sum.bytes += bytes
}

/** The bytes of its only table, after writes that differ in their sequence numbers alone. */
async function withTable(firstWrites: number): Promise<{ fs: MemoryFileSystem; path: string }> {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...OPTIONS, fs })
  for (let i = 0; i < firstWrites; i++) await db.put('k0', 'v')
  for (let i = 0; i < 20; i++) await db.put(`k${i}`, `v${i}`)
  await db.flush()
  await db.close()
  const name = (await fs.list('/db')).find((one) => one.endsWith('.sst'))!
  return { fs, path: `/db/${name}` }
}

function bytesOf(fs: MemoryFileSystem, path: string): Uint8Array {
  const file = fs.openSync(path, 'read')
  const bytes = new Uint8Array(file.sizeSync())
  readFullySync(file, bytes, 0, bytes.length, 0)
  file.closeSync()
  return bytes
}

describe('a sound table of another database under the same name', () => {
  it('is told by verify(), with its file, and reads go on', async () => {
    const [own, other] = [await withTable(0), await withTable(1)]
    const bytes = bytesOf(other.fs, other.path)
    expect(bytes).toHaveLength(bytesOf(own.fs, own.path).length)
    expect(other.path).toBe(own.path)
    const file = own.fs.openSync(own.path, 'update')
    writeFullySync(file, bytes, 0, bytes.length, 0)
    file.syncSync()
    file.closeSync()
    const db = await DB.open('/db', { ...OPTIONS, fs: own.fs })
    const { ok, problems } = await db.verify()
    expect(ok).toBe(false)
    expect(problems).toMatchObject([{ file: own.path.slice('/db/'.length), code: 'WK_CORRUPTION', message: expect.stringContaining('is not the table that the manifest names') as string }])
    await db.put('more', 'v')
    expect(Buffer.from((await db.get('more'))!).toString()).toBe('v')
    await db.close()
  })
})

describe('damage in a value log', () => {
  it('is listed once, though a pointer and the walk through its file both meet it', async () => {
    const fs = new MemoryFileSystem()
    const db = await DB.open('/db', { ...OPTIONS, fs })
    for (let i = 0; i < 30; i++) await db.put(`k${i}`, large(300, i))
    await db.close()
    const path = '/db/000001.vlog'
    const [first, second] = [3, 5].map((i) => Buffer.from(bytesOf(fs, path)).indexOf(large(300, i)))
    const file = fs.openSync(path, 'update')
    for (const at of [first!, second!]) file.writeSync(Uint8Array.of(1, 2, 3, 4), 0, 4, at + 20)
    file.closeSync()
    const again = await DB.open('/db', { ...OPTIONS, fs })
    const { ok, problems } = await again.verify()
    expect(ok).toBe(false)
    expect(problems.map(({ file, offset }) => `${file} ${offset! < first! ? 'first' : offset! < second! ? 'second' : 'behind'}`).sort()).toEqual(['000001.vlog first', '000001.vlog second'])
    await again.close()
  })
})

describe('law 8: verify() counts live bytes again', () => {
  afterEach(() => vi.restoreAllMocks())

  it('and agrees with sound accounts', async () => {
    const db = await filled()
    expect(await db.verify()).toMatchObject({ ok: true, problems: [] })
    await db.close()
  })

  it.each<[string, Parameters<typeof misaccount>[0]]>([
    ['a byte too many', (live) => addTo(live, 0, 1)],
    ['a value too few', (live) => addTo(live, -1, 0)],
    ['a file that is forgotten', (live) => live.delete(Math.max(...live.keys()))],
    ['a file that nothing refers to', (live) => live.set(4711, { count: 1, bytes: 40 })],
  ])('%s is found', async (_, change) => {
    const db = await filled()
    misaccount(change)
    const { ok, problems } = await db.verify()
    expect(ok).toBe(false)
    expect(problems).toEqual([{ file: '', offset: undefined, code: 'WK_CORRUPTION', message: expect.stringMatching(/^value-log file \d+: \d+ bytes of \d+ values are accounted live, \d+ bytes of \d+ values are$/) as string }])
    await db.close()
  })

  it('also while writes, flushes and compactions go on beside it', async () => {
    const db = await filled()
    for (let round = 0; round < 20; round++) {
      const work = [db.verify(), ...Array.from({ length: 8 }, (_, i) => db.put(`k${i}`, large(100 + round * 7 + i, round))), round % 3 === 0 ? db.flush() : undefined, round % 7 === 0 ? db.compact() : undefined, db.verify()]
      for (const report of await Promise.all(work)) if (report !== undefined) expect(report).toMatchObject({ ok: true, problems: [] })
    }
    await db.close()
  })
})
