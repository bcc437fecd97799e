import { CorruptionError, crc32c } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import { FIXTURES, fixtureFile, fixtureFiles, fixtureKey, fixtureLogs, sweep, type FixtureEntry } from './support/fixtures.js'
import { encodeRegistry } from '../src/key-registry-format.js'
import { hex, sha256 } from './support/bytes.js'
import { collect, DIR, failureOf, newMemory, openLog, placeFile, readFile } from './support/memory-log.js'
import { ValueLog, type PlacedEntry } from '../src/index.js'
import { MemoryFileSystem } from '@wk/fs'

async function mount(fixture: string): Promise<MemoryFileSystem> {
  const fs = await newMemory()
  for (const [name, bytes] of fixtureFiles(fixture)) await placeFile(fs, name, bytes)
  return fs
}

function describeEntry({ entry, pointer }: PlacedEntry, bytes: Uint8Array): FixtureEntry {
  const record = bytes.slice(pointer.offset, pointer.offset + pointer.len)
  const vlen = entry.value.length
  const klen = entry.key.length + 8
  const suffix = (2n ** 64n - 1n - BigInt(entry.version)).toString(16).padStart(16, '0')
  return {
    fid: pointer.fid,
    offset: pointer.offset,
    len: pointer.len,
    hlen: pointer.len - 4 - vlen - klen,
    klen,
    vlen,
    meta: entry.meta,
    userMeta: entry.userMeta,
    expiresAt: entry.expiresAt,
    key: hex(entry.key) + suffix,
    userKey: hex(entry.key),
    version: entry.version,
    valueSha256: sha256(entry.value),
    crc32c: crc32c(record.slice(0, -4)).toString(16).padStart(8, '0'),
  }
}

describe.each(FIXTURES)('Badger 4.0.1 directory %s', (fixture) => {
  const logs = fixtureLogs(fixture)
  const encryptionKey = fixtureKey(fixture)

  test('every entry of every value log, and where it ends', async () => {
    const fs = await mount(fixture)
    const before = new Map(fixtureFiles(fixture))
    const log = await openLog(fs, { readOnly: true, encryptionKey })
    expect(log.files().map(({ fid }) => fid)).toEqual(logs.map(({ fid }) => fid))
    for (const { fid, file, entries, validEnd, size } of logs) {
      const bytes = readFile(fs, file)
      const seen: FixtureEntry[] = []
      let damage: unknown
      try {
        for await (const placed of log.iterate(fid)) seen.push(describeEntry(placed, bytes))
      } catch (error) {
        damage = error
      }
      expect(seen).toEqual(entries)
      const info = log.files().find((one) => one.fid === fid)
      if (validEnd !== size && fid !== logs.at(-1)?.fid) {
        expect(damage).toBeInstanceOf(CorruptionError)
        expect(damage).toMatchObject({ file, offset: validEnd })
      } else {
        expect(damage).toBeUndefined()
        expect(info).toMatchObject({ validEnd, size })
      }
      for (const { offset, len, userKey, version, valueSha256 } of entries) {
        const value = log.readValueSync(fid, offset, len, Buffer.from(userKey, 'hex'), version)
        expect(sha256(value)).toBe(valueSha256)
      }
    }
    const last = logs.at(-1)!
    expect(log.cutBytes).toBe(last.size - last.validEnd)
    expect(log.maxVersion).toBe(Math.max(0, ...last.entries.map(({ version }) => version)))
    await log.close()
    // Not even a LOCK stays.
    expect((await fs.list(DIR)).sort()).toEqual([...before.keys()].sort())
    for (const [name, bytes] of before) expect(hex(readFile(fs, name)), name).toBe(hex(bytes))
  })

  test('opened to write, the last log is cut to its valid end and nothing else is touched', async () => {
    const fs = await mount(fixture)
    const log = await openLog(fs, { encryptionKey })
    await log.close()
    for (const { file, validEnd, fid } of logs) {
      const original = fixtureFile(fixture, file)
      const expected = fid === logs.at(-1)?.fid ? original.slice(0, validEnd) : original
      expect(hex(readFile(fs, file))).toBe(hex(expected))
    }
  })

  test('the same entries appended with the same base IV are the same file', async () => {
    for (const { fid, keyId, entries, baseIV, dataKeyHex, validEnd, file } of logs) {
      const source = await mount(fixture)
      const from = await openLog(source, { readOnly: true, encryptionKey })
      const fs = await newMemory()
      if (dataKeyHex !== undefined) {
        const key = { id: keyId, data: Buffer.from(dataKeyHex, 'hex'), iv: new Uint8Array(16), createdAt: 0 }
        await placeFile(fs, 'KEYREGISTRY', encodeRegistry({ iv: new Uint8Array(16), keys: [key] }, encryptionKey))
      }
      const to = await ValueLog.open(DIR, { fs, encryptionKey, encryptionKeyRotationDuration: 1e12, randomBytes: () => Buffer.from(baseIV, 'hex') })
      const group = entries.map(({ offset, len }) => from.readSync({ fid, offset, len }))
      const pointers = await to.append(group)
      expect(pointers).toEqual(entries.map(({ offset, len }) => ({ fid: 1, offset, len })))
      await to.close()
      expect(hex(readFile(fs, '000001.vlog'))).toBe(hex(fixtureFile(fixture, file).slice(0, validEnd)))
    }
  })
})

describe('sweep.json: every cut, zeroed tail and flipped bit in the last two entries', () => {
  const { file, truncatedAt, zeroedFrom, lowBitFlippedAt } = sweep()
  const original = fixtureFile('mixed-1version', file)

  async function expectTail(bytes: Uint8Array, validEnd: number, entries: number): Promise<void> {
    const fs = await newMemory()
    await placeFile(fs, file, bytes)
    const log = await openLog(fs)
    expect(log.cutBytes).toBe(bytes.length - validEnd)
    expect(await collect(log.iterate(4))).toHaveLength(entries)
    await log.close()
    expect(hex(readFile(fs, file))).toBe(hex(original.slice(0, validEnd)))
  }

  test('truncated', async () => {
    for (const { cutFrom, cutTo, validEnd, entries } of truncatedAt) {
      for (let cut = cutFrom; cut <= cutTo; cut++) await expectTail(original.slice(0, cut), validEnd, entries)
    }
  })

  test('zeroed', async () => {
    for (const { cutFrom, cutTo, validEnd, entries } of zeroedFrom) {
      for (let cut = cutFrom; cut <= cutTo; cut++) {
        const bytes = original.slice().fill(0, cut)
        await expectTail(bytes, validEnd, entries)
      }
    }
  })

  test('flipped: a tail in the last entry, damage before it (where Badger cuts the valid entry behind as well)', async () => {
    for (const { at, to, validEnd, entries } of lowBitFlippedAt) {
      for (let flip = at; flip <= to; flip++) {
        const bytes = original.slice()
        bytes[flip]! ^= 1
        if (validEnd === 710) {
          await expectTailAfterFlip(bytes, validEnd, entries)
          continue
        }
        const fs = await newMemory()
        await placeFile(fs, file, bytes)
        const failure = await failureOf(openLog(fs))
        expect(failure).toBeInstanceOf(CorruptionError)
        expect(failure).toMatchObject({ file, offset: validEnd })
        expect(hex(readFile(fs, file)), 'nothing is cut').toBe(hex(bytes))
      }
    }

    async function expectTailAfterFlip(bytes: Uint8Array, validEnd: number, entries: number): Promise<void> {
      await expectTail(bytes, validEnd, entries)
    }
  })
})
