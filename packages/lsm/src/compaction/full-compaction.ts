/**
 * Plans an explicit compaction, of everything or of a range of keys: ask for the next step until there is none.
 *
 * When the last step is done all entries that the range held at the start are in the deepest level in use, and nothing
 * is left of them that the drop rules allow to drop. Steps are bounded pieces (level 0 aside), so that progress can be
 * told and aborting is quick. Writes that come after the start may stay where they are: a busy writer does not keep it
 * going. Above the deepest level they are told by their sequence numbers; in it, tables that were written since the
 * start, by this compaction or any other, are told by their file numbers, which never come back.
 */
import { isAtOrAfterStart, isAtOrBeforeEnd } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { hullOf } from './job.js'
import type { JobInput } from './job.js'
import { levelTargets } from './level-targets.js'
import { bytesOf, conflicts, levelZeroClosure, makePick, overlapping } from './pick.js'
import type { CompactionPick, Levels } from './pick.js'
import type { PickInput } from './picker.js'

export interface FullCompactionInput extends Pick<PickInput, 'levels' | 'options' | 'running'> {
  /**
   * The highest sequence number in the tables when the compaction was asked for. Default: later writes count, too, and
   * a busy writer keeps the compaction going.
   */
  sequence?: number
  /** A file number that was not yet in use when the compaction was asked for; all smaller ones were. */
  floor: number
  /**
   * Whether a table of the deepest level may hold entries that can be dropped: tombstones, expired and older versions
   * ({@link TableCache.mayHoldGarbage} reads it from the table's properties). Default: every table may.
   */
  mayHoldGarbage?: (table: TableSummary) => boolean
  /** Only tables that may hold keys of it. Default: all. */
  range?: KeyRange
}

export type FullCompactionStep =
  /** Run `pick`, publish it, ask again. */
  | { type: 'run'; pick: CompactionPick }
  /** A compaction that runs is in the way: ask again when it has ended. */
  | { type: 'wait' }
  /** Nothing is left to do. */
  | { type: 'done' }

/** Tables' worth of bytes, times `tableSize`, of the upper level that one step takes. */
const STEP_TABLES = 8

/** The next step of the compaction. */
export function planFullCompaction(input: FullCompactionInput): FullCompactionStep {
  const pick = nextPick(input)
  if (pick === undefined) return { type: 'done' }
  return input.running.some((other) => conflicts(pick, other)) ? { type: 'wait' } : { type: 'run', pick }
}

/** Bytes of the tables that the steps to come will read from above the deepest level, for progress. */
export function remainingBytes(input: FullCompactionInput): number {
  const { levels } = input
  const last = lastFilled(levels)
  let bytes = 0
  for (let level = 0; level < levels.length; level++) {
    const isDue = level < last ? isOld(input) : isUnwritten(input)
    bytes += bytesOf(inRange(levels[level] ?? [], input.range).filter(isDue))
  }
  return bytes
}

function nextPick(input: FullCompactionInput): CompactionPick | undefined {
  const { levels, options, range } = input
  const limit = options.tableSize * STEP_TABLES
  const make = (inputs: JobInput[], output: number): CompactionPick =>
    makePick(levels, 'full', inputs, output, options.maxGrandparentOverlap)

  const wanted = new Set(inRange(levels[0] ?? [], range).filter(isOld(input)))
  if (wanted.size > 0) {
    const { baseLevel } = levelTargets(levels, options)
    const tables = levelZeroClosure(levels[0] ?? [], (table) => wanted.has(table), false)
    const lower = overlapping(levels[baseLevel] ?? [], hullOf(tables))
    return make([{ level: 0, tables }, { level: baseLevel, tables: lower }], baseLevel)
  }

  const last = lastFilled(levels)
  for (let level = 1; level < last; level++) {
    const tables = leading(inRange(levels[level] ?? [], range).filter(isOld(input)), limit)
    if (tables.length === 0) continue
    // Straight to the bottom: in each level on the way what overlaps comes along.
    const inputs: JobInput[] = [{ level, tables }]
    const taken = [...tables]
    for (let below = level + 1; below <= last; below++) {
      const more = overlapping(levels[below] ?? [], hullOf(taken))
      inputs.push({ level: below, tables: more })
      taken.push(...more)
    }
    return make(inputs, last)
  }

  if (last === 0) return undefined
  const bottom = inRange(levels[last] ?? [], range)
  const start = bottom.findIndex(isUnwritten(input))
  if (start < 0) return undefined
  const rest = bottom.slice(start)
  const end = rest.findIndex((table) => !isUnwritten(input)(table))
  return make([{ level: last, tables: leading(end < 0 ? rest : rest.slice(0, end), limit) }], last)
}

/** Tables above the deepest level that may hold entries from before the start. */
function isOld(input: FullCompactionInput): (table: TableSummary) => boolean {
  const { sequence = Infinity } = input
  return (table) => table.smallestSequence <= sequence
}

/** Tables of the deepest level that no compaction since the start has written, so that droppable entries may be left. */
function isUnwritten(input: FullCompactionInput): (table: TableSummary) => boolean {
  const { floor, mayHoldGarbage } = input
  return (table) => table.number < floor && (mayHoldGarbage === undefined || mayHoldGarbage(table))
}

function lastFilled(levels: Levels): number {
  for (let level = levels.length - 1; level > 0; level--) if ((levels[level] ?? []).length > 0) return level
  return 0
}

function inRange(tables: readonly TableSummary[], range: KeyRange | undefined): TableSummary[] {
  if (range === undefined) return [...tables]
  return tables.filter((table) => isAtOrAfterStart(range, table.largestKey) && isAtOrBeforeEnd(range, table.smallestKey))
}

/** The first tables, one at least, up to `limit` bytes. */
function leading(tables: readonly TableSummary[], limit: number): TableSummary[] {
  const taken: TableSummary[] = []
  let bytes = 0
  for (const table of tables) {
    if (taken.length > 0 && bytes + table.size > limit) break
    taken.push(table)
    bytes += table.size
  }
  return taken
}
