import { CorruptionError, InvalidArgumentError, NotSupportedError, crc32c } from '@wk/codec'
import { afterEach, describe, expect, test } from 'vitest'
import { MAX_LZ4_RATIO, compressValue, loadLz4, setLz4, uncompressValue, uncompressedLength } from '../src/lz4.js'
import { writeU32BE } from '../src/record.js'
import { META_LZ4, type ValueLog, type ValuePointer } from '../src/index.js'
import { SEED, hex, mulberry, randomBytes } from './support/bytes.js'
import { DIR, appendAll, collect, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile } from './support/memory-log.js'

const random = mulberry(SEED)
const repeated = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => 'wisckey '.charCodeAt(i % 8))
const entries = [0, 1, 63, 64, 300, 5000, 70_000, 300_000].flatMap((length) => [
  { ...entryOf(random), value: repeated(length) },
  { ...entryOf(random), value: randomBytes(random, length) },
])

const metaOf = (bytes: Uint8Array, { offset }: ValuePointer): number => bytes[offset]!

afterEach(() => setLz4(undefined))

describe("valueCompression: 'lz4'", () => {
  test.each([undefined, Uint8Array.from({ length: 16 }, (_, i) => i)])('what shrinks by an eighth is stored compressed and read as it was; key %o', async (encryptionKey) => {
    const fs = await newMemory()
    const log = await openLog(fs, { valueCompression: 'lz4', fileSize: 1 << 20, encryptionKey })
    const kept = await appendAll(log, entries, 4)
    const key = Buffer.from('staged')
    const staged = { fid: 0, offset: 0, len: 0 }
    log.stage(key, 5, 4, 1, 0, repeated(4000), staged)
    expect(hex(log.readValueSync(staged.fid, staged.offset, staged.len, key, 5))).toBe(hex(repeated(4000)))
    log.endGroup()
    await log.writeStaged()
    const check = async (from: ValueLog): Promise<void> => {
      for (const { entry, pointer } of kept) {
        expect(lineOf(from.readSync(pointer))).toBe(lineOf(entry))
        expect(lineOf(await from.read(pointer))).toBe(lineOf(entry))
        expect(hex(await from.readValue(pointer.fid, pointer.offset, pointer.len, entry.key, entry.version))).toBe(hex(entry.value))
      }
      expect((await from.readMany(kept.map(({ pointer }) => pointer))).map(lineOf)).toEqual(kept.map(({ entry }) => lineOf(entry)))
      const requests = kept.map(({ entry: { key: wanted, version }, pointer }) => ({ pointer, key: wanted, version }))
      expect((await from.readValues(requests)).map(hex)).toEqual(kept.map(({ entry }) => hex(entry.value)))
      expect((await collect(from.iterate(1))).slice(0, -1).map(({ entry }) => lineOf(entry))).toEqual(kept.map(({ entry }) => lineOf(entry)))
      expect(hex(from.readValueSync(staged.fid, staged.offset, staged.len, key, 5))).toBe(hex(repeated(4000)))
    }
    await check(log)
    await log.close()
    const bytes = readFile(fs, '000001.vlog')
    for (const { entry, pointer } of kept) {
      const shrinks = (compressValue(entry.value)?.length ?? Infinity) <= (entry.value.length * 7) / 8
      expect(shrinks).toBe(entry.value.length >= 64 && entry.value[8] === entry.value[0] && entry.value[9] === entry.value[1])
      expect(metaOf(bytes, pointer)).toBe(entry.meta | (shrinks ? META_LZ4 : 0))
      if (shrinks) expect(pointer.len).toBeLessThan(entry.value.length)
    }
    const again = await openLog(fs, { encryptionKey })
    await check(again)
    await again.close()
  })

  test('off by default, and then the exact bytes of Badger', async () => {
    const [a, b] = [await newMemory(), await newMemory()]
    for (const [fs, options] of [[a, {}], [b, { valueCompression: 'none' }]] as const) {
      const log = await openLog(fs, { ...options, fileSize: 1 << 20 })
      await appendAll(log, entries, 4)
      await log.close()
    }
    expect(hex(readFile(a, '000001.vlog'))).toBe(hex(readFile(b, '000001.vlog')))
    const bytes = readFile(a, '000001.vlog')
    expect(Buffer.from(bytes).includes(Buffer.from(repeated(5000)))).toBe(true)
  })

  test('relocation moves records as they are; stored values are appended without being compressed again', async () => {
    const fs = await newMemory()
    let log = await openLog(fs, { valueCompression: 'lz4', fileSize: 1 << 20 })
    const kept = await appendAll(log, entries, 4)
    await log.seal()
    const before = readFile(fs, '000001.vlog')
    setLz4({
      compressSync: () => { throw new Error('compressed again') },
      uncompressSync: (bytes) => { throw new Error(`uncompressed ${bytes.length}`) },
    })
    const stored = await collect(log.iterate(1, { stored: true }))
    const again = await log.append(stored.map(({ entry }) => entry), { stored: true })
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of kept) await relocation.copy(fid, offset, len)
    await relocation.finish()
    await log.close()
    setLz4(undefined)
    const { offset } = again[0]!
    expect(hex(readFile(fs, '000002.vlog').slice(offset))).toBe(hex(before.slice(20)))
    expect(Buffer.from(readFile(fs, '000003.rlog')).includes(Buffer.from(before.slice(20)))).toBe(true)
    log = await openLog(fs)
    for (const pointers of [again, kept.map(({ pointer }) => pointer)]) {
      for (const [i, pointer] of pointers.entries()) expect(lineOf(log.readSync(pointer))).toBe(lineOf(kept[i]!.entry))
    }
    await log.close()
  })

  test('meta that promises a stored form and has none is refused', async () => {
    const log = await openLog(await newMemory())
    for (const value of ['', 'abc', Uint8Array.of(255, 255, 255, 255, 1)]) {
      expect(await failureOf(log.append([{ key: 'k', value, meta: META_LZ4 }], { stored: true }))).toBeInstanceOf(InvalidArgumentError)
    }
    const stored = compressValue(repeated(500))!
    expect(await failureOf(log.append([{ key: 'k', value: stored, meta: META_LZ4 }]))).toBeInstanceOf(InvalidArgumentError)
    const [pointer] = await log.append([{ key: 'k', value: stored, meta: META_LZ4 | 4 }], { stored: true })
    expect(log.readSync(pointer!)).toMatchObject({ meta: 4, value: repeated(500) })
    await log.close()
  })
})

describe('without the library', () => {
  test('writing is refused at open, reading compressed values when they are met; the others are read', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { valueCompression: 'lz4', fileSize: 1 << 20 })
    const kept = await appendAll(log, entries.slice(6, 12), 6)
    await log.close()
    setLz4(null)
    expect(await failureOf(openLog(await newMemory(), { valueCompression: 'lz4' }))).toBeInstanceOf(NotSupportedError)
    const reader = await openLog(fs, { readOnly: true })
    const outcomes = kept.map(({ pointer }) => {
      try {
        return reader.readSync(pointer).value.length
      } catch (error) {
        return (error as NotSupportedError).code
      }
    })
    expect(outcomes).toEqual(['WK_NOT_SUPPORTED', 64, 'WK_NOT_SUPPORTED', 300, 'WK_NOT_SUPPORTED', 5000])
    expect(await reader.verify()).toMatchObject({ ok: true })
    expect(await collect(reader.iterate(1, { stored: true }))).toHaveLength(6)
    const skipped: unknown[] = []
    const salvaged = await failureOf(collect(reader.iterate(1, { salvage: true, onDamage: (damage) => skipped.push(damage) })))
    expect([salvaged, skipped], 'values that only the library can read are no damage').toEqual([expect.any(NotSupportedError), []])
    await reader.close()
  })
})

describe('hostile stored forms', () => {
  const damaged = (message: string): CorruptionError => new CorruptionError(message)

  test('lengths are bounded before the library is asked', () => {
    setLz4({ compressSync: () => new Uint8Array(0), uncompressSync: () => { throw new Error('must not be asked') } })
    for (const stored of [[], [1, 0, 0, 0], [0, 0, 0, 0x80, 1, 2, 3], [0xff, 0xff, 0xff, 0xff, 0], [0, 1, 0, 0, 1]]) {
      expect(uncompressedLength(Uint8Array.from(stored))).toBe(-1)
      expect(() => uncompressValue(Uint8Array.from(stored), damaged)).toThrow('impossible length')
    }
    expect(uncompressedLength(Uint8Array.of(MAX_LZ4_RATIO, 0, 0, 0, 1))).toBe(MAX_LZ4_RATIO)
  })

  test('every byte of a compressed record flipped, its sum put right: typed errors or a value of bounded length', async () => {
    expect(loadLz4()).toBeDefined()
    const fs = await newMemory()
    const log = await openLog(fs, { valueCompression: 'lz4' })
    const [pointer] = await log.append([{ key: 'key', value: repeated(900) }])
    await log.close()
    const whole = readFile(fs, '000001.vlog')
    const { offset, len } = pointer!
    const outcomes = { read: 0, damaged: 0 }
    for (let at = offset; at < offset + len - 4; at++) {
      for (const bit of [1, 0x80]) {
        const bytes = whole.slice()
        bytes[at]! ^= bit
        writeU32BE(bytes, offset + len - 4, crc32c(bytes.subarray(offset, offset + len - 4)))
        const image = await newMemory()
        await placeFile(image, '000001.vlog', bytes)
        const reader = await openLog(image, { readOnly: true, durable: null })
        try {
          expect(reader.readSync(pointer!).value.length).toBeLessThan(255 * len)
          outcomes.read++
        } catch (error) {
          expect(error).toSatisfy((one) => one instanceof CorruptionError || one instanceof NotSupportedError)
          outcomes.damaged++
        }
        await reader.close()
      }
    }
    expect(outcomes.damaged).toBeGreaterThan(10)
  })

  test('salvage passes over a value that does not uncompress', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { valueCompression: 'lz4', fileSize: 1 << 16 })
    const stored = compressValue(repeated(500))!.slice()
    stored[0]! ^= 1
    await log.append([{ key: 'a', value: 'x' }, { key: 'b', value: stored, meta: META_LZ4 }, { key: 'c', value: 'y' }], { stored: true })
    expect(await failureOf(collect(log.iterate(1)))).toBeInstanceOf(CorruptionError)
    const skipped: unknown[] = []
    const left = await collect(log.iterate(1, { salvage: true, onDamage: (damage) => skipped.push(damage) }))
    expect(left.map(({ entry }) => Buffer.from(entry.key).toString())).toEqual(['a', 'c'])
    expect(skipped).toMatchObject([{ file: '000001.vlog', offset: left[0]!.pointer.offset + left[0]!.pointer.len }])
    await log.close()
    expect(DIR).toBe('/log')
  })
})
