/**
 * Values in the order of an index scan, fetched ahead: WiscKey's parallel prefetch.
 *
 * Pointers come from any iterable, also one that is still being made. They are taken in batches of half a window: while
 * one is handed out the next one is read, sorted by place, with neighbours merged and reads overlapping. So at most a window of
 * records is held, and never more than {@link MAX_BATCH_BYTES} a batch, unless one record alone is longer.
 */
import { InvalidArgumentError, abortable, checkWork, isValuePointer, throwIfAborted, type ValuePointer } from '@wk/codec'
import type { VlogEntry } from './vlog-entry.js'

/** Bytes of records after which a batch is closed. */
const MAX_BATCH_BYTES = 4 << 20
const DEFAULT_WINDOW = 128
const MAX_WINDOW = 1 << 16

/** How `stream` reads ahead. */
export interface StreamOptions {
  /** Records read and not yet handed out, at most. 1 to 65,536. Default 128. */
  window?: number | undefined
  /** Ends the stream with `AbortedError`, also while the pointers let wait for the next one. */
  signal?: AbortSignal | undefined
}

/** Pointers to read, in the order in which their records are wanted. */
export type PointerSource = Iterable<ValuePointer> | AsyncIterable<ValuePointer>

/** What a stream reads from. */
export interface StreamSource {
  readMany(pointers: readonly ValuePointer[]): Promise<VlogEntry[]>
  /** Throws once nothing may be handed out any more. */
  checkOpen(): void
}

/** Records of `pointers`, in their order. @throws InvalidArgumentError at once */
export function streamRecords(
  source: StreamSource,
  pointers: PointerSource,
  options: StreamOptions,
): AsyncGenerator<VlogEntry, void, undefined> {
  const { window = DEFAULT_WINDOW, signal } = checkWork(options)
  if (!isIterable(pointers)) throw new InvalidArgumentError('pointers must be an iterable of value pointers')
  if (!Number.isInteger(window) || window < 1 || window > MAX_WINDOW) {
    throw new InvalidArgumentError(`window must be an integer from 1 to ${MAX_WINDOW}`)
  }
  return generate(source, pointers, Math.ceil(window / 2), signal)
}

function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
}

async function* generate(
  source: StreamSource,
  pointers: PointerSource,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<VlogEntry, void, undefined> {
  // An array never lets wait.
  const batches = batchesOf(Symbol.asyncIterator in pointers && signal !== undefined ? abortable(pointers, signal) : pointers, size)
  const fetchNext = async (): Promise<VlogEntry[] | undefined> => {
    throwIfAborted(signal)
    const { done, value } = await batches.next()
    if (done === true) return undefined
    throwIfAborted(signal)
    return source.readMany(value)
  }
  let ahead = fetchNext()
  try {
    for (let batch = await ahead; batch !== undefined; batch = await ahead) {
      ahead = fetchNext()
      // Met when its turn comes; until then it is nobody's unhandled rejection.
      ahead.catch(() => undefined)
      for (const entry of batch) {
        throwIfAborted(signal)
        source.checkOpen()
        yield entry
      }
    }
  } finally {
    // Whoever leaves early leaves nothing in flight, and the source is closed.
    await ahead.catch(() => undefined)
    await batches.return(undefined)
  }
}

async function* batchesOf(pointers: PointerSource, size: number): AsyncGenerator<ValuePointer[], undefined, undefined> {
  let batch: ValuePointer[] = []
  let bytes = 0
  for await (const pointer of pointers) {
    if (!isValuePointer(pointer)) throw new InvalidArgumentError('not a value pointer')
    if (batch.length === size || (batch.length > 0 && bytes + pointer.len > MAX_BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(pointer)
    bytes += pointer.len
  }
  if (batch.length > 0) yield batch
  return undefined
}
