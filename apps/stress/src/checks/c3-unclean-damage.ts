/** C3: all of C1 and C2 on what a killed process left. */
import { appendices, blocks, flips, truncations, wholeFiles, type Damage } from '@wk/testkit'
import type { Check } from '../check.js'
import { runAllDamages, type Subject, uncleanSubject } from '../damage.js'

/** Every damage to an unclean image. */
export const check: Check = {
  id: 'C3',
  title: 'C1 and C2 on an unclean image',
  means: 'as C1, but what lies above the last promise in the log may be gone, as a whole suffix',
  unit: 'damages',
  cases: { commit: 300, nightly: 4000, release: Infinity },
  async run(budget, seed, report) {
    const damages = function* ({ specimen: { image } }: Subject): Generator<Damage> {
      yield* flips(image)
      yield* truncations(image)
      yield* appendices(image, seed)
      yield* blocks(image, 512)
      yield* blocks(image, 4096)
      yield* wholeFiles(image)
    }
    await runAllDamages([await uncleanSubject(budget.tier === 'release' ? 3 : 1)], damages, budget, seed, report)
  },
}
