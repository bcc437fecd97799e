/**
 * A version: which tables make up the tree at one moment. Immutable; a version edit makes the next one.
 *
 * Level 0 holds flushed memtables, newest first; their key ranges overlap, their sequence ranges do not. Every level
 * below is sorted by key and its tables do not overlap. Deeper levels hold older entries of a key.
 *
 * It knows nothing of files: whether a table is open, pinned or removed is not told here.
 */
import { compareBytes, invariant } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { KeyFences } from './key-fences.js'

/** Live references into one value-log file. */
export interface ReferenceSum {
  /** Entries that point into the file. */
  count: number
  /** Bytes of the records they point to. */
  bytes: number
}

/** A table and where it goes. */
export interface LeveledTable {
  level: number
  table: TableSummary
}

/** A table and where it was. */
export interface RemovedTable {
  level: number
  number: number
}

/** Levels a manifest may name; more is damage. */
export const MAX_LEVELS = 32

export class Version {
  /** `levels[0]` newest first, the others by key. Never empty. */
  readonly levels: readonly (readonly TableSummary[])[]
  readonly #fences: (KeyFences | undefined)[]
  #references: Map<number, ReferenceSum> | undefined
  #bytes: number[] | undefined
  #numbers: Set<number> | undefined

  /** Requires levels that are in order already; {@link Version.apply} makes them so. */
  constructor(levels: readonly (readonly TableSummary[])[]) {
    invariant(levels.length > 0, 'a version has at least one level')
    this.levels = levels
    this.#fences = levels.map(() => undefined)
  }

  /** A version without tables. */
  static empty(levelCount: number): Version {
    return new Version(Array.from({ length: levelCount }, () => []))
  }

  /** The same tables, with at least `levelCount` levels. */
  widenedTo(levelCount: number): Version {
    if (this.levels.length >= levelCount) return this
    return new Version(Array.from({ length: levelCount }, (_, level) => this.levels[level] ?? []))
  }

  /** Number of all tables. */
  get tableCount(): number {
    let count = 0
    for (const level of this.levels) count += level.length
    return count
  }

  /** Whether some level holds table `number`. */
  has(number: number): boolean {
    if (this.#numbers === undefined) {
      this.#numbers = new Set()
      for (const table of this.tables()) this.#numbers.add(table.number)
    }
    return this.#numbers.has(number)
  }

  /** Bytes of the tables of a level. */
  levelBytes(level: number): number {
    this.#bytes ??= this.levels.map((tables) => tables.reduce((sum, table) => sum + table.size, 0))
    return this.#bytes[level] ?? 0
  }

  /** All tables, level by level. */
  *tables(): Generator<TableSummary> {
    for (const level of this.levels) yield* level
  }

  /** The tables of `level` that share a key with `[smallest, largest]` (inclusive; `undefined` is unbounded), in level order. */
  overlapping(level: number, smallest: Uint8Array | undefined, largest: Uint8Array | undefined): TableSummary[] {
    const tables = this.levels[level] ?? []
    if (level === 0) return tables.filter((table) => overlaps(table, smallest, largest))
    const from = smallest === undefined ? 0 : lowerBound(tables, smallest)
    const found: TableSummary[] = []
    for (let i = from; i < tables.length; i++) {
      const table = tables[i]
      if (table === undefined || (largest !== undefined && compareBytes(table.smallestKey, largest) > 0)) break
      found.push(table)
    }
    return found
  }

  /** The one table of `level` (at least 1) whose range holds `key`. */
  find(level: number, key: Uint8Array): TableSummary | undefined {
    const fences = (this.#fences[level] ??= new KeyFences((this.levels[level] ?? []).map(({ largestKey }) => largestKey)))
    const table = this.levels[level]?.[fences.lowerBound(key)]
    return table !== undefined && compareBytes(table.smallestKey, key) <= 0 ? table : undefined
  }

  /** Whether no table of a level deeper than `level` shares a key with `[smallest, largest]`. */
  isBottommost(level: number, smallest: Uint8Array, largest: Uint8Array): boolean {
    for (let deeper = level + 1; deeper < this.levels.length; deeper++) {
      if (this.overlapping(deeper, smallest, largest).length > 0) return false
    }
    return true
  }

  /** What the tables reference, per value-log file. Computed once; not to be changed by the caller. */
  references(): ReadonlyMap<number, ReferenceSum> {
    if (this.#references === undefined) {
      this.#references = new Map()
      for (const table of this.tables()) addReferences(this.#references, table.references)
    }
    return this.#references
  }

  /**
   * The version after an edit. Throws an `InvariantError` when a removed table is not there, an added one is there
   * already, or a level below 0 would overlap: callers that apply bytes from a file check first
   * ({@link Version.conflict}).
   */
  apply(added: readonly LeveledTable[], removed: readonly RemovedTable[]): Version {
    const problem = this.conflict(added, removed)
    invariant(problem === undefined, problem ?? '')
    return new Version(this.#levelsAfter(added, removed))
  }

  /** Why the edit does not fit this version, or `undefined` if it does. */
  conflict(added: readonly LeveledTable[], removed: readonly RemovedTable[]): string | undefined {
    for (const { level, number } of removed) {
      if (!(this.levels[level] ?? []).some((table) => table.number === number)) return `table ${number} is not in level ${level}`
    }
    const gone = new Set(removed.map(({ number }) => number))
    const present = new Set<number>()
    for (const table of this.tables()) if (!gone.has(table.number)) present.add(table.number)
    for (const { level, table } of added) {
      if (level < 0 || level >= MAX_LEVELS) return `there is no level ${level}`
      if (present.has(table.number)) return `table ${table.number} is there already`
      present.add(table.number)
    }
    const touched = new Set(added.map(({ level }) => level))
    const levels = this.#levelsAfter(added, removed)
    for (const level of touched) if (level > 0 && !isDisjoint(levels[level] ?? [])) return `tables of level ${level} overlap`
    return undefined
  }

  #levelsAfter(added: readonly LeveledTable[], removed: readonly RemovedTable[]): TableSummary[][] {
    const levels = this.levels.map((tables) => [...tables])
    for (const { level, number } of removed) levels[level] = (levels[level] ?? []).filter((table) => table.number !== number)
    const touched = new Set<number>()
    for (const { level, table } of added) {
      while (levels.length <= level) levels.push([])
      levels[level]?.push(table)
      touched.add(level)
    }
    for (const level of touched) levels[level]?.sort(level === 0 ? newestFirst : byKey)
    return levels
  }
}

/** Adds the references of a table to sums per file. */
export function addReferences(sums: Map<number, ReferenceSum>, references: Iterable<{ fid: number; count: number; bytes: number }>): void {
  for (const { fid, count, bytes } of references) {
    const sum = sums.get(fid)
    if (sum === undefined) sums.set(fid, { count, bytes })
    else {
      sum.count += count
      sum.bytes += bytes
    }
  }
}

/** Whether `table` holds a key of `[smallest, largest]`, as far as its bounds tell. */
export function overlaps(table: TableSummary, smallest: Uint8Array | undefined, largest: Uint8Array | undefined): boolean {
  return (
    (largest === undefined || compareBytes(table.smallestKey, largest) <= 0) &&
    (smallest === undefined || compareBytes(table.largestKey, smallest) >= 0)
  )
}

function newestFirst(a: TableSummary, b: TableSummary): number {
  return b.largestSequence - a.largestSequence || b.number - a.number
}

function byKey(a: TableSummary, b: TableSummary): number {
  return compareBytes(a.smallestKey, b.smallestKey)
}

/** Index of the first table whose largest key is not before `key`. */
function lowerBound(tables: readonly TableSummary[], key: Uint8Array): number {
  let low = 0
  let high = tables.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const table = tables[middle]
    if (table !== undefined && compareBytes(table.largestKey, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function isDisjoint(sorted: readonly TableSummary[]): boolean {
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1]
    const table = sorted[i]
    if (before !== undefined && table !== undefined && compareBytes(before.largestKey, table.smallestKey) >= 0) return false
  }
  return true
}
