/**
 * Crashes of kind P4 (the unsynced tail of a file holds older blocks of other files) of a database whose records begin at the same places of every
 * sector, so that such blocks hold whole records: it opens, what was synced is there, and nothing is there that nobody wrote. With `WK_SEED` the
 * crashes are others.
 */
import { MemoryFileSystem } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, keep, SMALL, type Options } from './harness.js'

const SEED = Number(process.env.WK_SEED ?? 1)
const DIR = '/db'
/** With a key of three bytes a record has 128 bytes. */
const valueOf = (n: number): Buffer => Buffer.from(`value ${n}`.padEnd(108, '.'))
const keyOf = (n: number): string => `k${String(n % 30).padStart(2, '0')}`
const OPTIONS: Options = { ...SMALL, valueThreshold: 100, valueLogFileSize: 32 * 1024, workers: 0, gc: { auto: false } }
const encryptionKey = new Uint8Array(32).fill(5)

describe.each<[string, Options]>([['plain', {}], ['encrypted', { encryptionKey }]])('a database that is %s, after crashes of kind P4', (_, extra) => {
  it('law 6: opens with what was synced, and nothing made up', async () => {
    const options: Options = { ...OPTIONS, ...extra }
    const fs = new MemoryFileSystem()
    const images: { fs: MemoryFileSystem; written: number; synced: number }[] = []
    let written = 0
    let synced = 0
    const db = keep(await DB.open(DIR, { ...options, fs }))
    fs.onMutatingOperation = (index) => void images.push({ fs: fs.crashClone('P4', 1000 * SEED + index), written, synced })
    for (let n = 0; n < 250; n++) {
      written = n + 1
      await db.put(keyOf(n), valueOf(n), n % 7 === 6 ? { sync: true } : {})
      if (n % 7 === 6) synced = n + 1
    }
    fs.onMutatingOperation = undefined
    expect(images.length).toBeGreaterThan(200)
    for (const image of images) {
      const again = await DB.open(DIR, { ...options, fs: image.fs })
      const found = new Map((await all(again.iterator())).map(([key, value]) => [Buffer.from(key).toString(), Buffer.from(value).toString()]))
      // A prefix of what was written, at least up to the last sync.
      const states: Map<string, string>[] = []
      const state = new Map<string, string>()
      for (let n = 0; n <= image.written; n++) {
        if (n >= image.synced) states.push(new Map(state))
        state.set(keyOf(n), valueOf(n).toString())
      }
      expect(states.some((one) => one.size === found.size && [...one].every(([key, value]) => found.get(key) === value))).toBe(true)
      expect(await again.verify()).toMatchObject({ ok: true })
      await again.put('one more', valueOf(0))
      await again.close()
    }
  })
})

it('law 6: what passes for a record, but of a version that no database comes to, is a torn tail of an encrypted database', async () => {
  const fs = new MemoryFileSystem()
  const db = keep(await DB.open(DIR, { ...OPTIONS, encryptionKey, fs }))
  for (let n = 0; n < 5; n++) await db.put(keyOf(n), valueOf(n), { sync: true })
  const image = fs.crashClone('P0')
  // Nobody can choose what noise says: a record that says it by right stands for it.
  const log = await ValueLog.open(DIR, { fs: image, encryptionKey, durable: null, lock: false })
  await log.append([{ key: 'noise', value: valueOf(9), version: 2 ** 50 }], { sync: true })
  await log.close()
  const again = keep(await DB.open(DIR, { ...OPTIONS, encryptionKey, fs: image }))
  expect(again.stats().version).toBe(5)
  expect((await all(again.keys())).length).toBe(5)
})
