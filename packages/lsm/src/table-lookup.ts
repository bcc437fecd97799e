/**
 * Point lookups and cursors over a version: which tables are asked, and in which order.
 *
 * Level 0 newest first, then one table a level. The first hit is the newest: an older version of a key never lies above
 * a newer one. Memtables come before all tables.
 */
import { compareBytes, isAtOrAfterStart, isAtOrBeforeEnd } from '@wk/codec'
import type { EntryCursor, KeyRange, LookupResult } from '@wk/codec'
import { LevelCursor } from './iterator/level-cursor.js'
import { MergingCursor } from './iterator/merging-cursor.js'
import type { Version } from './manifest/version.js'
import type { ReadView } from './read-view.js'
import type { TableCache } from './table-cache.js'

/** Finds the newest entry of `key` up to `sequence` in the memtables, then in the tables. Fills `out`. */
export function lookUp(
  view: Pick<ReadView, 'memtables' | 'version'>,
  tables: TableCache,
  key: Uint8Array,
  sequence: number,
  out: LookupResult,
): boolean {
  const { memtables, version } = view
  for (let i = 0; i < memtables.length; i++) if (memtables[i]!.count > 0 && memtables[i]!.get(key, sequence, out)) return true
  return lookUpInTables(version, tables, key, sequence, out)
}

function lookUpInTables(version: Version, tables: TableCache, key: Uint8Array, sequence: number, out: LookupResult): boolean {
  const { levels } = version
  const newest = levels[0]!
  for (let i = 0; i < newest.length; i++) {
    const table = newest[i]!
    if (table.smallestSequence > sequence || compareBytes(table.smallestKey, key) > 0 || compareBytes(table.largestKey, key) < 0) continue
    if (tables.get(table).get(key, sequence, out)) return true
  }
  for (let level = 1; level < levels.length; level++) {
    if (levels[level]!.length === 0) continue
    const table = version.find(level, key)
    if (table === undefined || table.smallestSequence > sequence) continue
    if (tables.get(table).get(key, sequence, out)) return true
  }
  out.found = false
  return false
}

/**
 * A cursor over every entry of a view that may lie in `range`: all versions, tombstones too. What holds nothing newer
 * than the sequence number `since` is left out: entries up to it may be missing.
 */
export function entriesOf(view: Pick<ReadView, 'memtables' | 'version'>, tables: TableCache, range: KeyRange, reverse: boolean, since = -1): EntryCursor {
  const sources: EntryCursor[] = view.memtables.filter(({ count, lastSequence }) => count > 0 && lastSequence > since).map((memtable) => memtable.cursor())
  view.version.levels.forEach((level, depth) => {
    const inRange = level.filter(
      (table) => table.largestSequence > since && isAtOrAfterStart(range, table.largestKey) && isAtOrBeforeEnd(range, table.smallestKey),
    )
    if (depth === 0) for (const table of inRange) sources.push(tables.openCursor(table))
    else if (inRange.length === 1) sources.push(tables.openCursor(inRange[0]!))
    else if (inRange.length > 0) sources.push(new LevelCursor(inRange, tables.openCursor))
  })
  // One source, as after a full compaction, is its own merge.
  return sources.length === 1 ? sources[0]! : new MergingCursor(sources, reverse)
}
