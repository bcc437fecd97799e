/**
 * Blocks that were another file's before (crash policy P4): in an unsynced tail lie whole records of that file, whose checksums hold. In an encrypted
 * file they say noise, and are a torn tail (law 6); in a plain one they are older records that nobody points to. What is noise for another
 * reason (header, registry, a sealed file) is damage and stays.
 */
import { CorruptionError, NotSupportedError } from '@wk/codec'
import { ManualRuntime, type MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { SkippedDamage, ValueLog, ValueLogOptions } from '../src/index.js'
import { encodeRegistry, type DataKey } from '../src/key-registry-format.js'
import { SEED, hex, mulberry, randomBytes } from './support/bytes.js'
import { DIR, appendAll, collect, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i)
const random = mulberry(SEED)

/** Records of 64 bytes: eight of them begin at the same places of every sector. */
const small = (version: number): Kept['entry'] => ({ key: randomBytes(random, 8), value: randomBytes(random, 39), version, meta: 0, userMeta: 0, expiresAt: 0 })

async function walkAll(log: ValueLog): Promise<string[]> {
  const lines: string[] = []
  for (const { fid } of log.files()) for (const { entry } of await collect(log.iterate(fid))) lines.push(lineOf(entry))
  return lines
}

describe.each([['plain', undefined], ['encrypted', KEY]])('crashes of kind P4, a log that is %s', (_, encryptionKey) => {
  test.each([1, 2])('law 6: whatever the blocks held before, every file can be read to its end afterwards (seed %i)', async (seed) => {
    const fs = await newMemory()
    const images: { fs: MemoryFileSystem; kept: Kept[]; synced: { fid: number; offset: number } }[] = []
    const kept: Kept[] = []
    let durable = 0
    let synced = { fid: 0, offset: 0 }
    fs.onMutatingOperation = (index) => void images.push({ fs: fs.crashClone('P4', 1000 * (SEED + seed) + index), kept: kept.slice(0, durable), synced })
    const log = await openLog(fs, { encryptionKey, fileSize: 8192 })
    for (let i = 0; i < 120; i++) {
      kept.push(...(await appendAll(log, [small(i), small(i)], 2)))
      if (i % 5 !== 4) continue
      await log.sync()
      durable = kept.length
      synced = log.syncedPosition()
    }
    fs.onMutatingOperation = undefined
    await log.close()
    expect(images.length).toBeGreaterThan(100)

    const written = new Set(kept.map(({ entry }) => lineOf(entry)))
    let opened = 0
    let noise = 0
    for (const image of images) {
      const options: ValueLogOptions = { encryptionKey, fileSize: 8192 }
      // Own records behind lost ones look like damage to a log without a promise.
      const failure = await failureOf(openLog(image.fs, options).then((one) => one.close()))
      if (failure === undefined) opened++
      else expect(failure).toBeInstanceOf(CorruptionError)
      const again = await openLog(image.fs, failure === undefined ? options : { ...options, durable: image.synced })
      const lines = await walkAll(again)
      for (const { entry, pointer } of image.kept) expect(lineOf(again.readSync(pointer))).toBe(lineOf(entry))
      expect(lines).toEqual(expect.arrayContaining(image.kept.map(({ entry }) => lineOf(entry))))
      noise += lines.filter((line) => !written.has(line)).length
      expect(await again.verify()).toMatchObject({ ok: true })
      await again.close()
    }
    expect(opened).toBeGreaterThan(images.length / 4)
    // One record of 2,048 passes for one of the file.
    expect(noise).toBeLessThan(encryptionKey === undefined ? 1 : 3)
  })
})

/** Keys and IVs are drawn from the seed: noise passes for a version once in 2,048 times, and whether it does here must not change from run to run. */
const dataKey = (id: number): DataKey => ({ id, data: randomBytes(random, 32), iv: randomBytes(random, 16), createdAt: Math.floor(new ManualRuntime().now() / 1000) })
const registryOf = (...keys: DataKey[]): Uint8Array => encodeRegistry({ iv: randomBytes(random, 16), keys }, KEY)

interface TwoFiles {
  fs: MemoryFileSystem
  kept: Kept[]
  older: Uint8Array
  newer: Uint8Array
}

/** A log of two files (eight records, then six), encrypted under two data keys or not at all, closed cleanly; the mark of that is gone. */
async function twoFiles(isEncrypted = true): Promise<TwoFiles> {
  const fs = await newMemory()
  const keys: DataKey[] = []
  const kept: Kept[] = []
  for (const count of [8, 6]) {
    keys.push(dataKey(keys.length + 1))
    if (isEncrypted) await placeFile(fs, 'KEYREGISTRY', registryOf(...keys))
    const log = await openLog(fs, { encryptionKey: isEncrypted ? KEY : undefined, randomBytes: (length) => randomBytes(random, length) })
    kept.push(...(await appendAll(log, Array.from({ length: count }, (_, i) => small(10 * keys.length + i)), count)))
    await log.close()
  }
  await fs.remove(`${DIR}/VLOGSTATE`)
  await fs.syncDir(DIR)
  return { fs, kept, older: readFile(fs, '000001.vlog'), newer: readFile(fs, '000002.vlog') }
}

/** The files with another newest one. */
async function withNewest(bytes: Uint8Array, from: TwoFiles): Promise<MemoryFileSystem> {
  const fs = from.fs.crashClone('P0')
  await placeFile(fs, '000002.vlog', bytes)
  return fs
}

const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

describe('a record of another file in the newest one', () => {
  test('two data keys, as meant', async () => {
    const { older, newer } = await twoFiles()
    expect([older[7], newer[7]]).toEqual([1, 2])
  })

  test('is cut where a torn tail is cut, also several of them, torn records between them, and unchanged when read-only', async () => {
    const files = await twoFiles()
    const { kept, older, newer } = files
    const valid = newer.length
    const whole = older.subarray(20, 20 + 3 * 64)
    const again = newer.subarray(20, 84)
    for (const tail of [whole, joined(whole.subarray(5), new Uint8Array(700), whole), joined(again, whole), joined(whole, randomBytes(random, 300))]) {
      const bytes = joined(newer, tail)
      for (const readOnly of [true, false]) {
        const fs = await withNewest(bytes, files)
        const log = await openLog(fs, { encryptionKey: KEY, readOnly })
        expect([log.cutBytes, log.maxVersion]).toEqual([tail.length, 25])
        expect(await walkAll(log)).toEqual(kept.map(({ entry }) => lineOf(entry)))
        expect(await log.verify()).toMatchObject({ ok: true, records: kept.length })
        await log.close()
        expect(hex(readFile(fs, '000002.vlog'))).toBe(hex(readOnly ? bytes : newer.subarray(0, valid)))
      }
    }
  })

  test('with a record of the file itself behind it, it is damage; with a promise of the host it is a tail above it and damage below', async () => {
    const files = await twoFiles()
    const { older, newer } = files
    const bytes = newer.slice()
    bytes.set(older.subarray(20, 84), 20 + 3 * 64)
    const at = 20 + 3 * 64
    const fs = await withNewest(bytes, files)
    expect(await failureOf(openLog(fs, { encryptionKey: KEY }))).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog', offset: at })
    expect(await failureOf(openLog(fs, { encryptionKey: KEY, durable: { fid: 2, offset: at + 64 } }))).toMatchObject({ code: 'WK_CORRUPTION', offset: at })
    expect(hex(readFile(fs, '000002.vlog'))).toBe(hex(bytes))
    const log = await openLog(fs, { encryptionKey: KEY, durable: { fid: 2, offset: at } })
    expect([log.cutBytes, log.maxVersion]).toEqual([bytes.length - at, 22])
    await log.close()
  })

  test('is damage in a file that was closed cleanly, and in one that has a successor: nothing is cut', async () => {
    const files = await twoFiles()
    const { fs, kept, older, newer } = files
    // Closed with those bytes: only a size tells of a clean close.
    const log = await openLog(fs, { encryptionKey: KEY })
    await log.close()
    const swapped = newer.slice()
    swapped.set(older.subarray(20, 84), newer.length - 64)
    await placeFile(fs, '000002.vlog', swapped)
    const closed = await openLog(fs, { encryptionKey: KEY })
    expect(closed.cutBytes).toBe(0)
    expect(await failureOf(collect(closed.iterate(2)))).toBeInstanceOf(NotSupportedError)
    expect(() => closed.readValueSync(2, newer.length - 64, 64, kept.at(-1)!.entry.key, 25)).toThrow(CorruptionError)
    await closed.append([{ key: 'k', value: 'v' }])
    await closed.close()
    expect(hex(readFile(fs, '000002.vlog'))).toBe(hex(swapped))

    await fs.remove(`${DIR}/VLOGSTATE`)
    await fs.syncDir(DIR)
    const sealed = await openLog(fs, { encryptionKey: KEY })
    expect(await failureOf(collect(sealed.iterate(2)))).toBeInstanceOf(NotSupportedError)
    await sealed.close()
    // A flip stays what it was.
    await placeFile(fs, '000002.vlog', swapped.with(newer.length - 10, swapped.at(-10)! ^ 1))
    const flipped = await openLog(fs, { encryptionKey: KEY })
    expect(await failureOf(collect(flipped.iterate(2)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog', offset: newer.length - 64 })
    await flipped.close()
  })

  test('a header or a data key that is not the one of the records is no torn tail: refused, and nothing is cut', async () => {
    const files = await twoFiles()
    const { newer } = files
    for (let at = 8; at < 20; at++) {
      const bytes = newer.with(at, newer[at]! ^ 0x10)
      const fs = await withNewest(bytes, files)
      expect(await failureOf(openLog(fs, { encryptionKey: KEY })), `${at}`).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog', offset: 20 })
      expect(hex(readFile(fs, '000002.vlog'))).toBe(hex(bytes))
      const log = await openLog(fs, { encryptionKey: KEY, readOnly: true, salvage: true })
      // No record of it is handed out: one of 2,048 would pass for one.
      expect([log.unreadable, log.files().map(({ fid }) => fid)]).toEqual([['000002.vlog'], [1]])
      await log.close()
    }
    // The registry of another log under the same storage key: its sanity text is right.
    const fs = await withNewest(newer, files)
    await placeFile(fs, 'KEYREGISTRY', registryOf(dataKey(1), dataKey(2)))
    expect(await failureOf(openLog(fs, { encryptionKey: KEY }))).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog', offset: 20 })
    expect(hex(readFile(fs, '000002.vlog'))).toBe(hex(newer))
  })

  test('of a plain log it is an older record that nobody points to', async () => {
    const files = await twoFiles(false)
    const { kept, older, newer } = files
    const fs = await withNewest(joined(newer, older.subarray(20, 84)), files)
    const log = await openLog(fs)
    expect([log.cutBytes, log.maxVersion]).toEqual([0, 25])
    expect(await walkAll(log)).toEqual([...kept, kept[0]!].map(({ entry }) => lineOf(entry)))
    await log.close()
  })

  test('salvage passes over it and goes on behind it', async () => {
    const files = await twoFiles()
    const { kept, older, newer } = files
    const bytes = newer.slice()
    bytes.set(older.subarray(20, 84), 84)
    bytes[84 + 64 + 50]! ^= 1
    const fs = await withNewest(bytes, files)
    const log = await openLog(fs, { encryptionKey: KEY, readOnly: true, salvage: true })
    const skipped: SkippedDamage[] = []
    const left = await collect(log.iterate(2, { salvage: true, onDamage: (damage) => skipped.push(damage) }))
    const own = kept.filter(({ pointer: { fid, offset } }) => fid === 2 && offset !== 84 && offset !== 148)
    expect(left.map(({ entry }) => lineOf(entry))).toEqual(own.map(({ entry }) => lineOf(entry)))
    expect(skipped.map(({ offset, length }) => [offset, length])).toEqual([[84, 64], [148, 64]])
    await log.close()
  })

  test('salvage finds the records behind damage also where they were relocated: what they say goes by their logical place', async () => {
    const { fs, kept } = await twoFiles()
    const log = await openLog(fs, { encryptionKey: KEY })
    const moved = kept.slice(2, 8)
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of moved) await relocation.copy(fid, offset, len)
    const name = `00000${(await relocation.finish()).number}.rlog`
    await log.close()
    const bytes = readFile(fs, name)
    await placeFile(fs, name, bytes.with(20 + 64 + 50, bytes[20 + 64 + 50]! ^ 1))
    const again = await openLog(fs, { encryptionKey: KEY, readOnly: true, salvage: true })
    const left = await collect(again.iterate(1, { salvage: true }))
    expect(left.map(({ entry }) => lineOf(entry))).toEqual(moved.toSpliced(1, 1).map(({ entry }) => lineOf(entry)))
    await again.close()
  })

  test('a host that knows its versions draws the line lower', async () => {
    const { fs, newer } = await twoFiles()
    const log = await openLog(fs, { encryptionKey: KEY, durable: null, highestVersion: 22 })
    expect([log.cutBytes, log.maxVersion]).toEqual([newer.length - (20 + 3 * 64), 22])
    await log.close()
    expect(await failureOf(openLog(fs, { highestVersion: -1 }))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  })
})
