/**
 * `db.tables()`: which tables there are, and in which level.
 */
import type { LsmTree } from '@wk/lsm'

/** One table of the tree. */
export interface TableInfo {
  /** 0 is the level of flushes, whose tables overlap; the others' do not. */
  level: number
  /** Of its file, `NNNNNN.sst`. */
  number: number
  /** Bytes of the file; values in value logs are not in it. */
  size: number
  /** Entries, older versions and tombstones included. */
  entries: number
  tombstones: number
  /** The caller's own copies. */
  smallestKey: Uint8Array
  largestKey: Uint8Array
  /** Versions of the oldest and the newest entry. */
  smallestVersion: number
  largestVersion: number
}

/** By level; level 0 newest first, the others by key. */
export function describeTables(tree: LsmTree): TableInfo[] {
  const view = tree.acquireView()
  try {
    return view.version.levels.flatMap((tables, level) =>
      tables.map(({ number, size, entries, tombstones, smallestKey, largestKey, smallestSequence, largestSequence }) => ({
        level,
        number,
        size,
        entries,
        tombstones,
        smallestKey: smallestKey.slice(),
        largestKey: largestKey.slice(),
        smallestVersion: smallestSequence,
        largestVersion: largestSequence,
      })),
    )
  } finally {
    view.release()
  }
}
