/** C1: every byte of three small, cleanly closed databases, flipped. */
import { flips, type Damage, type DiskImage } from '@wk/testkit'
import type { Check } from '../check.js'
import { cleanSubject, gappedSubject, holedSubject, runAllDamages, sparingHoles, type Subject } from '../damage.js'

/** Every byte of every file, one flip at a time; the release tier on a database of some 30 KiB. Of bytes inside of holes every 64th. */
export const check: Check = {
  id: 'C1',
  title: 'every byte of a cleanly closed database, one with holes and one with gaps, × {xor 01, xor 80, xor FF, 00}',
  means: 'identical data, or WK_CORRUPTION with file and offset; verify() finds what a read refuses; what is damaged keeps its bytes',
  unit: 'flips',
  cases: { commit: 400, nightly: Infinity, release: Infinity },
  async run(budget, seed, report) {
    const subjects = [await cleanSubject(budget.tier === 'release' ? 8 : 1), await holedSubject(), await gappedSubject()]
    const damages = function* (subject: Subject): Generator<Damage> {
      const { image } = subject.specimen
      // Flips of the chosen files, in an image that holds all of them.
      const chosen = budget.tier === 'commit' ? oneKind(image, seed) : image
      for (const damage of sparingHoles(subject, flips(chosen, budget.tier === 'nightly' ? [0xff] : undefined))) yield { ...damage, image: new Map([...image, ...damage.image]) }
    }
    await runAllDamages(subjects, damages, budget, seed, report)
  },
}

/** The files of one kind; the seed chooses which. */
function oneKind(image: DiskImage, seed: number): DiskImage {
  const kindOf = (name: string): string => name.replaceAll(/\d/g, '')
  const kinds = [...new Set([...image].filter(([, bytes]) => bytes.length > 0).map(([name]) => kindOf(name)))].sort()
  const kind = kinds[seed % kinds.length]
  return new Map([...image].filter(([name]) => kindOf(name) === kind))
}
