/** Garbage collection beside a real worker, on real files. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { large } from './harness.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wk-gc-worker-'))
})
afterEach(() => rm(dir, { recursive: true }))

const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`

describe.each([
  ['in the worker', 1, undefined],
  ['on the calling thread', 0, undefined],
  ['in the worker, encrypted', 1, new Uint8Array(32).fill(7)],
])('copying %s', (_name, workers, encryptionKey) => {
  it('every value reads as before, after a restart too, and the figures are those of a recount', async () => {
    const options = { workers, memTableSize: 1 << 20, valueLogFileSize: 1 << 20, gc: { auto: false }, ...(encryptionKey === undefined ? {} : { encryptionKey }) }
    let db = await DB.open(dir, options)
    const last = new Map<string, Uint8Array>()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 300; i++) {
        if (round > 0 && (i * 7 + round) % 3 === 0) continue
        const bytes = large(8000 + ((i * 131 + round) % 4000), i * 10 + round)
        last.set(keyOf(i), bytes)
        await db.put(keyOf(i), bytes)
      }
    }
    const { filesCollected, bytesMoved, spaceAmp } = await db.gc({ maxSpaceAmp: 1.02 })
    expect(filesCollected).toBeGreaterThan(3)
    expect(bytesMoved).toBeGreaterThan(0)
    expect(spaceAmp).toBeLessThan(1.1)
    for (const [key, bytes] of last) expect(await db.get(key), key).toEqual(bytes)
    expect((await db.verify()).problems).toEqual([])
    await db.close()
    db = await DB.open(dir, options)
    for (const [key, bytes] of last) expect(db.getSync(key), key).toEqual(bytes)
    await db.close()
  })
})
