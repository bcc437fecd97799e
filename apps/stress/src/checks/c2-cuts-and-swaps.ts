/** C2: cuts, garbage, blocks and whole files of a small, cleanly closed database. */
import { appendices, blocks, cleanSpecimen, truncations, wholeFiles, type Damage } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, open, runDamages } from '../damage.js'

/** Everything but flipped bytes. */
export const check: Check = {
  id: 'C2',
  title: 'every length, garbage behind the end, 512- and 4096-byte blocks zeroed or swapped, files swapped, copied, deleted',
  means: 'as C1',
  unit: 'damages',
  cases: { commit: 300, nightly: Infinity, release: Infinity },
  async run(budget, seed, report) {
    const specimen = await cleanSpecimen(DIR, open, budget.tier === 'release' ? 7 : 2)
    const { image } = specimen
    const damages = function* (): Generator<Damage> {
      yield* truncations(image)
      yield* appendices(image, seed)
      yield* blocks(image, 512)
      yield* blocks(image, 4096)
      yield* wholeFiles(image)
    }
    await runDamages(specimen, damages, budget, seed, report)
  },
}
