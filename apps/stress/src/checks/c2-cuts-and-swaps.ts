/** C2: cuts, garbage, blocks and whole files of three small, cleanly closed databases. */
import { appendices, blocks, truncations, wholeFiles, type Damage } from '@wk/testkit'
import type { Check } from '../check.js'
import { cleanSubject, gappedSubject, holedSubject, runAllDamages, sparingHoles, type Subject } from '../damage.js'

/** Everything but flipped bytes. */
export const check: Check = {
  id: 'C2',
  title: 'every length, garbage behind the end, 512- and 4096-byte blocks zeroed or swapped, files swapped, copied, deleted; also with holes, and with gaps',
  means: 'as C1',
  unit: 'damages',
  cases: { commit: 300, nightly: Infinity, release: Infinity },
  async run(budget, seed, report) {
    const damages = function* (subject: Subject): Generator<Damage> {
      const { image } = subject.specimen
      yield* sparingHoles(subject, truncations(image))
      yield* appendices(image, seed)
      yield* blocks(image, 512)
      yield* blocks(image, 4096)
      yield* wholeFiles(image)
    }
    await runAllDamages([await cleanSubject(budget.tier === 'release' ? 7 : 2), await holedSubject(), await gappedSubject()], damages, budget, seed, report)
  },
}
