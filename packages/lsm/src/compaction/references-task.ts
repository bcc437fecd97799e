/**
 * Reads which records of value-log files the tables refer to: a task, because on a large tree it is much to decode.
 *
 * Each table's reference block is read once, whatever the number of files asked for. Lists of several tables are
 * merged; a record that several of them name (versions of a key that moved, old views) is there once.
 */
import { throwIfAborted } from '@wk/codec'
import { HandleCache, TimeSlice } from '@wk/fs'
import type { TableSummary } from '@wk/sstable'
import { openTable } from '../table-cache.js'
import type { Task } from './executor.js'

/** Records of one value-log file. `offsets` ascend; `lengths[i]` belongs to `offsets[i]`. */
export interface RecordRanges {
  offsets: Uint32Array
  lengths: Uint32Array
}

export interface ReferencesQuery {
  dir: string
  tables: TableSummary[]
  /** Numbers of value-log files. */
  fids: number[]
  verifyChecksums: boolean
}

const MAX_OPEN_FILES = 16
/** Records merged between two looks at the clock. */
const RECORDS_PER_LOOK = 1 << 16

/** The referenced records of each file asked for, in the order of `fids`. Throws `CorruptionError`, `IoError`, `AbortedError`. */
export const referencesTask: Task<ReferencesQuery, RecordRanges[]> = {
  kind: 'references',
  async run({ dir, tables, fids, verifyChecksums }, { fs, runtime, signal }) {
    const slice = new TimeSlice(runtime)
    const found = new Map<number, RecordRanges[]>(fids.map((fid) => [fid, []]))
    const handles = new HandleCache(fs, MAX_OPEN_FILES)
    try {
      for (const table of tables) {
        throwIfAborted(signal)
        for (const { fid, offsets, lengths } of openTable(handles, dir, table, { verifyChecksums }).references()) found.get(fid)?.push({ offsets, lengths })
        if (slice.due()) await slice.pause()
      }
    } finally {
      await handles.close()
    }
    const merged: RecordRanges[] = []
    let records = 0
    for (const fid of fids) {
      const ranges = mergeRanges(found.get(fid) ?? [])
      merged.push(ranges)
      records += ranges.offsets.length
      if (records < RECORDS_PER_LOOK) continue
      records = 0
      throwIfAborted(signal)
      if (slice.due()) await slice.pause()
    }
    return merged
  },
}

/** Merges sorted lists; equal offsets are one record. */
export function mergeRanges(lists: readonly RecordRanges[]): RecordRanges {
  if (lists.length === 0) return { offsets: new Uint32Array(0), lengths: new Uint32Array(0) }
  let round = [...lists]
  while (round.length > 1) {
    const next: RecordRanges[] = []
    for (let i = 0; i < round.length; i += 2) next.push(i + 1 < round.length ? mergeTwo(round[i]!, round[i + 1]!) : round[i]!)
    round = next
  }
  return round[0]!
}

function mergeTwo(a: RecordRanges, b: RecordRanges): RecordRanges {
  const most = a.offsets.length + b.offsets.length
  const offsets = new Uint32Array(most)
  const lengths = new Uint32Array(most)
  let count = 0
  let i = 0
  let j = 0
  while (i < a.offsets.length || j < b.offsets.length) {
    const left = i < a.offsets.length ? a.offsets[i]! : Infinity
    const right = j < b.offsets.length ? b.offsets[j]! : Infinity
    offsets[count] = Math.min(left, right)
    lengths[count] = left <= right ? a.lengths[i]! : b.lengths[j]!
    if (left <= right) i++
    if (right <= left) j++
    count++
  }
  return { offsets: offsets.slice(0, count), lengths: lengths.slice(0, count) }
}
