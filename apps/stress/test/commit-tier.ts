/** Declares checks as tests: each at the size of the commit tier, with the command that replays a failure. */
import { expect, it } from 'vitest'
import { runCheck } from '../src/outcome.js'
import { loadChecks } from '../src/registry.js'
import { renderFailures } from '../src/table.js'

const SEED = Number(process.env.WK_SEED ?? 1)

/** One test a check. `WK_SEED` draws other cases. */
export async function declareChecks(belongs: (id: string) => boolean): Promise<void> {
  for (const check of await loadChecks()) {
    if (!belongs(check.id) || check.cases.commit === 0) continue
    it(`${check.id} ${check.title}`, async () => {
      const outcome = await runCheck(check, { tier: 'commit', cases: check.cases.commit, only: undefined }, SEED)
      expect(outcome.failed, renderFailures([{ check, outcome }], SEED, 'commit')).toBe(0)
    })
  }
}
