import { createCipheriv } from 'node:crypto'
import { CorruptionError, WrongKeyError, crc32c } from '@wk/codec'
import { CRASH_POLICIES, ManualRuntime, defaultRuntime, type MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { decodeRegistry, encodeRegistry } from '../src/key-registry-format.js'
import { DataCipher, RecordCipher, applyCtr } from '../src/record-cipher.js'
import { writeU32BE } from '../src/record.js'
import { readMemtableLog } from '../src/index.js'
import { SEED, hex, mulberry, randomBytes } from './support/bytes.js'
import { fixtureFile, fixtureKey, fixtureLogs } from './support/fixtures.js'
import { DIR, appendAll, collect, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i)
const random = mulberry(SEED)

async function written(key: Uint8Array, count = 20): Promise<{ fs: MemoryFileSystem; kept: Kept[] }> {
  const fs = await newMemory()
  const log = await openLog(fs, { encryptionKey: key, maxEntries: 8 })
  const kept = await appendAll(log, Array.from({ length: count }, () => entryOf(random, 900)))
  await log.close()
  return { fs, kept }
}

describe('the cipher', () => {
  test.each([16, 24, 32])('is AES-CTR of base IV and offset, for every length, key of %i bytes', (length) => {
    const key = randomBytes(random, length)
    const baseIv = randomBytes(random, 12)
    const cipher = new RecordCipher(new DataCipher(1, key), baseIv)
    for (const size of [0, 1, 15, 16, 17, 100, 4607, 4608, 4609, 70_000]) {
      for (const offset of [20, 0x01020304, 0xffff_ffff, 0xffff_fffe]) {
        const bytes = randomBytes(random, size + 7)
        const iv = Buffer.concat([baseIv, Buffer.alloc(4)])
        iv.writeUInt32BE(offset, 12)
        const expected = createCipheriv(`aes-${length * 8}-ctr`, key, iv).update(bytes.subarray(3, 3 + size))
        const sealed = cipher.apply(offset, bytes, 3, 3 + size)
        expect(sealed.constructor).toBe(Uint8Array)
        expect(Buffer.compare(sealed, expected), `${size} at ${offset}`).toBe(0)
        expect(Buffer.compare(cipher.apply(offset, sealed, 0, size), bytes.subarray(3, 3 + size))).toBe(0)
      }
    }
  })
})

describe('the key registry', () => {
  const bytes = fixtureFile('encrypted-32-rotated', 'KEYREGISTRY')
  const key = fixtureKey('encrypted-32-rotated')!

  test("Badger's is read, its keys are those that Badger used, and it is written back byte for byte", () => {
    const contents = decodeRegistry(bytes, key)
    expect(contents.keys.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5])
    for (const { keyId, dataKeyHex } of fixtureLogs('encrypted-32-rotated')) {
      expect(hex(contents.keys.find(({ id }) => id === keyId)!.data)).toBe(dataKeyHex)
    }
    expect(hex(encodeRegistry(contents, key))).toBe(hex(bytes))
    const plain = fixtureFile('plain-none', 'KEYREGISTRY')
    expect(hex(encodeRegistry(decodeRegistry(plain, undefined), undefined))).toBe(hex(plain))
  })

  test('another key, a missing one, one too many', () => {
    expect(() => decodeRegistry(bytes, KEY.slice().reverse())).toThrow(WrongKeyError)
    expect(() => decodeRegistry(bytes, key.slice(0, 16))).toThrow('another key')
    expect(() => decodeRegistry(bytes, undefined)).toThrow('no key was given')
    expect(() => decodeRegistry(fixtureFile('plain-none', 'KEYREGISTRY'), key)).toThrow('not encrypted')
  })

  test('damage at any byte, a cut at any length, is told', () => {
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice()
      flipped[at]! ^= 0x40
      expect(() => decodeRegistry(flipped, key)).toThrow(at < 28 ? WrongKeyError : CorruptionError)
    }
    for (let length = 0; length < bytes.length; length++) {
      if ((length - 28) % 68 === 0) continue
      expect(() => decodeRegistry(bytes.slice(0, length), key), `${length}`).toThrow(CorruptionError)
    }
  })

  test('messages that are no data key, sums put right', () => {
    const withMessage = (...message: number[]): Uint8Array => {
      const entry = new Uint8Array(8 + message.length)
      entry.set(message, 8)
      writeU32BE(entry, 0, message.length)
      writeU32BE(entry, 4, crc32c(entry.subarray(8)))
      return Buffer.concat([bytes.slice(0, 28), entry])
    }
    for (const message of [[], [8, 1], [8, 1, 0x12, 3, 1, 2, 3], [0x12, 0xff, 0xff, 0xff, 0x7f], [7], [8], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]) {
      expect(() => decodeRegistry(withMessage(...message), key), message.join()).toThrow(CorruptionError)
    }
    const iv = new Array<number>(16).fill(7)
    const good = [0x3a, 1, 9, 0x29, ...iv.slice(8), 0x35, 1, 2, 3, 4, 8, 3, 0x12, 16, ...iv, 0x1a, 16, ...iv, 0x28, 1]
    expect(decodeRegistry(withMessage(...good), key).keys).toMatchObject([{ id: 3, createdAt: 0, data: applyCtr(key, Uint8Array.from(iv), Uint8Array.from(iv)) }])
    expect(() => decodeRegistry(Buffer.concat([bytes, bytes.slice(28)]), key)).toThrow('two data keys')
  })
})

describe('an encrypted log', () => {
  test.each([16, 24, 32])('written, read in every way, reopened; key of %i bytes', async (length) => {
    const key = KEY.slice(0, length)
    const fs = await newMemory()
    const log = await openLog(fs, { encryptionKey: key, maxEntries: 8 })
    const entries = Array.from({ length: 20 }, () => entryOf(random, 900))
    entries.push({ ...entryOf(random), value: randomBytes(random, 80_000) })
    const kept = await appendAll(log, entries)
    const check = async (from: typeof log): Promise<void> => {
      for (const { entry, pointer } of kept) {
        expect(lineOf(from.readSync(pointer))).toBe(lineOf(entry))
        expect(lineOf(await from.read(pointer))).toBe(lineOf(entry))
        const { fid, offset, len } = pointer
        expect(hex(from.readValueSync(fid, offset, len, entry.key, entry.version))).toBe(hex(entry.value))
        expect(() => from.readValueSync(fid, offset, len, entry.key, entry.version + 1)).toThrow(CorruptionError)
      }
      const pointers = [...kept, ...kept].map(({ pointer }) => pointer)
      expect((await from.readMany(pointers)).map(lineOf)).toEqual([...kept, ...kept].map(({ entry }) => lineOf(entry)))
      const walked = []
      for (const { fid } of from.files()) walked.push(...(await collect(from.iterate(fid))))
      expect(walked.map(({ entry }) => lineOf(entry))).toEqual(kept.map(({ entry }) => lineOf(entry)))
      expect(await from.verify()).toMatchObject({ ok: true, records: kept.length })
    }
    await check(log)
    await log.close()
    const again = await openLog(fs, { encryptionKey: key })
    await check(again)
    await again.close()
    for (const name of await fs.list(DIR)) {
      if (!name.endsWith('.vlog')) continue
      for (const { entry } of kept) if (entry.value.length > 16) expect(Buffer.from(readFile(fs, name)).includes(Buffer.from(entry.value))).toBe(false)
    }
  })

  test('WK_WRONG_KEY: another key, none, or one for a plain log; nothing is changed', async () => {
    const { fs, kept } = await written(KEY)
    const operations = fs.opCount
    for (const encryptionKey of [undefined, KEY.slice(0, 16), KEY.slice().reverse()]) {
      expect(await failureOf(openLog(fs, { encryptionKey }))).toMatchObject({ code: 'WK_WRONG_KEY' })
      expect(await failureOf(openLog(fs, { encryptionKey, readOnly: true }))).toBeInstanceOf(WrongKeyError)
    }
    expect(fs.opCount).toBe(operations)
    const log = await openLog(fs, { encryptionKey: KEY })
    expect(lineOf(log.readSync(kept[3]!.pointer))).toBe(lineOf(kept[3]!.entry))
    await log.close()
    const plain = await newMemory()
    const plainLog = await openLog(plain)
    await plainLog.append([{ key: 'k', value: 'v' }])
    await plainLog.close()
    expect(await failureOf(openLog(plain, { encryptionKey: KEY }))).toMatchObject({ code: 'WK_WRONG_KEY' })
  })

  test('a registry that is gone, or lacks a key, is damage', async () => {
    const { fs } = await written(KEY)
    const registry = readFile(fs, 'KEYREGISTRY')
    await fs.remove(`${DIR}/KEYREGISTRY`)
    expect(await failureOf(openLog(fs, { encryptionKey: KEY }))).toMatchObject({ code: 'WK_CORRUPTION', file: 'KEYREGISTRY' })
    await placeFile(fs, 'KEYREGISTRY', registry.slice(0, 28))
    expect(await failureOf(openLog(fs, { encryptionKey: KEY }))).toMatchObject({ code: 'WK_CORRUPTION', file: '000003.vlog', offset: 0 })
  })

  test('data keys rotate by age, at the start of a file; old files keep theirs', async () => {
    const fs = await newMemory()
    const runtime = new ManualRuntime({ seed: 7 })
    const options = { encryptionKey: KEY, runtime, maxEntries: 1, encryptionKeyRotationDuration: 100 }
    let log = await openLog(fs, options)
    const kept: Kept[] = []
    const put = async (): Promise<void> => {
      kept.push(...(await appendAll(log, [entryOf(random), entryOf(random)], 2)))
    }
    await put()
    await put()
    await runtime.advance(101_000)
    await put()
    await log.close()
    log = await openLog(fs, options)
    await put()
    await log.close()
    const keyIds = []
    for (const name of await fs.list(DIR)) if (name.endsWith('.vlog')) keyIds.push(readFile(fs, name)[7])
    expect(keyIds).toEqual([1, 1, 2, 2])
    expect(decodeRegistry(readFile(fs, 'KEYREGISTRY'), KEY).keys.map(({ id, data }) => [id, data.length])).toEqual([[1, 32], [2, 32]])
    log = await openLog(fs, options)
    for (const { entry, pointer } of kept) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
    await log.close()
  })

  test('data keys go on rotating after the clock was far ahead for a while', async () => {
    const fs = await newMemory()
    let now = 2_000_000_000_000
    const runtime = { ...defaultRuntime, now: () => now }
    const log = await openLog(fs, { encryptionKey: KEY, runtime, maxEntries: 1, encryptionKeyRotationDuration: 100 })
    const put = (): Promise<Kept[]> => appendAll(log, [entryOf(random), entryOf(random)], 2)
    await put()
    // Set right. What is a little ahead still serves.
    now = 1_700_000_000_000
    await put()
    now -= 60_000
    await put()
    now += 200_000
    await put()
    await log.close()
    expect(decodeRegistry(readFile(fs, 'KEYREGISTRY'), KEY).keys.map(({ id, createdAt }) => [id, createdAt])).toEqual([[1, 2_000_000_000], [2, 1_700_000_000], [3, 1_700_000_140]])
  })

  test('no base IV comes twice', async () => {
    const seen = new Set<string>()
    for (let i = 0; i < 3; i++) {
      const { fs } = await written(KEY)
      for (const name of await fs.list(DIR)) if (name.endsWith('.vlog')) seen.add(hex(readFile(fs, name).slice(8, 20)))
    }
    expect(seen.size).toBe(9)
  })

  test('relocation moves ciphertext as it is', async () => {
    const { fs, kept } = await written(KEY)
    const before = readFile(fs, '000001.vlog')
    let log = await openLog(fs, { encryptionKey: KEY })
    const moved = kept.filter(({ pointer: { fid } }, i) => fid === 1 && i % 2 === 0)
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of moved) await relocation.copy(fid, offset, len)
    const { number } = await relocation.finish()
    const after = Buffer.from(readFile(fs, `00000${number}.rlog`))
    for (const { pointer: { offset, len } } of moved) expect(after.includes(Buffer.from(before.slice(offset, offset + len)))).toBe(true)
    for (const { entry, pointer } of moved) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
    await log.close()
    log = await openLog(fs, { encryptionKey: KEY })
    for (const { entry, pointer } of moved) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
    expect((await collect(log.iterate(1))).map(({ entry }) => lineOf(entry))).toEqual(moved.map(({ entry }) => lineOf(entry)))
    await log.close()
  })

  test('a torn tail is cut, damage is told, also without knowing the keys of records', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { encryptionKey: KEY, fileSize: 1 << 20 })
    const kept = await appendAll(log, Array.from({ length: 5 }, (_, i) => ({ ...entryOf(random, 60), version: i + 1 })))
    await log.close()
    await fs.remove(`${DIR}/VLOGSTATE`)
    const whole = readFile(fs, '000001.vlog')
    const { offset } = kept[4]!.pointer
    await placeFile(fs, '000001.vlog', whole.slice(0, -3))
    const cut = await openLog(fs, { encryptionKey: KEY })
    expect([cut.cutBytes, cut.maxVersion]).toEqual([whole.length - 3 - offset, 4])
    await cut.close()
    await fs.remove(`${DIR}/VLOGSTATE`)
    const flipped = whole.slice()
    flipped[kept[2]!.pointer.offset + 9]! ^= 1
    await placeFile(fs, '000001.vlog', flipped)
    expect(await failureOf(openLog(fs, { encryptionKey: KEY }))).toMatchObject({ code: 'WK_CORRUPTION', offset: kept[2]!.pointer.offset })
  })

  test('crashes at every step: whatever file is there, its data key is', async () => {
    const fs = await newMemory()
    const clones: MemoryFileSystem[] = []
    fs.onMutatingOperation = (index) => {
      for (const policy of CRASH_POLICIES) clones.push(fs.crashClone(policy, SEED + index))
    }
    const runtime = new ManualRuntime({ seed: 7 })
    const log = await openLog(fs, { encryptionKey: KEY, runtime, maxEntries: 1, encryptionKeyRotationDuration: 1 })
    for (let i = 0; i < 4; i++) {
      await log.append([entryOf(random), entryOf(random)], { sync: true })
      await runtime.advance(2_000)
    }
    await log.close()
    fs.onMutatingOperation = undefined
    expect(clones.length).toBeGreaterThan(100)
    for (const clone of clones) {
      const opened = await openLog(clone, { encryptionKey: KEY, durable: null })
      for (const { fid } of opened.files()) await collect(opened.iterate(fid))
      await opened.append([{ key: 'k', value: 'v' }])
      await opened.close()
      expect((await clone.list(DIR)).filter((name) => name.endsWith('.tmp'))).toEqual([])
    }
  })

  test('a memtable log asks for the key as well', async () => {
    const { fs } = await written(KEY)
    await placeFile(fs, '00001.mem', readFile(fs, '000001.vlog'))
    expect(await collect(readMemtableLog(DIR, '00001.mem', { fs, encryptionKey: KEY }))).toHaveLength(9)
    expect(await failureOf(collect(readMemtableLog(DIR, '00001.mem', { fs })))).toBeInstanceOf(WrongKeyError)
  })
})
