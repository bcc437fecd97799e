/** Lets others go first: some microtasks, now and then a turn of the event loop. */
import type { Rng } from '@wk/testkit'

export async function pause(rng: Rng): Promise<void> {
  if (rng.chance(0.1)) await new Promise((resolve) => setImmediate(resolve))
  else for (let turns = rng.below(12); turns > 0; turns--) await Promise.resolve()
}
