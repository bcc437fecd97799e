/**
 * Estimates of the garbage that compacting a table would free: entries below it that its tombstones delete and its
 * values overwrite, with the value-log records they hold on to.
 *
 * The tree itself may be tiny and within all its targets while gigabytes of dead values are referenced from its lower
 * levels; sizes of tables don't show that. How many of a table's entries overwrite something cannot be known without
 * reading, so it is learnt from the compactions that ran (`learnShadowRatio`).
 */
import type { TableSummary } from '@wk/sstable'
import { hullOf, intersects, intervalOf } from './job.js'
import type { JobResult } from './job.js'
import { bytesOf, overlapping } from './pick.js'
import type { CompactionPick, Levels } from './pick.js'

/** Part of a compaction's upper entries that hid an older one, as long as nothing is known. */
export const INITIAL_SHADOW_RATIO = 0.5

const NEWEST_WEIGHT = 0.75

/** The new ratio of overwriting entries after a compaction. */
export function learnShadowRatio(before: number, pick: CompactionPick, result: JobResult): number {
  let upper = 0
  for (const { level, tables } of pick.inputs) {
    if (level < pick.outputLevel) for (const { entries, tombstones } of tables) upper += entries - tombstones
  }
  if (upper === 0 || pick.inputs.length < 2) return before
  return before + NEWEST_WEIGHT * (Math.min(1, result.dropped.shadowed / upper) - before)
}

/** Bytes that live entries and the values they point to take. */
export function dataBytes(tables: Iterable<TableSummary>): number {
  let bytes = 0
  for (const table of tables) {
    bytes += table.keyBytes + table.valueBytes
    for (const reference of table.references) bytes += reference.bytes
  }
  return bytes
}

export interface Garbage {
  level: number
  table: TableSummary
  /** Estimated bytes, of tables and value log, that go when the table has been merged with all that lies below. */
  freed: number
  /** Bytes to read for bringing it one level down. */
  cost: number
  /** Tombstones, or expired entries, make up much of the table. */
  isHeavy: boolean
  /** Nothing lies below. */
  isBottommost: boolean
}

/** From this part of a table on, tombstones are worth a compaction of their own. */
const HEAVY_TOMBSTONES = 0.25

/** The estimate for each table that may free something. `now` in Unix seconds. */
export function estimateGarbage(levels: Levels, shadowRatio: number, now: number): { total: number; tables: Garbage[] } {
  const all = levels.flat()
  let live = 0
  for (const { entries, tombstones } of all) live += entries - tombstones
  const total = dataBytes(all)
  const average = live === 0 ? 0 : total / live
  const tables: Garbage[] = []
  for (let level = 0; level < levels.length; level++) {
    const siblings = levels[level] ?? []
    for (let i = 0; i < siblings.length; i++) {
      const table = siblings[i]!
      const below = tablesBelow(levels, level, i)
      const expired = isExpired(table, now) ? Math.ceil(table.entries / 4) : 0
      if (below.all.length === 0 && table.tombstones === 0 && expired === 0) continue
      let older = 0
      for (const { entries, tombstones } of below.all) older += entries - tombstones
      const hits = Math.min(older, table.tombstones + shadowRatio * (table.entries - table.tombstones))
      tables.push({
        level,
        table,
        freed: (hits + expired) * average,
        cost: table.size + bytesOf(below.next),
        isHeavy: expired > 0 || table.tombstones >= HEAVY_TOMBSTONES * table.entries,
        isBottommost: below.all.length === 0,
      })
    }
  }
  return { total, tables }
}

/** Whether a quarter of the table's entries has expired: less is not worth a rewrite, and rewriting takes them out. */
export function isExpired(table: TableSummary, now: number): boolean {
  return table.expiredQuarterAt > 0 && table.expiredQuarterAt <= now
}

/** Tables with older entries in the key range of `levels[level][index]`: all of them, and those it would be merged with. */
function tablesBelow(levels: Levels, level: number, index: number): { all: TableSummary[]; next: TableSummary[] } {
  const siblings = levels[level] ?? []
  const interval = hullOf([siblings[index]!])
  const all: TableSummary[] = []
  let next: TableSummary[] = []
  if (level === 0) {
    for (let i = index + 1; i < siblings.length; i++) if (intersects(interval, intervalOf(siblings[i]!))) all.push(siblings[i]!)
    next = [...all]
  }
  let isNext = true
  for (let deeper = level + 1; deeper < levels.length; deeper++) {
    const found = overlapping(levels[deeper] ?? [], interval)
    if (isNext && found.length > 0) {
      next.push(...found)
      isNext = false
    }
    all.push(...found)
  }
  return { all, next }
}
