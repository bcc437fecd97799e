/** A value log with gaps in its first files, for tests of what goes into them. */
import { CorruptionError } from '@wk/codec'
import type { FileSystem, MemoryFileSystem } from '@wk/fs'
import { expect } from 'vitest'
import type { GapPlan, RecordRanges, ValueLog, ValueLogOptions } from '../../src/index.js'
import { mulberry, randomBytes, SEED } from './bytes.js'
import { appendAll, collect, lineOf, newMemory, openLog, type Kept } from './memory-log.js'

/** Dead bytes that become a gap. */
export const LEAST = 8192

/** A host with durable marks, which says what it refers to. */
export const host = (...fids: number[]): ValueLogOptions => ({ durable: { fid: 1, offset: 20 }, lock: false, expectedFids: new Set(fids) })

export const inFile = (kept: readonly Kept[], ...fids: number[]): Kept[] => kept.filter(({ pointer }) => fids.includes(pointer.fid))

export function rangesOf(kept: readonly Kept[]): Map<number, RecordRanges> {
  const ranges = new Map<number, RecordRanges>()
  for (const fid of new Set(kept.map(({ pointer }) => pointer.fid))) {
    const pointers = inFile(kept, fid).map(({ pointer }) => pointer).sort((a, b) => a.offset - b.offset)
    ranges.set(fid, { offsets: Uint32Array.from(pointers, ({ offset }) => offset), lengths: Uint32Array.from(pointers, ({ len }) => len) })
  }
  return ranges
}

const NOTHING: RecordRanges = { offsets: new Uint32Array(0), lengths: new Uint32Array(0) }

export function planGaps(log: ValueLog, number: number, live: readonly Kept[], least: number): GapPlan | undefined {
  const ranges = rangesOf(live)
  // The host says of each file what of it is alive, also that nothing is.
  for (const fid of log.physicalFiles().find((file) => file.number === number)?.logical ?? []) if (!ranges.has(fid)) ranges.set(fid, NOTHING)
  return log.gaps.plan(number, ranges, least)
}

/** Opens the gaps of one physical file; its plan. */
export async function openGaps(log: ValueLog, number: number, live: readonly Kept[], least: number): Promise<GapPlan> {
  const plan = planGaps(log, number, live, least)
  expect(plan, `gaps of file ${number}`).toBeDefined()
  expect(await log.gaps.open([plan!])).toEqual([plan])
  return plan!
}

/** A record whose version tells it from all others. */
export function recordOf(random: () => number, version: number, length: number): Kept['entry'] {
  return { key: randomBytes(random, 12), version, meta: 0, userMeta: 0, expiresAt: 0, value: randomBytes(random, length) }
}

/** Files 1 to 3 sealed and 4 active, of six records each, 10,000 bytes long but for the third of each. */
export async function prepareFiles(fs: FileSystem, seed: number, options: ValueLogOptions = {}): Promise<{ log: ValueLog; kept: Kept[]; random: () => number }> {
  const log = await openLog(fs, { maxEntries: 5, fileSize: 1 << 20, durable: null, lock: false, ...options })
  const random = mulberry(seed)
  const kept = await appendAll(log, Array.from({ length: 20 }, (_, i) => recordOf(random, i + 1, i % 6 === 2 ? 50 : 10_000)), 1)
  await log.sync()
  return { log, kept, random }
}

export function expectReadable(log: ValueLog, live: readonly Kept[], gone: readonly Kept[] = []): void {
  for (const { entry, pointer } of live) expect(lineOf(log.readSync(pointer)), JSON.stringify(pointer)).toBe(lineOf(entry))
  for (const { pointer } of gone) expect(() => log.readSync(pointer), JSON.stringify(pointer)).toThrow(CorruptionError)
}

/** Reads by every way that there is. */
export async function expectReadableAnyhow(log: ValueLog, live: readonly Kept[]): Promise<void> {
  expectReadable(log, live)
  const lines = live.map(({ entry }) => lineOf(entry))
  const pointers = live.map(({ pointer }) => pointer)
  expect((await Promise.all(pointers.map((pointer) => log.read(pointer)))).map(lineOf)).toEqual(lines)
  expect((await log.readMany(pointers)).map(lineOf)).toEqual(lines)
  expect((await collect(log.stream(pointers, { window: 3 }))).map(lineOf)).toEqual(lines)
  const values = await log.readValues(live.map(({ pointer, entry: { key, version } }) => ({ pointer, key, version })))
  values.forEach((value, i) => expect(Buffer.compare(value, live[i]!.entry.value)).toBe(0))
}

/** Of a file: records 0 to 2 are dead side by side, and 4. */
export const LIVE = (kept: readonly Kept[], fid = 1): Kept[] => inFile(kept, fid).filter((_, i) => i === 3 || i === 5)
export const GONE = (kept: readonly Kept[], fid = 1): Kept[] => inFile(kept, fid).filter((_, i) => i < 3 || i === 4)

export interface Prepared {
  fs: MemoryFileSystem
  log: ValueLog
  kept: Kept[]
  /** Appends one record of so long a value. */
  put: (length: number) => Promise<Kept>
  /** The same of several. */
  puts: (...lengths: number[]) => Promise<Kept[]>
}

export async function prepare(options: ValueLogOptions = {}): Promise<Prepared> {
  const fs = await newMemory()
  const { log, kept, random } = await prepareFiles(fs, SEED, options)
  let version = 1000
  const puts = async (...lengths: number[]): Promise<Kept[]> => appendAll(log, lengths.map((length) => recordOf(random, ++version, length)), 1)
  return { fs, log, kept, puts, put: async (length) => (await puts(length))[0]! }
}

/** Opens the gaps of files and seals the active one, so that the next record goes into them. */
export async function fill({ log, kept }: Prepared, ...numbers: number[]): Promise<GapPlan[]> {
  const plans = numbers.map((number) => planGaps(log, number, LIVE(kept, number), LEAST)!)
  expect(await log.gaps.open(plans)).toEqual(plans)
  await log.seal()
  return plans
}

/** The newest of the files in gaps of a physical one. */
export function gapFileOf(log: ValueLog, number: number): number {
  return log.physicalFiles().find((file) => file.number === number)!.logical.at(-1)!
}

/** Relocates records; the number of the file in which they are then. */
export async function move(log: ValueLog, live: readonly Kept[]): Promise<number> {
  const relocation = await log.createRelocation()
  for (const { pointer: { fid, offset, len } } of live) await relocation.copy(fid, offset, len)
  return (await relocation.finish()).number!
}
