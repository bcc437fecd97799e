/**
 * The records of one file, in slices, each with the answer of the index.
 *
 * A slice is bounded by count (one batched lookup) and by bytes (what a pass holds in memory at a time). Lookups are made in key order,
 * because that is what every ordered index answers fastest. Decides nothing: it says which records are current at the
 * moment of the lookup.
 */

import { CorruptionError, compareBytes, formatFileName, samePointer, throwIfAborted, type ValuePointer } from '@wk/codec'
import { lookupPointers } from './index-calls.js'
import type { PointerIndex } from './pointer-index.js'
import type { Throttle } from './throttle.js'
import { FILE_HEADER_LENGTH, type GcFileInfo, type GcRecord, type GcValueLog } from './value-log.js'

/** Most records of a slice: one batched lookup, one batched swap. */
export const SLICE_RECORDS = 1024
/** A slice ends with the record that passes this many bytes. */
export const SLICE_BYTES = 4 * 1024 * 1024

/** A record and where it lies. */
export interface PlacedRecord {
  readonly entry: GcRecord
  readonly pointer: ValuePointer
}

/** What both kinds of scan (rewrite, recount) work with. */
export interface ScanContext {
  readonly vlog: GcValueLog
  readonly index: PointerIndex
  readonly throttle: Throttle
  readonly signal?: AbortSignal | undefined
  /** Called before an error is thrown that the log met while it read the file. */
  readonly onUnreadable?: (() => void) | undefined
}

/**
 * Slices of the file's records in file order. Ends only at the file's end: throws `CorruptionError` when the records
 * end before it (damage must never look like the end of a file: the rest would count as garbage).
 */
export async function* readSlices(context: ScanContext, file: GcFileInfo): AsyncGenerator<PlacedRecord[]> {
  let slice: PlacedRecord[] = []
  let bytes = 0
  let end = FILE_HEADER_LENGTH
  let isReading = true
  try {
    for await (const { entry, pointer } of context.vlog.iterate(file.fid, { stored: true })) {
      slice.push({ entry, pointer })
      bytes += pointer.len
      end = pointer.offset + pointer.len
      if (slice.length < SLICE_RECORDS && bytes < SLICE_BYTES) continue
      isReading = false
      await context.throttle.take(bytes, context.signal)
      yield slice
      slice = []
      bytes = 0
      throwIfAborted(context.signal)
      isReading = true
    }
  } catch (error) {
    if (isReading) context.onUnreadable?.()
    throw error
  }
  if (end < file.validEnd) {
    throw new CorruptionError('the records end before the file does', {
      file: formatFileName('vlog', file.fid),
      offset: end,
    })
  }
  if (slice.length === 0) return
  await context.throttle.take(bytes, context.signal)
  yield slice
}

/** Those of `records` that the index points to now, in their order. */
export async function selectLive(index: PointerIndex, records: readonly PlacedRecord[]): Promise<PlacedRecord[]> {
  const keys = distinctSortedKeys(records)
  const pointers = await lookupPointers(index, keys)
  return records.filter(({ entry, pointer }) => {
    const current = pointers[findKey(keys, entry.key)]
    return current !== undefined && samePointer(current, pointer)
  })
}

/** One file may hold many records of one key: it is asked for once. */
function distinctSortedKeys(records: readonly PlacedRecord[]): Uint8Array[] {
  const sorted = records.map(({ entry }) => entry.key).sort(compareBytes)
  return sorted.filter((key, at) => {
    const previous = sorted[at - 1]
    return previous === undefined || compareBytes(previous, key) !== 0
  })
}

/** Position of `key` in `keys`. Requires: it is there. */
function findKey(keys: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0
  let high = keys.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    const probe = keys[middle]
    if (probe !== undefined && compareBytes(probe, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Bytes of the records, headers and checksums included. */
export function sumLengths(records: readonly PlacedRecord[]): number {
  return records.reduce((sum, { pointer }) => sum + pointer.len, 0)
}
