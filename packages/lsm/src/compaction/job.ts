/**
 * Descriptions of background work: plain data that crosses to a worker thread unchanged.
 *
 * A job names everything it needs (directory, input tables or memtable, numbers of the files it may create, live
 * snapshots, the time), so that running it needs no state of the tree and running it again, in new files, is safe.
 * The tree publishes the result with one version edit; until then the outputs are orphans that open removes.
 * `job-runner.ts` runs jobs, `executor.ts` says where.
 */
import { compareBytes, invariant } from '@wk/codec'
import type { MemtableDescription } from '@wk/memtable'
import type { TableSummary } from '@wk/sstable'
import type { PointerMove } from './pointer-moves.js'

/** A closed interval of user keys. */
export interface KeyInterval {
  smallest: Uint8Array
  largest: Uint8Array
}

/** How output tables are written and inputs are read. */
export interface JobOptions {
  /** Bytes after which an output table ends, at the next change of user key. */
  tableSize: number
  /** Bytes of an uncompressed block. */
  blockSize: number
  /** Entries between two restart points of a block. */
  restartInterval: number
  bloomBitsPerKey: number
  compression: 'none' | 'lz4'
  /** Whether block checksums of the inputs are verified. */
  verifyChecksums: boolean
  /** Newest versions of a key that are kept even if nothing reads them. At least 1. */
  numVersionsToKeep: number
  /** Bytes of the level below the output level that one output table may overlap before it is cut. */
  maxGrandparentOverlap: number
}

interface JobBase {
  /** Directory of the database. */
  dir: string
  /**
   * Numbers the job may give to the tables it creates, in order. {@link outputCountBound} says how many are enough to
   * cut freely; with fewer the last table takes the rest. At least one.
   */
  fileNumbers: number[]
  options: JobOptions
  /** Sequence numbers of the live snapshots, ascending. */
  snapshots: number[]
  /** Unix seconds: entries with a smaller or equal expiry are expired. */
  now: number
}

/** Writes a sealed memtable to tables of level 0. Tombstones are kept: older levels may hold their keys. */
export interface FlushJob extends JobBase {
  type: 'flush'
  memtable: MemtableDescription
}

/** Tables of one level that a compaction reads. Level 0: newest first. Other levels: sorted by key, disjoint. */
export interface JobInput {
  level: number
  tables: TableSummary[]
}

/** Merges tables of one or more levels, and a memtable above them, into new tables of `outputLevel`. */
export interface CompactionJob extends JobBase {
  type: 'compact'
  /** Sealed; newer than all tables. */
  memtable?: MemtableDescription
  /** Upper (newer) levels first. */
  inputs: JobInput[]
  /** At least 1. */
  outputLevel: number
  /**
   * Where tables below the output level hold keys inside the range of the job: sorted and disjoint. A tombstone is
   * dropped only for keys outside of them.
   */
  deeper: KeyInterval[]
  /** Tables of level `outputLevel + 1` that overlap the job, sorted: outputs are cut so that none overlaps too many. */
  grandparents: (KeyInterval & { size: number })[]
  /** Pointers into these value-log files are written anew. Default: none. */
  moves?: readonly PointerMove[]
}

/** Any job. */
export type Job = FlushJob | CompactionJob

/** What a job left out. */
export interface DroppedEntries {
  /** Entries that are in no output, tombstones included. */
  entries: number
  /** Tombstones among them, expired entries that vanished included. */
  tombstones: number
  /** Entries among them that a newer version hides from every reader. */
  shadowed: number
  /** Expired entries that became tombstones; they are in the outputs. */
  expired: number
  /** Highest sequence number of a tombstone that vanished (0 if none): changes before it can't be told completely. */
  highestTombstone: number
  /** Value-log records that lost this reference, ascending by file. */
  references: { fid: number; count: number; bytes: number }[]
}

export interface JobResult {
  /** New tables in key order, synced and closed; their names are durable only after the directory is synced. */
  tables: TableSummary[]
  /** Entries read. */
  entries: number
  dropped: DroppedEntries
  /** Bytes of the input tables (of a memtable: 0). */
  bytesRead: number
  bytesWritten: number
}

/** The smallest interval that holds all tables. Requires at least one. */
export function hullOf(tables: Iterable<TableSummary>): KeyInterval {
  let smallest: Uint8Array | undefined
  let largest: Uint8Array | undefined
  for (const table of tables) {
    if (smallest === undefined || compareBytes(table.smallestKey, smallest) < 0) smallest = table.smallestKey
    if (largest === undefined || compareBytes(table.largestKey, largest) > 0) largest = table.largestKey
  }
  invariant(smallest !== undefined && largest !== undefined, 'a hull of at least one table')
  return { smallest, largest }
}

/** Whether the two closed intervals share a key. */
export function intersects(a: KeyInterval, b: KeyInterval): boolean {
  return compareBytes(a.smallest, b.largest) <= 0 && compareBytes(b.smallest, a.largest) <= 0
}

/** The key interval of a table. */
export function intervalOf(table: TableSummary): KeyInterval {
  return { smallest: table.smallestKey, largest: table.largestKey }
}

/** The union of `intervals`, sorted and disjoint. */
export function unionOf(intervals: KeyInterval[]): KeyInterval[] {
  const sorted = [...intervals].sort((a, b) => compareBytes(a.smallest, b.smallest))
  const union: KeyInterval[] = []
  for (const { smallest, largest } of sorted) {
    const last = union.at(-1)
    if (last === undefined || compareBytes(smallest, last.largest) > 0) union.push({ smallest, largest })
    else if (compareBytes(largest, last.largest) > 0) last.largest = largest
  }
  return union
}

/** Bytes beside key and payload that one entry takes in a block at most, nearly. */
const ENTRY_OVERHEAD = 16

/** File numbers that are enough for a compaction of `tables` to cut its outputs wherever it wants to. */
export function outputCountBound(
  tables: Iterable<TableSummary>,
  grandparents: Iterable<{ size: number }>,
  options: Pick<JobOptions, 'tableSize' | 'maxGrandparentOverlap'>,
): number {
  let bytes = 0
  for (const table of tables) bytes += table.keyBytes + table.valueBytes + table.entries * ENTRY_OVERHEAD
  let below = 0
  for (const { size } of grandparents) below += size
  return 2 + Math.ceil((2 * bytes) / options.tableSize) + Math.ceil(below / Math.max(1, options.maxGrandparentOverlap))
}

/** Tables that a flush of `bytes` of memtable may create: a flush is cut only at this multiple of `tableSize`. */
export const FLUSH_TABLES = 16

/** File numbers that are enough for a flush of a memtable of `usedBytes`. */
export function flushCountBound(usedBytes: number, options: Pick<JobOptions, 'tableSize'>): number {
  return 1 + Math.ceil((2 * usedBytes) / (options.tableSize * FLUSH_TABLES))
}
