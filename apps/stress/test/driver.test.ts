import { describe, expect, it } from 'vitest'
import type { Check } from '../src/check.js'
import { parseArguments, UsageError } from '../src/cli.js'
import { runCheck } from '../src/outcome.js'
import { loadChecks } from '../src/registry.js'
import { renderFailures } from '../src/table.js'

const planted = (run: Check['run']): Check => ({ id: 'X1', title: 'planted', means: 'nothing', unit: 'cases', cases: { commit: 1, nightly: 1, release: 1 }, run })
const budget = { tier: 'commit', cases: 1, only: undefined } as const

describe('the command line', () => {
  it('takes a tier, a seed, checks and a case', () => {
    expect(parseArguments(['--tier', 'nightly', '--seed', '7', '--check', 'a1', '--only', '3/4'], 2)).toMatchObject({ tier: 'nightly', seed: 7, checks: ['A1'], only: '3/4', jobs: 2 })
  })
  it('refuses what cannot be meant', () => {
    for (const args of [['--tier', 'weekly'], ['--seed', '-1'], ['--only', '1'], ['--check', 'A1,A2', '--only', '1'], ['--cases', '0'], ['--unknown']]) {
      expect(() => parseArguments(args, 2), args.join(' ')).toThrow(UsageError)
    }
  })
})

describe('a check fails', () => {
  it('that throws, or that runs no case', async () => {
    expect(await runCheck(planted(() => Promise.reject(new Error('planted'))), budget, 1)).toMatchObject({ failed: 1 })
    expect(await runCheck(planted(() => Promise.resolve()), budget, 1)).toMatchObject({ failed: 1, failures: [{ message: 'no case was run' }] })
  })
  it('that reports a failure, and the command that replays it is printed', async () => {
    const check = planted((_, seed, report) => {
      report.ran(3)
      report.fail('wrong', `${seed}/2`)
      return Promise.resolve()
    })
    const outcome = await runCheck(check, budget, 5)
    expect(outcome).toMatchObject({ cases: 3, failed: 1 })
    expect(renderFailures([{ check, outcome }], 5, 'commit')).toContain("pnpm stress --check X1 --tier commit --seed 5 --only '5/2'")
  })
})

it('every check is found, has an id of its own, and grows from tier to tier', async () => {
  const checks = await loadChecks()
  expect(checks.length).toBeGreaterThan(0)
  for (const { id, cases } of checks) {
    expect(id).toMatch(/^[A-Z]\d$/)
    expect(cases.nightly, id).toBeGreaterThanOrEqual(cases.commit)
    expect(cases.release, id).toBeGreaterThanOrEqual(cases.nightly)
  }
})
