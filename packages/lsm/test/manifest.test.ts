import { ByteReader, ByteWriter, CorruptionError, formatFileName } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem, defaultRuntime } from '@wk/fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LOG_HEADER_LENGTH } from '../src/log/format.js'
import { readCurrent, writeCurrent } from '../src/manifest/current.js'
import { readManifest } from '../src/manifest/manifest-reader.js'
import type { ManifestState } from '../src/manifest/manifest-reader.js'
import { ManifestWriter } from '../src/manifest/manifest-writer.js'
import { decodeRecord, encodeEdit } from '../src/manifest/version-edit.js'
import type { VersionEdit } from '../src/manifest/version-edit.js'
import { table } from './compaction-support.js'
import { DIR } from './engine-support.js'
import { ObsoleteFiles } from '../src/obsolete-files.js'
import { VersionSet } from '../src/manifest/version-set.js'
import { Version } from '../src/manifest/version.js'
import { propertyOptions } from './iterator-support.js'
import { readFile, replaceFile } from './log-support.js'

const PATH = `${DIR}/${formatFileName('manifest', 3)}`
const EDITS: VersionEdit[] = [
  { nextFileNumber: 70, logNumber: 4, lastSequence: 0 },
  { added: [{ level: 0, table: table(5, 'a', 'm') }], lastSequence: 59, logNumber: 6, dependency: { fid: 2, offset: 900 } },
  { added: [{ level: 0, table: table(7, 'c', 'z') }], lastSequence: 79, logNumber: 8 },
  { removed: [{ level: 0, number: 5 }, { level: 0, number: 7 }], added: [{ level: 6, table: table(9, 'a', 'k') }, { level: 6, table: table(10, 'l', 'z') }] },
]

async function manifest(edits: readonly VersionEdit[]): Promise<{ fs: MemoryFileSystem; bytes: Uint8Array; ends: number[] }> {
  const fs = new MemoryFileSystem()
  await fs.mkdir(DIR)
  const [base, ...more] = edits
  const writer = await ManifestWriter.start(fs, DIR, 3, base ?? {})
  const ends = [writer.size]
  for (const edit of more) {
    await writer.append(edit)
    ends.push(writer.size)
  }
  writer.closeSync()
  return { fs, bytes: await readFile(fs, PATH), ends }
}

function tablesOf(state: ManifestState): string {
  return state.version.levels.flatMap((level, depth) => level.map(({ number }) => `${depth}:${number}`)).join(' ')
}

const TABLES = ['', '0:5', '0:7 0:5', '6:9 6:10']

async function read(fs: MemoryFileSystem): Promise<ManifestState> {
  return readManifest(fs, DIR, 3, defaultRuntime)
}

describe('a version edit', () => {
  test('survives encoding', () => {
    const uint = fc.nat({ max: Number.MAX_SAFE_INTEGER })
    const edits = fc.record(
      {
        base: fc.constant(true),
        nextFileNumber: uint,
        logNumber: uint,
        lastSequence: fc.nat({ max: 2 ** 48 - 1 }),
        droppedTombstone: fc.nat({ max: 2 ** 48 - 1 }),
        dependency: fc.record({ fid: fc.nat({ max: 2 ** 32 - 1 }), offset: uint }),
        unflushed: fc.record({ fid: fc.nat({ max: 2 ** 32 - 1 }), offset: fc.nat({ max: 2 ** 32 - 1 }) }),
        removed: fc.array(fc.record({ level: fc.nat({ max: 31 }), number: uint }), { minLength: 1 }),
        added: fc.array(
          fc.record({
            level: fc.nat({ max: 31 }),
            table: fc.record({ number: fc.integer({ min: 1, max: 1e9 }), from: fc.uint8Array({ maxLength: 5 }), more: fc.uint8Array({ maxLength: 5 }), fids: fc.uniqueArray(fc.nat({ max: 1e6 })) }).map(
              ({ number, from, more, fids }) => ({
                ...table(number, '', ''),
                smallestKey: from,
                largestKey: Uint8Array.of(...from, ...more),
                references: fids.sort((a, b) => a - b).map((fid) => ({ fid, count: 3, bytes: 2 ** 40 })),
              }),
            ),
          }),
          { minLength: 1 },
        ),
        cleanClose: fc.record({ vlogFid: fc.nat({ max: 2 ** 32 - 1 }), vlogSize: uint }),
      },
      { requiredKeys: ['nextFileNumber'] },
    )
    fc.assert(
      fc.property(edits, (edit) => {
        const writer = new ByteWriter()
        encodeEdit(edit, writer)
        expect(decodeRecord(new ByteReader(writer.toBytes()))).toEqual({ type: 'edit', edit })
      }),
      propertyOptions<[VersionEdit]>(200),
    )
  })

  test('of random bytes is a typed error, never another', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeRecord(new ByteReader(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError)
        }
      }),
      propertyOptions<[Uint8Array]>(2000),
    )
  })
})

describe('a manifest', () => {
  test('gives back the state after its last edit', async () => {
    const { fs } = await manifest(EDITS)
    const state = await read(fs)
    expect(tablesOf(state)).toBe(TABLES[3])
    expect(state).toMatchObject({ number: 3, nextFileNumber: 70, logNumber: 8, lastSequence: 79, dependency: { fid: 2, offset: 900 } })
    expect(state.cleanClose).toBeUndefined()
  })

  test('cut at every length holds the whole edits before the cut', async () => {
    const { fs, bytes } = await manifest(EDITS)
    const whole: number[] = []
    for (let length = 0; length <= bytes.length; length++) {
      await replaceFile(fs, PATH, bytes.subarray(0, length))
      const state = await read(fs).catch((error: unknown) => error)
      if (state instanceof CorruptionError) {
        // Only a manifest without its first edit: CURRENT never names one.
        expect(whole).toEqual([])
        continue
      }
      const edits = TABLES.indexOf(tablesOf(state as ManifestState))
      expect(edits).toBeGreaterThanOrEqual(whole.at(-1) ?? 0)
      whole.push(edits)
    }
    expect(new Set(whole)).toEqual(new Set([0, 1, 2, 3]))
  })

  test('with any flipped byte is damaged: every edit is followed by its seal', async () => {
    const { fs, bytes, ends } = await manifest(EDITS)
    const lastSeal = (ends.at(-1) ?? 0) - 11
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = bytes.slice()
        damaged[at] = (damaged[at] ?? 0) ^ flip
        await replaceFile(fs, PATH, damaged)
        const state = await read(fs).catch((error: unknown) => error)
        if (state instanceof CorruptionError) expect(state.file).toBe('MANIFEST-000003')
        else {
          // The seal that nothing follows was never promised: all edits are there without it.
          expect(at, `byte ${at}`).toBeGreaterThanOrEqual(lastSeal)
          expect(tablesOf(state as ManifestState)).toBe(TABLES[3])
        }
      }
    }
  })

  test('an edit that outlives the seal before it, in a crash, is no damage: wherever in a sector the seal ends', async () => {
    const fs = new MemoryFileSystem()
    await fs.mkdir(DIR)
    const writer = await ManifestWriter.start(fs, DIR, 3, { nextFileNumber: 70, logNumber: 4, lastSequence: 0 })
    const crashed: { clone: MemoryFileSystem; where: string }[] = []
    let overhead = 0
    let crossing = 0
    for (let i = 0; i < 60; i++) {
      // Seals that begin up to 14 bytes before a sector, or right with it: each is 12 or 13 long.
      const wanted = 512 - (i % 15)
      const keyLength = 130 + (((wanted - writer.size - overhead - 130) % 512) + 512) % 512
      fs.onMutatingOperation = (index, { kind, position = 0, length = 0 }) => {
        if (kind === 'write' && length > 100) overhead = length - keyLength
        else if (kind === 'write' && position % 512 > (position + length) % 512) crossing++
        if (kind === 'sync') for (let seed = 0; seed < 16; seed++) crashed.push({ clone: fs.crashClone(seed % 2 === 0 ? 'P3' : 'P4', index * 100 + seed), where: `${index} ${seed}` })
      }
      const added = [{ level: 0, table: { ...table(5 + i, 'a'.repeat(keyLength), 'z'), smallestSequence: i + 1, largestSequence: i + 1 } }]
      await writer.append({ lastSequence: i + 1, added })
    }
    fs.onMutatingOperation = undefined
    writer.closeSync()
    expect(crossing).toBeGreaterThan(30)
    for (const { clone, where } of crashed) await expect(read(clone), where).resolves.toMatchObject({ number: 3 })
  })

  test('after a failed write or sync nothing more is written (CR13), and what was promised is read', async () => {
    for (const operation of ['write', 'sync'] as const) {
      const memory = new MemoryFileSystem()
      await memory.mkdir(DIR)
      const fs = new FaultFileSystem(memory)
      const writer = await ManifestWriter.start(fs, DIR, 3, EDITS[0]!)
      await writer.append(EDITS[1]!)
      fs.add({ operation, path: /MANIFEST/, errno: 'EIO' })
      const failure = await writer.append(EDITS[2]!).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'WK_IO', cause: { code: 'EIO' } })
      const size = (await readFile(memory, PATH)).length
      const again = await writer.append(EDITS[3]!).catch((error: unknown) => error)
      expect(again).toMatchObject({ code: 'WK_READ_ONLY' })
      expect((again as Error).cause).toBe(failure)
      expect((await readFile(memory, PATH)).length).toBe(size)
      writer.closeSync()
      expect(tablesOf(await read(memory.crashClone('P0')))).toBe(TABLES[1])
      expect([TABLES[1], TABLES[2]]).toContain(tablesOf(await read(memory)))
    }
  })

  test('after a clean close nothing may follow', async () => {
    const { fs, bytes } = await manifest([...EDITS, { cleanClose: { vlogFid: 7, vlogSize: 4096 } }])
    expect((await read(fs)).cleanClose).toEqual({ vlogFid: 7, vlogSize: 4096 })
    for (const length of [1, 8, 100]) {
      await replaceFile(fs, PATH, Uint8Array.of(...bytes, ...new Uint8Array(length).fill(7)))
      await expect(read(fs)).rejects.toBeInstanceOf(CorruptionError)
    }
  })

  test('that contradicts itself is damaged', async () => {
    const bad: VersionEdit[][] = [
      [{ nextFileNumber: 9 }, { nextFileNumber: 8 }],
      [{ lastSequence: 9 }, { lastSequence: 8 }],
      [{ logNumber: 9 }, { logNumber: 8 }],
      [{}, { removed: [{ level: 0, number: 1 }] }],
      [{}, { base: true }],
      [{ added: [{ level: 0, table: table(1, 'a', 'b') }] }, { added: [{ level: 3, table: table(1, 'x', 'y') }] }],
      [{ added: [{ level: 1, table: table(1, 'a', 'c') }, { level: 1, table: table(2, 'c', 'd') }] }],
      [{ cleanClose: { vlogFid: 0, vlogSize: 0 } }, { lastSequence: 3 }],
    ]
    for (const edits of bad) {
      const { fs } = await manifest(edits)
      await expect(read(fs), JSON.stringify(edits)).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: 'MANIFEST-000003' })
    }
  })

  test('missing or of another number is corruption', async () => {
    const { fs, bytes } = await manifest(EDITS)
    await expect(readManifest(fs, DIR, 4, defaultRuntime)).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: 'MANIFEST-000004' })
    await replaceFile(fs, `${DIR}/MANIFEST-000004`, bytes)
    await expect(readManifest(fs, DIR, 4, defaultRuntime)).rejects.toMatchObject({ code: 'WK_CORRUPTION', offset: 8 })
    await replaceFile(fs, PATH, bytes.subarray(0, LOG_HEADER_LENGTH))
    await expect(read(fs)).rejects.toMatchObject({ code: 'WK_CORRUPTION', offset: LOG_HEADER_LENGTH })
  })
})

test('the worked example of the format page', async () => {
  const summary = { ...table(14, 'a', 'b'), size: 420, entries: 2, tombstones: 1, smallestSequence: 301, largestSequence: 302, keyBytes: 2, valueBytes: 1 }
  const { bytes } = await manifest([
    { nextFileNumber: 68, logNumber: 0, lastSequence: 0 },
    { logNumber: 13, lastSequence: 302, dependency: { fid: 2, offset: 20 }, added: [{ level: 0, table: summary }] },
    { cleanClose: { vlogFid: 2, vlogSize: 20 }, lastSequence: 302 },
  ])
  expect(Buffer.from(bytes).toString('hex').match(/.{1,32}/g)).toEqual([
    '574b4d46010000000300000000000000',
    'd867561407000000010244030004001a',
    '270b9d02000000091fe45efa4c1b0000',
    '00030d04ae0205021406000ea4030201',
    '0001610162ad02ae02020100079b103c',
    '02000000094cfdde92f20600000004ae',
    '02080214',
  ])
})

describe('a version set', () => {
  async function versionSet(fs: MemoryFileSystem): Promise<VersionSet> {
    await fs.mkdir(DIR)
    const options = { fs, dir: DIR, obsolete: new ObsoleteFiles(fs, DIR), onFailure: () => undefined }
    const versions = new VersionSet(options, { version: Version.empty(7), nextFileNumber: 1, logNumber: 0, lastSequence: 0, dependency: undefined, unflushed: undefined, droppedTombstone: 0 })
    await versions.startManifest()
    return versions
  }

  test('writes the manifest anew when it has grown, and crashes leave one or the other', async () => {
    const fs = new MemoryFileSystem()
    const versions = await versionSet(fs)
    const clones: { clone: MemoryFileSystem; number: number }[] = []
    let number = 0
    fs.onMutatingOperation = (index, { kind }) => {
      if (kind !== 'write') clones.push({ clone: fs.crashClone(index % 2 === 0 ? 'P0' : 'P3', index), number })
    }
    const long = 'k'.repeat(60_000)
    for (let i = 0; i < 40; i++) {
      const next = await versions.allocate()
      const removed = number === 0 ? [] : [{ level: 1, number }]
      await versions.commit({ removed, added: [{ level: 1, table: table(next, long, `${long}z`) }] })
      number = next
    }
    fs.onMutatingOperation = undefined
    await versions.close()
    expect(versions.manifestNumber).toBeGreaterThan(1)
    expect((await fs.list(DIR)).filter((name) => name.startsWith('MANIFEST'))).toHaveLength(1)
    for (const { clone, number: least } of clones) {
      const current = readCurrent(clone, DIR)
      expect(current).toBeDefined()
      const state = await readManifest(clone, DIR, current ?? 0, defaultRuntime)
      expect(Math.max(0, ...[...state.version.tables()].map((each) => each.number))).toBeGreaterThanOrEqual(least)
    }
  })

  test('law 11: numbers are reserved durably before they are given out', async () => {
    const fs = new MemoryFileSystem()
    const versions = await versionSet(fs)
    let last = versions.manifestNumber
    for (const count of [1, 1, 10, 100, 1000, 1, 63, 64, 65]) {
      const numbers = await versions.allocateMany(count)
      expect(numbers[0]).toBe(last + 1)
      last = numbers.at(-1) ?? 0
      const state = await readManifest(fs.crashClone('P0'), DIR, versions.manifestNumber, defaultRuntime)
      expect(state.nextFileNumber).toBeGreaterThan(last)
    }
    const together = await Promise.all([versions.allocateMany(70), versions.allocateMany(70), versions.allocate()])
    const all = together.flat()
    expect(new Set(all).size).toBe(141)
    await versions.close()
  })

  test('law 11: a reservation that a larger one overtook does not go back in the manifest, which would be damage at the next open', async () => {
    const fs = new MemoryFileSystem()
    const versions = await versionSet(fs)
    const written = (): Promise<ManifestState> => readManifest(fs.crashClone('P0'), DIR, versions.manifestNumber, defaultRuntime)
    for (const counts of [[9, 2], [2, 9], [70, 1, 5]]) {
      // A compaction and a flush that find the block used up in the same turn.
      await versions.allocateMany((await written()).nextFileNumber - versions.nextFileNumber)
      const numbers = (await Promise.all(counts.map((count) => versions.allocateMany(count)))).flat()
      expect(new Set(numbers).size).toBe(numbers.length)
      expect((await written()).nextFileNumber).toBeGreaterThan(Math.max(...numbers))
    }
    await versions.close()
  })
})

describe('CURRENT', () => {
  test('names the manifest, atomically replaced', async () => {
    const fs = new MemoryFileSystem()
    await fs.mkdir(DIR)
    expect(readCurrent(fs, DIR)).toBeUndefined()
    await writeCurrent(fs, DIR, 3)
    const clones: MemoryFileSystem[] = []
    fs.onMutatingOperation = () => void clones.push(...(['P0', 'P1', 'P3', 'P5'] as const).map((policy) => fs.crashClone(policy, clones.length)))
    await writeCurrent(fs, DIR, 12)
    expect(readCurrent(fs, DIR)).toBe(12)
    for (const clone of clones) expect([3, 12]).toContain(readCurrent(clone, DIR))
  })

  test('with any other content is corruption', async () => {
    const fs = new MemoryFileSystem()
    await fs.mkdir(DIR)
    for (const content of ['', 'MANIFEST-000003', 'MANIFEST-3\n', '../MANIFEST-000003\n', 'MANIFEST-000003\n\n', 'CURRENT\n', 'MANIFEST-000003\n'.padEnd(200, ' '), 'MANIFEST-0000000000000003\n', 'MANIFEST-00000\u0000\n']) {
      await replaceFile(fs, `${DIR}/CURRENT`, Buffer.from(content, 'latin1'))
      await expect((async () => readCurrent(fs, DIR))(), content).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: 'CURRENT', offset: 0 })
    }
  })
})
