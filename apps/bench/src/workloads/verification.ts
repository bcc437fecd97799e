/** Reads a key space back and compares every byte; not part of any figure. */
import type { Database } from '../engines/engine.js'
import type { TimeSlice } from '../measure/time-slice.js'
import { MismatchError } from './expectation.js'
import type { KeySpace } from './key-space.js'

const LANES = 64

/** Which generation each value must hold: that of `generations`, or one of the `window` - 1 before it. */
export interface Generations {
  readonly generations: Uint32Array
  readonly window: number
}

/**
 * Compares the values 0 .. `count` - 1; without `expected` all are of generation 0. Sixty-four reads are in flight.
 *
 * @throws MismatchError at the first difference.
 */
export async function verifyAll(db: Database, space: KeySpace, count: number, slice: TimeSlice, expected?: Generations): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next++
      const value = await db.get(space.key(index))
      const generation = expected?.generations[index] ?? 0
      checkValue(space, index, value, generation, expected?.window ?? 1)
      if (slice.due()) await slice.pause()
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

/** @throws MismatchError if this is not the value that was written in this generation, or in one of the `window` - 1 before it. */
export function checkValue(space: KeySpace, index: number, value: Uint8Array | undefined, generation = 0, window = 1): void {
  if (value === undefined) throw new MismatchError(`value ${index} is missing`)
  for (let back = 0; back < window && back <= generation; back++) {
    if (Buffer.compare(value, space.value(index, generation - back)) === 0) return
  }
  throw new MismatchError(`value ${index} is not what was written`)
}
