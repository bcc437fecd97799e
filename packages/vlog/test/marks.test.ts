import { FaultFileSystem, type FileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { decodeState, encodeState, type LogState } from '../src/state-file.js'
import { mulberry, SEED } from './support/bytes.js'
import { appendAll, DIR, entryOf, failureOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

async function prepare() {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 5, fileSize: 1 << 20 })
  const random = mulberry(SEED)
  const kept = await appendAll(log, Array.from({ length: 24 }, () => entryOf(random, 100)), 1)
  return { fs, log, kept }
}

const sum = (kept: Kept[]): number => kept.reduce((bytes, { pointer }) => bytes + pointer.len, 0)
const inFile = (kept: Kept[], fid: number): Kept[] => kept.filter(({ pointer }) => pointer.fid === fid)

describe('discard statistics', () => {
  test('exact after a clean close, never too high after a crash', async () => {
    const { fs, log, kept } = await prepare()
    const dead = inFile(kept, 1).slice(0, 2)
    for (const { pointer } of dead) log.discard(pointer)
    const bytes = sum(dead)
    expect(log.files()[0]).toMatchObject({ fid: 1, discardBytes: bytes, liveBytes: sum(inFile(kept, 1)) - bytes })
    await log.close()
    const reopened = await openLog(fs)
    expect(reopened.files()[0]).toMatchObject({ fid: 1, discardBytes: bytes })
    reopened.discard(inFile(kept, 1)[3]!.pointer)
    await reopened.sync()
    await reopened.retire(2)
    // Not closed: the later report may belong to an index update that the crash took back.
    const crashed = await openLog(fs.crashClone('P1'))
    expect(crashed.files().map(({ fid, discardBytes }) => [fid, discardBytes])).toEqual([[1, bytes], [3, 0], [4, 0]])
    crashed.setDiscarded(1, 3, bytes + 5)
    expect(crashed.files()[0]).toMatchObject({ discardBytes: bytes + 5 })
    await crashed.close()
    await reopened.close()
  })

  test.each(['sync()', 'an append with sync'])('those of a log that is always killed are saved after %s, once they have changed by much', async (how) => {
    const fs = await newMemory()
    const options = { fileSize: 1 << 20 }
    const value = new Uint8Array(60_000)
    let image = fs
    let told = 0
    let least = 0
    for (let life = 0; life < 3; life++) {
      const log = await openLog(image, options)
      const dead = (fid: number): number => log.files().reduce((bytes, file) => bytes + (file.fid <= fid ? file.discardBytes! : 0), 0)
      expect(dead(Infinity)).toBeGreaterThanOrEqual(least)
      expect(dead(Infinity)).toBeLessThanOrEqual(told)
      told = dead(Infinity)
      for (let i = 0; i < 240; i++) {
        const [pointer] = await log.append([{ key: 'k', value }], { sync: how !== 'sync()' && i % 4 === 3 })
        if (i === 239) continue
        log.discard(pointer!)
        told += pointer!.len
        if (how === 'sync()' && i % 4 === 3) await log.sync()
      }
      // Saved behind the sync that found so much, on nobody's way.
      for (let turn = 0; turn < 50; turn++) await Promise.resolve()
      image = (image as typeof fs).crashClone(life === 1 ? 'P1' : 'P0')
      least = told - 1.1 * (1 << 22)
      expect(least).toBeGreaterThan(1 << 22)
    }
  })

  test('a little garbage is saved at the clean close only', async () => {
    const { fs, log, kept } = await prepare()
    for (const { pointer } of inFile(kept, 1)) {
      log.discard(pointer)
      await log.sync()
    }
    expect(await fs.list(DIR)).not.toContain('VLOGSTATE')
    await log.close()
  })

  test('a failure to save them ends writing, and nothing else', async () => {
    const fs = new FaultFileSystem(await newMemory())
    const log = await openLog(fs, { fileSize: 1 << 20 })
    for (let i = 0; i < 80; i++) log.discard((await log.append([{ key: 'k', value: new Uint8Array(60_000) }]))[0]!)
    fs.add({ operation: 'rename' })
    await log.sync()
    for (let turn = 0; turn < 50; turn++) await Promise.resolve()
    expect(await failureOf(log.append([{ key: 'k', value: 'v' }]))).toMatchObject({ code: 'WK_READ_ONLY', cause: { code: 'WK_IO' } })
    await log.close()
  })

  test('never more than the file has; files that are gone are ignored', async () => {
    const { log, kept } = await prepare()
    for (let i = 0; i < 3; i++) for (const { pointer } of inFile(kept, 1)) log.discard(pointer)
    expect(log.files()[0]).toMatchObject({ discardBytes: sum(inFile(kept, 1)), liveBytes: 0 })
    log.discard({ fid: 99, offset: 20, len: 30 })
    expect(() => log.discard({ fid: -1, offset: 20, len: 30 })).toThrow('not a value pointer')
    await log.close()
  })

  test('a host with marks of its own gets no state file and no figures', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { durable: null, lock: false })
    await log.append([{ key: 'k', value: 'v' }])
    expect(log.files()[0]).not.toHaveProperty('discardBytes')
    await log.close()
    expect(await fs.list(DIR)).toEqual(['000001.vlog'])
  })
})

describe('retire', () => {
  test('unlinks once unpinned; pins count', async () => {
    const { fs, log, kept } = await prepare()
    log.pin(1)
    log.pin(1)
    expect(await log.retire(1)).toBe(0)
    expect(log.files()[0]).toMatchObject({ fid: 1, retired: true })
    expect(log.readSync(kept[0]!.pointer).value).toEqual(kept[0]!.entry.value)
    log.unpin(1)
    expect(log.hasFile(1)).toBe(true)
    log.unpin(1)
    expect(log.hasFile(1)).toBe(false)
    expect(() => log.readSync(kept[0]!.pointer)).toThrow('not there')
    expect(() => log.unpin(1)).toThrow('not pinned')
    expect(await log.retire(2)).toBeGreaterThan(0)
    expect(await fs.list(DIR)).toEqual(['000003.vlog', '000004.vlog', 'LOCK', 'VLOGSTATE'])
    expect(await failureOf(log.retire(2))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await log.close()
  })

  test('a pending deletion survives a restart', async () => {
    const { fs, log, kept } = await prepare()
    log.pin(1)
    await log.retire(1)
    const crashed = fs.crashClone('P0')
    expect(await crashed.list(DIR)).toContain('000001.vlog')
    const readOnly = await openLog(crashed, { readOnly: true })
    expect(readOnly.hasFile(1)).toBe(false)
    await readOnly.close()
    const again = await openLog(crashed)
    expect(await crashed.list(DIR)).not.toContain('000001.vlog')
    expect(again.readSync(kept[6]!.pointer).value).toEqual(kept[6]!.entry.value)
    await again.close()
    await log.close()
  })

  test('of the highest number: an empty file takes its place, and no number comes back', async () => {
    const { fs, log } = await prepare()
    await log.seal()
    for (const { fid } of log.files()) await log.retire(fid)
    expect(await fs.list(DIR)).toEqual(['000005.vlog', 'LOCK', 'VLOGSTATE'])
    await log.close()
    const again = await openLog(fs)
    expect(again.files()).toMatchObject([{ fid: 5, size: 20 }])
    expect(await again.append([{ key: 'k', value: 'v' }])).toMatchObject([{ fid: 6 }])
    await again.close()
  })

  test('what replaces the file is durable first', async () => {
    const { fs, log } = await prepare()
    const [copy] = await log.append([{ key: 'moved', value: 'value' }])
    await log.retire(1)
    const crashed = await openLog(fs.crashClone('P0'))
    expect(new TextDecoder().decode(crashed.readSync(copy!).value)).toBe('value')
    await crashed.close()
    await log.close()
  })
})

describe('marks of files that were given up', () => {
  const retiredIn = (fs: FileSystem): number[] => decodeState(readFile(fs, 'VLOGSTATE')).retired

  test('go once the unlink is durable: VLOGSTATE does not grow with every file', async () => {
    const fs = await newMemory()
    const log = await openLog(fs)
    for (let round = 0; round < 30; round++) {
      await log.append([{ key: 'k', value: new Uint8Array(100) }])
      await log.seal()
      await log.append([{ key: 'k', value: 'v' }])
      for (const { fid, sealed } of log.files()) if (sealed) await log.retire(fid)
      expect(retiredIn(fs).length).toBeLessThanOrEqual(1)
    }
    const next = log.files().at(-1)!.fid + 1
    await log.close()
    const again = await openLog(fs.crashClone('P0'))
    expect(await again.append([{ key: 'k', value: 'v' }])).toMatchObject([{ fid: next }])
    await again.close()
  })

  test('stay while the file is pinned, and while its unlink is not durable', async () => {
    const { fs, log } = await prepare()
    log.pin(1)
    await log.retire(1)
    await log.retire(2)
    expect(retiredIn(fs)).toEqual([1, 2])
    log.unpin(1)
    for (let turn = 0; turn < 50; turn++) await Promise.resolve()
    expect(await fs.list(DIR)).not.toContain('000001.vlog')
    const crashed = fs.crashClone('P0')
    expect(await crashed.list(DIR)).toContain('000001.vlog')
    expect(retiredIn(crashed)).toContain(1)
    await log.retire(3)
    expect(retiredIn(fs)).toEqual([1, 3])
    await log.seal()
    await log.retire(4)
    expect(retiredIn(fs)).toEqual([4])
    await log.close()
    const again = await openLog(crashed)
    expect(again.hasFile(1)).toBe(false)
    await again.close()
  })

  test('of an earlier life go with the first open that finds the files gone', async () => {
    const { fs, log } = await prepare()
    log.pin(1)
    await log.retire(1)
    const crashed = fs.crashClone('P0')
    await placeFile(crashed, 'VLOGSTATE', encodeState({ ...decodeState(readFile(crashed, 'VLOGSTATE')), nextNumber: 900, retired: [1, 77, 800] }))
    const again = await openLog(crashed)
    await again.retire(2)
    expect(retiredIn(crashed)).toEqual([2])
    expect(await again.append([{ key: 'k', value: 'v' }])).toMatchObject([{ fid: 900 }])
    await again.close()
    await log.close()
  })

  test('a file that a relocated one tells of, too, keeps its mark', async () => {
    const { fs, log, kept } = await prepare()
    const move = await log.createRelocation()
    for (const { pointer } of inFile(kept, 1).slice(0, 2)) await move.copy(1, pointer.offset, pointer.len)
    await log.retire(1)
    await move.finish()
    await log.retire(2)
    expect(retiredIn(fs)).toEqual([1, 2])
    const crashed = await openLog(fs.crashClone('P0'))
    expect(crashed.hasFile(1)).toBe(false)
    await crashed.close()
    await log.close()
  })
})

describe('VLOGSTATE', () => {
  const state: LogState = {
    nextNumber: 300,
    clean: { fid: 7, size: 4000 },
    discarded: [[1, { records: 2, bytes: 300 }], [5, { records: 1, bytes: 2 ** 31 }]],
    retired: [2, 4_000_000_000],
    survivors: [8, 10],
  }

  test('round trip', () => {
    expect(decodeState(encodeState(state))).toEqual(state)
    const none: LogState = { nextNumber: 1, clean: undefined, discarded: [], retired: [], survivors: [] }
    expect(decodeState(encodeState(none))).toEqual(none)
  })

  test('every flipped byte and every cut is damage', async () => {
    const bytes = encodeState(state)
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice()
      flipped[at]! ^= 0x10
      expect(() => decodeState(flipped)).toThrow('does not verify')
      expect(() => decodeState(bytes.slice(0, at))).toThrow('does not verify')
    }
    const fs = await newMemory()
    await placeFile(fs, 'VLOGSTATE', bytes.slice(1))
    expect(await failureOf(openLog(fs))).toMatchObject({ code: 'WK_CORRUPTION', file: 'VLOGSTATE' })
    expect(readFile(fs, 'VLOGSTATE')).toEqual(bytes.slice(1))
  })

  test('numbers that it names never come back', async () => {
    const fs = await newMemory()
    await placeFile(fs, 'VLOGSTATE', encodeState({ nextNumber: 300, clean: undefined, discarded: [], retired: [], survivors: [] }))
    const log = await openLog(fs)
    expect(await log.append([{ key: 'k', value: 'v' }])).toMatchObject([{ fid: 300 }])
    await log.close()
  })
})
