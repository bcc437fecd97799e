/** E2: many processes open one directory at once. */
import type { Check } from '../check.js'
import { openInProcess, VARIANTS, withDirectory } from '../openers.js'

const PROCESSES = 32

/** Races, lock variants in turn; half of them for a directory that does not exist yet. */
export const check: Check = {
  id: 'E2',
  title: `${PROCESSES} processes race to open`,
  means: 'exactly one has it, all others are told WK_LOCKED',
  unit: 'races',
  cases: { commit: 1, nightly: 10, release: 50 },
  async run({ cases }, seed, report) {
    for (let i = 0; i < cases && !report.full; i++) {
      const variant = VARIANTS[(i + seed) % VARIANTS.length] ?? 'default'
      await withDirectory(async (dir) => {
        if (i % 2 === 1) await (await openInProcess(dir, variant)).release()
        const openers = await Promise.all(Array.from({ length: PROCESSES }, () => openInProcess(dir, variant)))
        const winners = openers.filter(({ outcome }) => outcome.open).length
        const others = openers.filter(({ outcome }) => !outcome.open && outcome.code !== 'WK_LOCKED').map(({ outcome }) => outcome.code)
        if (winners !== 1) report.fail(`${variant}: ${winners} of ${PROCESSES} have the database`)
        if (others.length > 0) report.fail(`${variant}: refused with ${others.join(', ')}`)
        await Promise.all(openers.map((opener) => opener.release()))
      })
      report.ran()
    }
  },
}
