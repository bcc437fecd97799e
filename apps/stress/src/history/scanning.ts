/** Walks an iterator from end to end with pauses in between, so that much is written meanwhile, and notes what it shows. */
import type { DbIterator, IteratorOptions } from '@wk/db'
import { type Rng, textOf } from '@wk/testkit'
import type { Change, Scan } from './event.js'
import { drawRange } from './keys.js'
import { pause } from './pause.js'

/** What iterators come from: a database or a transaction. */
interface Source {
  iterator(options: IteratorOptions): DbIterator<[Uint8Array, Uint8Array]>
  keys(options: IteratorOptions): DbIterator<Uint8Array>
}

/** Begins in the turn of the call: the view is that of now, or that of the snapshot. */
export async function scan(source: Source, rng: Rng, more: Pick<IteratorOptions, 'snapshot'> = {}): Promise<Scan> {
  const { gte, lt } = drawRange(rng)
  const reverse = rng.chance(0.4)
  const limit = rng.chance(0.2) ? rng.between(1, 8) : 1000
  const shows = rng.chance(0.25) ? 'keys' : 'entries'
  const options: IteratorOptions = { gte, lt, reverse, limit, ...more }
  const found: Change[] =
    shows === 'keys'
      ? (await collect(source.keys(options), rng)).map((key): Change => [textOf(key), undefined])
      : (await collect(source.iterator(options), rng)).map(([key, value]): Change => [textOf(key), textOf(value)])
  return { gte, lt, reverse, limit, shows, found }
}

async function collect<T>(iterator: DbIterator<T>, rng: Rng): Promise<T[]> {
  const found: T[] = []
  try {
    for (;;) {
      await pause(rng)
      const step = rng.chance(0.5) ? await iterator.nextv(rng.between(1, 6)) : [await iterator.next()].filter((entry) => entry !== undefined)
      if (step.length === 0) return found
      found.push(...step)
    }
  } finally {
    await iterator.close()
  }
}
