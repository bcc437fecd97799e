/** The second address of a relocated record: the file that holds it, and the place there. */
import { CorruptionError } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { DirectPlaces, ValueLog } from '../src/index.js'
import { decodeRunTables, encodeRunTables, readTableOffset, RELOCATED_FOOTER_LENGTH, RunTableBuilder } from '../src/run-table.js'
import type { RelocatedLogical } from '../src/run-table.js'
import { mulberry, SEED } from './support/bytes.js'
import { appendAll, collect, DIR, entryOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

/** A host with durable marks, which says what it refers to. */
const host = (...fids: number[]): object => ({ durable: { fid: 1, offset: 20 }, lock: false, expectedFids: new Set(fids) })

/** Files 1 to 3 sealed and 4 active, of five records each. */
async function prepare(fs?: MemoryFileSystem, options: object = {}): Promise<{ fs: MemoryFileSystem; log: ValueLog; kept: Kept[] }> {
  fs ??= await newMemory()
  const log = await openLog(fs, { maxEntries: 5, fileSize: 1 << 20, durable: null, lock: false, ...options })
  const random = mulberry(SEED)
  const kept = await appendAll(log, Array.from({ length: 20 }, () => entryOf(random, 300)), 1)
  await log.sync()
  return { fs, log, kept }
}

/** Relocates records; the number of the file in which they are then. */
async function move(log: ValueLog, live: Kept[]): Promise<number> {
  const relocation = await log.createRelocation()
  for (const { pointer: { fid, offset, len } } of live) await relocation.copy(fid, offset, len)
  return (await relocation.finish()).number!
}

function placed({ starts, lengths, positions, target }: DirectPlaces, live: readonly Kept[]): Kept[] {
  return live.map(({ entry, pointer }) => {
    const run = starts.findLastIndex((start) => start <= pointer.offset)
    expect(pointer.offset + pointer.len).toBeLessThanOrEqual(starts[run]! + lengths[run]!)
    return { entry, pointer: { ...pointer, fid: target, offset: positions[run]! + pointer.offset - starts[run]! } }
  })
}

const inFile = (kept: Kept[], fid: number): Kept[] => kept.filter(({ pointer }) => pointer.fid === fid)
const everyOther = (kept: Kept[], rest = 0): Kept[] => kept.filter((_, i) => i % 2 === rest)

function expectReadable(log: ValueLog, live: readonly Kept[]): void {
  for (const { entry, pointer } of live) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
}

function expectGone(log: ValueLog, dead: readonly Kept[]): void {
  for (const { pointer } of dead) expect(() => log.readSync(pointer)).toThrow(CorruptionError)
}

describe('direct places', () => {
  test('lead to the same records; a file that nothing is left of but them takes no run tables', async () => {
    const { fs, log, kept } = await prepare()
    const live = everyOther([...inFile(kept, 1), ...inFile(kept, 2)])
    const number = await move(log, live)
    expect(log.physicalFiles().find((file) => file.number === number)).toMatchObject({ logical: [1, 2], runs: live.length })
    const direct = [1, 2].flatMap((fid) => placed(log.directPlaces(fid)!, inFile(live, fid)))
    expectReadable(log, [...live, ...direct])
    expect(log.physicalFiles().find((file) => file.number === number)).toMatchObject({ logical: [1, 2, number], runs: live.length, sealed: true })
    expect(await collect(log.iterate(number))).toHaveLength(live.length)
    expect(await log.verify()).toMatchObject({ ok: true, records: live.length + inFile(kept, 3).length + inFile(kept, 4).length })
    await log.dropLogical([1, 2])
    expect(log.physicalFiles().find((file) => file.number === number)).toMatchObject({ logical: [number], runs: 0 })
    expectReadable(log, direct)
    expectGone(log, live)
    await log.close()

    const again = await openLog(fs, host(3, 4, number))
    expect(again.physicalFiles().find((file) => file.number === number)).toMatchObject({ logical: [1, 2, number], runs: 0 })
    expectReadable(again, direct)
    expectGone(again, live)
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test('are there again only where the host refers to them; what it does not refer to takes no memory', async () => {
    const { fs, log, kept } = await prepare()
    const live = [...everyOther(inFile(kept, 1)), ...everyOther(inFile(kept, 2), 1)]
    const number = await move(log, live)
    const direct = placed(log.directPlaces(2)!, inFile(live, 2))
    await log.close()
    const both = await openLog(fs, { ...host(1, 2, 3, 4, number), readOnly: true })
    expectReadable(both, [...live, ...direct])
    await both.close()
    const one = await openLog(fs, { ...host(2, 3, 4), readOnly: true })
    expect(one.physicalFiles().find((file) => file.number === number)).toMatchObject({ logical: [1, 2], runs: inFile(live, 2).length })
    expectReadable(one, inFile(live, 2))
    expectGone(one, [...direct, ...inFile(live, 1)])
    await one.close()
    await expect(openLog(fs, host(2, 3, 4, number + 1))).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
    const salvaged = await openLog(fs, { readOnly: true, lock: false, salvage: true })
    expectReadable(salvaged, [...live, ...direct])
    await salvaged.close()
  })

  test('move on with their file, beside or without the old ones', async () => {
    for (const keepsOld of [true, false]) {
      const { fs, log, kept } = await prepare()
      const live = [...inFile(kept, 1), ...inFile(kept, 2)]
      const number = await move(log, live)
      const direct = everyOther([1, 2].flatMap((fid) => placed(log.directPlaces(fid)!, inFile(live, fid))))
      if (!keepsOld) await log.dropLogical([1, 2])
      const old = keepsOld ? everyOther(live, 1) : []
      const next = await move(log, [...old, ...direct])
      expect(await fs.list(DIR)).not.toContain(`00000${number}.rlog`)
      expectReadable(log, [...old, ...direct])
      const further = placed(log.directPlaces(number)!, direct)
      expect(new Set(further.map(({ pointer }) => pointer.fid))).toEqual(new Set([next]))
      expectReadable(log, further)
      await log.close()
      const again = await openLog(fs, host(...(keepsOld ? [1, 2] : []), 3, 4, number, next))
      expectReadable(again, [...old, ...direct, ...further])
      expect(await again.verify()).toMatchObject({ ok: true })
      // The newest of what was written is no relocated file.
      expect(again.position().fid).toBe(4)
      const entries: unknown[] = []
      for await (const { pointer } of again.recordsFrom({ fid: 3, offset: 20 })) entries.push(pointer.fid)
      expect(new Set(entries)).toEqual(new Set([3, 4]))
      await again.close()
    }
  })

  test('do not say that older files were synced: their torn tails are cut', async () => {
    const { fs, log, kept } = await prepare()
    const number = await move(log, inFile(kept, 1))
    const direct = placed(log.directPlaces(1)!, inFile(kept, 1))
    await log.dropLogical([1])
    await move(log, direct)
    expect(number).toBeGreaterThan(3)
    await log.close()
    const whole = await readFile(fs, '000002.vlog')
    await placeFile(fs, '000002.vlog', Uint8Array.of(...whole, 0, 0, 0, 0, 0, 0, 0))
    const again = await openLog(fs, host(2, 3, 4, number))
    expect(again.cutBytes).toBe(7)
    expectReadable(again, [...inFile(kept, 2), ...direct])
    await again.close()
  })

  test('are refused where there are none', async () => {
    const { log } = await prepare()
    expect(log.directPlaces(1)).toBeUndefined()
    expect(log.directPlaces(77)).toBeUndefined()
    await log.close()
    const encrypted = await prepare(undefined, { encryptionKey: new Uint8Array(16).fill(7) })
    const number = await move(encrypted.log, inFile(encrypted.kept, 1))
    expect(encrypted.log.directPlaces(1)).toBeUndefined()
    expect(encrypted.log.physicalFiles().find((file) => file.number === number)?.logical).toEqual([1])
    await encrypted.log.close()
  })
})

describe('run tables with direct files', () => {
  const logical = (fid: number, direct: boolean): RelocatedLogical => {
    const runs = new RunTableBuilder()
    runs.add(20, 20, 40)
    return { fid, end: 500, keyId: 0, baseIv: new Uint8Array(12), direct, runs: runs.build() }
  }

  function decode(bytes: Uint8Array, wanted?: ReadonlySet<number>): RelocatedLogical[] {
    const size = 60 + bytes.length
    const offset = readTableOffset(bytes.subarray(bytes.length - RELOCATED_FOOTER_LENGTH), size, 'f')
    return decodeRunTables(bytes, 20, offset, 'f', { wanted })
  }

  test('list them behind the others, and leave out runs that nobody wants', () => {
    const bytes = encodeRunTables([logical(9, true), logical(12, false), logical(4, true), logical(2, false)], 20, 60)
    expect(decode(bytes).map(({ fid, direct, runs }) => [fid, direct, runs.count])).toEqual([[2, false, 1], [12, false, 1], [4, true, 1], [9, true, 1]])
    expect(decode(bytes, new Set([4, 12])).map(({ fid, runs }) => [fid, runs.count])).toEqual([[2, 0], [12, 1], [4, 1], [9, 0]])
  })

  test('are damaged where they are out of order within their kind', () => {
    expect(() => decode(encodeRunTables([logical(9, true), logical(9, true)], 20, 60))).toThrow(CorruptionError)
    expect(() => decode(encodeRunTables([logical(20, true)], 20, 60))).toThrow(CorruptionError)
  })
})
