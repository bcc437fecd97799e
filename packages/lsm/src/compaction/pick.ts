/**
 * A pick: one compaction that may run, with everything that follows from its inputs.
 *
 * Here are the rules that every pick keeps, whoever chose the inputs: which tables must come along so that the order
 * of versions holds, which keys may lie deeper, when a table can move without being rewritten, and which picks must
 * not run at the same time. Pure functions over table summaries.
 */
import { compareBytes } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { hullOf, intersects, intervalOf, outputCountBound, unionOf } from './job.js'
import type { CompactionJob, JobInput, JobOptions, KeyInterval } from './job.js'
import type { PointerMove } from './pointer-moves.js'

/** `Version.levels`: level 0 newest first, the others sorted by key and disjoint. */
export type Levels = readonly (readonly TableSummary[])[]

/**
 * Why it was picked. `l0`, `size`: a level is too large. `reclaim`: it frees space that deleted or overwritten entries
 * hold. `rewrite`: nothing lies below, its tombstones can go. `full`: part of an explicit compaction. `pointers`: its pointers are
 * to be written anew.
 */
export type PickReason = 'l0' | 'size' | 'reclaim' | 'rewrite' | 'full' | 'pointers'

export interface CompactionPick {
  reason: PickReason
  /** Upper levels first; never empty, no input without tables. */
  inputs: JobInput[]
  outputLevel: number
  /** All inputs are of one level and may be moved to `outputLevel` by a version edit alone. */
  trivialMove: boolean
  /** The keys of all inputs lie inside. */
  hull: KeyInterval
  deeper: KeyInterval[]
  grandparents: (KeyInterval & { size: number })[]
  /** Pointers into these value-log files are written anew on the way. */
  moves?: readonly PointerMove[]
}

/** Tables of a level from 1 that share a key with `interval`, in order. A binary search, then a walk. */
export function overlapping(tables: readonly TableSummary[], interval: KeyInterval): TableSummary[] {
  let low = 0
  let high = tables.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes(tables[middle]!.largestKey, interval.smallest) < 0) low = middle + 1
    else high = middle
  }
  const found: TableSummary[] = []
  for (let i = low; i < tables.length; i++) {
    const table = tables[i]!
    if (compareBytes(table.smallestKey, interval.largest) > 0) break
    found.push(table)
  }
  return found
}

export function bytesOf(tables: Iterable<{ size: number }>): number {
  let bytes = 0
  for (const { size } of tables) bytes += size
  return bytes
}

/**
 * The tables of level 0 that have to leave it together with `seeds`: every older one that overlaps, since a version
 * must never sink below an older one. Newest first. With `newerToo` also the newer ones that overlap, so that one
 * compaction takes the whole heap.
 */
export function levelZeroClosure(
  levelZero: readonly TableSummary[],
  isSeed: (table: TableSummary) => boolean,
  newerToo: boolean,
): TableSummary[] {
  const chosen = new Set(levelZero.filter(isSeed))
  for (let grown = chosen.size > 0; grown; ) {
    grown = false
    let above: TableSummary[] = []
    if (newerToo) above = [...chosen]
    for (const table of levelZero) {
      if (chosen.has(table)) {
        if (!newerToo) above.push(table)
      } else if (above.some((other) => intersects(intervalOf(other), intervalOf(table)))) {
        chosen.add(table)
        above.push(table)
        grown = true
      }
    }
  }
  return levelZero.filter((table) => chosen.has(table))
}

/** Completes a pick from its inputs (empty ones are left out). Requires at least one table. */
export function makePick(
  levels: Levels,
  reason: PickReason,
  inputs: JobInput[],
  outputLevel: number,
  maxGrandparentOverlap: number,
): CompactionPick {
  const filled = inputs.filter(({ tables }) => tables.length > 0)
  const hull = hullOf(filled.flatMap(({ tables }) => tables))
  const below: TableSummary[] = []
  for (let level = outputLevel + 1; level < levels.length; level++) below.push(...overlapping(levels[level] ?? [], hull))
  const deeper = unionOf(below.map(intervalOf))
  const grandparents = overlapping(levels[outputLevel + 1] ?? [], hull).map((table) => ({ ...intervalOf(table), size: table.size }))
  const only = filled[0]!
  const trivialMove =
    filled.length === 1 &&
    only.level < outputLevel &&
    (only.level > 0 || only.tables.length === 1) &&
    bytesOf(grandparents) <= maxGrandparentOverlap &&
    // A rewrite drops the tombstones at once; after a move somebody would have to come back for them.
    (deeper.length > 0 || only.tables.every(({ tombstones }) => tombstones === 0))
  return { reason, inputs: filled, outputLevel, trivialMove, hull, deeper, grandparents }
}

/**
 * Whether two picks must not run at the same time: they share a table, or they work on the same keys in the same
 * levels.
 */
export function conflicts(a: CompactionPick, b: CompactionPick): boolean {
  const numbers = new Set(a.inputs.flatMap(({ tables }) => tables.map(({ number }) => number)))
  if (b.inputs.some(({ tables }) => tables.some(({ number }) => numbers.has(number)))) return true
  const aTop = a.inputs[0]!.level
  const bTop = b.inputs[0]!.level
  return aTop <= b.outputLevel && bTop <= a.outputLevel && intersects(a.hull, b.hull)
}

/** How many file numbers {@link jobOf} wants for a pick. */
export function fileNumbersFor(pick: CompactionPick, options: JobOptions): number {
  return outputCountBound(
    pick.inputs.flatMap(({ tables }) => tables),
    pick.grandparents,
    options,
  )
}

/** The tables that go with an edit which publishes a pick. */
export function removedBy(pick: CompactionPick): { level: number; number: number }[] {
  return pick.inputs.flatMap(({ level, tables }) => tables.map(({ number }) => ({ level, number })))
}

/** The job that does what the pick says. Requires a pick that is no trivial move, and at least one file number. */
export function jobOf(
  pick: CompactionPick,
  rest: { dir: string; fileNumbers: number[]; options: JobOptions; snapshots: number[]; now: number },
): CompactionJob {
  const { inputs, outputLevel, deeper, grandparents, moves } = pick
  return { type: 'compact', ...rest, inputs, outputLevel, deeper, grandparents, ...(moves === undefined ? {} : { moves }) }
}
