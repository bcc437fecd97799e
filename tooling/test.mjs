/**
 * `npm test`: installs, builds, runs every test, and ends with the line `N passed, N failed`.
 *
 * Works on a machine that has only Node and npm: the pinned pnpm is fetched through npx, the rest comes from the
 * lockfile. Arguments go on to vitest (`npm test -- packages/vlog`). The line is printed also when a test fails or the
 * runner dies; the exit code is then not 0.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { prepare, run } from './steps.mjs'

const RESULTS = '.vitest-results.json'

prepare()
rmSync(RESULTS, { force: true })
run('tsc', ['-p', 'tsconfig.test.json'])
run('oxlint', ['--type-aware', '--deny-warnings', '--quiet'])

const { status } = spawnSync('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${RESULTS}`, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, NO_COLOR: '1' },
})

let passed = 0
let failed = 0
try {
  const results = JSON.parse(readFileSync(RESULTS, 'utf8'))
  passed = results.numPassedTests
  // A file that does not even load has no failed test, only a failed suite.
  failed = Math.max(results.numFailedTests, results.numFailedTestSuites > 0 ? 1 : 0)
} catch {
  failed = 1
}
if (status !== 0 && failed === 0) failed = 1
rmSync(RESULTS, { force: true })
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
