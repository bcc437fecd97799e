/** Which operations of a history are crashed before, where doing so before each takes too long. */
import { Rng } from '@wk/testkit'

/** One in `every`, drawn by its number, so that all of the history has some. `WK_CRASH_EVERY` sets another number: 1 for all of them. */
export function oneIn(every: number): (index: number) => boolean {
  const chance = 1 / Number(process.env.WK_CRASH_EVERY ?? every)
  return (index) => new Rng(index).chance(chance)
}
