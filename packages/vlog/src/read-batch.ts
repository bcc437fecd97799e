/**
 * Many records at once: sorted by place, neighbours merged into one read, results in the caller's order.
 *
 * Short reads are made synchronously for as long as they are quick (they are cached; a trip to the thread pool would
 * cost several times the read). When they turn out slow, and for long ones, the pool takes over with a bounded number in flight.
 * Files stay in the directory until the whole batch is done. Memory in flight is bounded by {@link MAX_IN_FLIGHT} merged reads.
 */
import { readFully, readFullySync, TimeSlice, type Runtime } from '@wk/fs'
import type { ValuePointer } from '@wk/codec'
import { locate, type LogicalFile } from './file-map.js'
import type { PhysicalFile } from './physical-file.js'
import { SYNC_READ_LIMIT, allocate, type VlogReader } from './vlog-reader.js'
import { shortFile, type VlogSet } from './vlog-set.js'

/** Bytes between two records that are read along rather than skipped. */
const MAX_GAP = 16 << 10
/** Longest merged read; a longer record is read alone. */
const MAX_SPAN = 1 << 20
const MAX_IN_FLIGHT = 16
/** Milliseconds of synchronous reads in one batch before the pool takes over. */
const SYNC_BUDGET = 2

/**
 * Receives the record asked for as `index`. `bytes` may be reused after the call unless `isOwn`, when nobody else
 * holds them.
 */
export type VisitRecord = (index: number, logical: LogicalFile, bytes: Uint8Array, start: number, isOwn: boolean) => void

interface Wanted {
  readonly index: number
  readonly logical: LogicalFile
  readonly physical: PhysicalFile
  readonly position: number
  readonly len: number
}

interface Span {
  readonly physical: PhysicalFile
  readonly start: number
  end: number
  readonly wanted: Wanted[]
}

/** Fetches the records of `pointers` and hands each to `visit`, in any order. Verifying is the visitor's. */
export async function fetchRecords(
  set: VlogSet,
  reader: VlogReader,
  runtime: Runtime,
  pointers: readonly ValuePointer[],
  visit: VisitRecord,
): Promise<void> {
  const wanted: Wanted[] = []
  const place = { bytes: new Uint8Array(0), start: 0 }
  pointers.forEach(({ fid, offset, len }, index) => {
    const logical = set.map.require(fid)
    const position = locate(logical, offset, len)
    if (reader.findStaged(logical, offset, len, place)) visit(index, logical, place.bytes, place.start, false)
    else wanted.push({ index, logical, physical: logical.physical, position, len })
  })
  if (wanted.length === 0) return
  const spans = mergeSpans(wanted)
  const pinned = new Set(spans.map(({ physical }) => physical))
  for (const physical of pinned) set.pin(physical)
  try {
    const slow = readQuickly(set, runtime, spans, visit)
    await readInPool(set, slow, visit)
  } finally {
    for (const physical of pinned) set.unpin(physical)
  }
}

function mergeSpans(wanted: Wanted[]): Span[] {
  wanted.sort((a, b) => a.physical.number - b.physical.number || a.position - b.position)
  const spans: Span[] = []
  let span: Span | undefined
  for (const record of wanted) {
    const end = record.position + record.len
    if (
      span !== undefined &&
      span.physical === record.physical &&
      record.position - span.end <= MAX_GAP &&
      end - span.start <= MAX_SPAN
    ) {
      span.end = Math.max(span.end, end)
      span.wanted.push(record)
    } else {
      span = { physical: record.physical, start: record.position, end, wanted: [record] }
      spans.push(span)
    }
  }
  return spans
}

/** Reads short spans in place while time lasts; returns the others. */
function readQuickly(set: VlogSet, runtime: Runtime, spans: readonly Span[], visit: VisitRecord): Span[] {
  const slice = new TimeSlice(runtime, SYNC_BUDGET)
  const slow: Span[] = []
  let scratch: Uint8Array | undefined
  for (const span of spans) {
    const length = span.end - span.start
    if (length > SYNC_READ_LIMIT || slice.due()) {
      slow.push(span)
      continue
    }
    scratch ??= allocate(SYNC_READ_LIMIT)
    const count = readFullySync(set.handles.use(span.physical), scratch, 0, length, span.start)
    if (count < length) throw shortFile(span.physical, span.end)
    for (const { index, logical, position } of span.wanted) visit(index, logical, scratch, position - span.start, false)
  }
  return slow
}

async function readInPool(set: VlogSet, spans: readonly Span[], visit: VisitRecord): Promise<void> {
  let next = 0
  let failed = false
  const lane = async (): Promise<void> => {
    for (;;) {
      const span = spans[next++]
      if (span === undefined || failed) return
      try {
        await readSpan(set, span, visit)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(MAX_IN_FLIGHT, spans.length) }, lane))
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason
}

async function readSpan(set: VlogSet, span: Span, visit: VisitRecord): Promise<void> {
  const length = span.end - span.start
  const bytes = allocate(length)
  const file = set.handles.acquire(span.physical)
  try {
    const count = await readFully(file, bytes, 0, length, span.start)
    if (count < length) throw shortFile(span.physical, span.end)
  } finally {
    set.handles.release(span.physical)
  }
  const isOwn = span.wanted.length === 1
  for (const { index, logical, position } of span.wanted) visit(index, logical, bytes, position - span.start, isOwn)
}
