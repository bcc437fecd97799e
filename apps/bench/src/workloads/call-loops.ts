/**
 * The loops in which engines are called, the same for all: one call after another, many in flight, chunk by chunk. What they cost
 * themselves (two readings of the clock and one sample a call, a turn of the event loop every millisecond) shows the engine `null`.
 */
import type { Database, PutOperation, Scan } from '../engines/engine.js'
import type { TimeSlice } from '../measure/time-slice.js'
import type { KeySpace } from './key-space.js'
import type { PhaseWork } from './phase-runner.js'

/** Calls to an engine, numbered 0 .. `total` - 1. */
export interface Calls<T> {
  readonly total: number
  /** User bytes that one call moves. */
  readonly size: number
  readonly call: (index: number) => T
  /** Looks at what a call gave. Outside the time, except where calls are in flight: then it must cost next to nothing. */
  readonly check?: ((index: number, result: Awaited<T>) => void) | undefined
}

/** Each call when the one before has ended. Only time inside the calls and in pauses counts. */
export async function oneByOne<T>({ meter, progress }: PhaseWork, slice: TimeSlice, { total, size, call, check }: Calls<T>): Promise<void> {
  for (let i = 0; i < total; i++) {
    const start = performance.now()
    const result = await call(i)
    const end = performance.now()
    meter.add(end - start, 1, size)
    check?.(i, result)
    if (slice.due(end)) {
      progress(i)
      await slice.pause()
    }
  }
}

/** The same for calls that return no promise: nothing is awaited. */
export async function oneByOneSync<T>({ meter, progress }: PhaseWork, slice: TimeSlice, { total, size, call, check }: Calls<T>): Promise<void> {
  for (let i = 0; i < total; i++) {
    const start = performance.now()
    const result = call(i)
    const end = performance.now()
    meter.add(end - start, 1, size)
    check?.(i, result as Awaited<T>)
    if (slice.due(end)) {
      progress(i)
      await slice.pause()
    }
  }
}

/**
 * `width` calls in flight. They overlap, so the time is the clock's. Begins no further call after `budget` milliseconds; resolves
 * with the number of calls made.
 */
export async function inFlight<T>({ meter, progress }: PhaseWork, slice: TimeSlice, calls: Calls<T>, width: number, budget = Infinity): Promise<number> {
  const { size, call, check } = calls
  let next = 0
  let most = calls.total
  const begun = performance.now()
  const lane = async (): Promise<void> => {
    while (next < most) {
      const index = next++
      const start = performance.now()
      const result = await call(index)
      const end = performance.now()
      meter.add(end - start, 1, size)
      check?.(index, result)
      if (slice.due(end)) {
        progress(next)
        if (end - begun > budget) most = next
        await slice.pause()
      }
    }
  }
  await Promise.all(Array.from({ length: width }, lane))
  meter.setClock(performance.now() - begun)
  return next
}

/** Writes the values 0 .. `total` - 1 in batches. `after` is told how many are written. */
export async function loadBatches(
  { meter, progress }: PhaseWork,
  slice: TimeSlice,
  db: Database,
  space: KeySpace,
  total: number,
  batch: number,
  after: (written: number) => void = () => {},
): Promise<void> {
  for (let at = 0; at < total; at += batch) {
    const operations: PutOperation[] = []
    for (let i = at; i < Math.min(total, at + batch); i++) operations.push({ type: 'put', key: space.key(i), value: space.value(i) })
    const start = performance.now()
    await db.putBatch(operations)
    const end = performance.now()
    meter.add(end - start, operations.length, operations.length * space.entrySize)
    after(at + operations.length)
    if (slice.due(end)) {
      progress(at)
      await slice.pause()
    }
  }
}

/** Reads a scan to its end and closes it; resolves with the number of items. `check` is outside the time. */
export async function drain<T>({ meter, progress }: PhaseWork, slice: TimeSlice, scan: Scan<T>, size: number, check: (item: T) => void): Promise<number> {
  let seen = 0
  for (;;) {
    const start = performance.now()
    const chunk = await scan.next()
    const end = performance.now()
    if (chunk.length === 0) break
    meter.add(end - start, chunk.length, chunk.length * size)
    for (const item of chunk) check(item)
    seen += chunk.length
    if (slice.due(end)) {
      progress(seen)
      await slice.pause()
    }
  }
  await scan.close()
  return seen
}
