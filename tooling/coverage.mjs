/**
 * `npm run coverage`: runs the tests of all packages and measures which branches and which `throw`s of typed errors they reach.
 *
 * Prints the share of branches of every directory with a floor (`vitest.config.ts` holds the floors), and each `throw` that no
 * test reaches. `--branches` prints the branches that no test takes in directories with a floor as well. Ends with 1 below a floor
 * or if a test failed. What runs in a worker thread or in another process is not counted.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { prepare } from './steps.mjs'

const root = join(import.meta.dirname, '..')
const FLOORED = ['packages/codec/src/', 'packages/vlog/src/', 'packages/sstable/src/', 'packages/lsm/src/log/', 'packages/gc/src/']
const THROW = /^throw (new \w+Error\(|\w+Of\()/

const report = join(root, 'coverage/coverage-final.json')

prepare()
// One of an earlier run must not pass for this one's.
rmSync(report, { force: true })
const projects = ['codec', 'fs', 'memtable', 'sstable', 'vlog', 'lsm', 'gc', 'db', 'level'].flatMap((name) => ['--project', `@wk/${name}`])
const { status, signal } = spawnSync('vitest', ['run', '--coverage', '--reporter=dot', ...projects], { cwd: root, stdio: 'inherit', env: { ...process.env, NO_COLOR: '1' } })

if (!existsSync(report)) {
  console.error(`the tests ended without a report (${signal ?? `exit code ${status}`})`)
  process.exit(1)
}
const measured = Object.values(JSON.parse(readFileSync(report, 'utf8'))).map((file) => ({ ...file, path: relative(root, file.path) }))
for (const directory of FLOORED) {
  const branches = measured.filter(({ path }) => path.startsWith(directory)).flatMap(({ b }) => Object.values(b).flat())
  console.log(`${directory.padEnd(24)} ${((100 * branches.filter((count) => count > 0).length) / branches.length).toFixed(2)} % of ${branches.length} branches`)
}
let throws = 0
const unreached = []
for (const { path, statementMap, s } of measured) {
  const lines = readFileSync(join(root, path), 'utf8').split('\n')
  for (const [id, { start }] of Object.entries(statementMap)) {
    const text = lines[start.line - 1]?.slice(start.column) ?? ''
    if (!THROW.test(text)) continue
    throws++
    if (s[id] === 0) unreached.push(`  ${path}:${start.line}: ${text.slice(0, 120)}`)
  }
}
console.log([`${throws} throws, ${unreached.length} of them reached by no test${unreached.length === 0 ? '' : ':'}`, ...unreached].join('\n'))
if (process.argv.includes('--branches')) {
  for (const { path, branchMap, b } of measured.filter(({ path }) => FLOORED.some((directory) => path.startsWith(directory)))) {
    for (const [id, { type, locations }] of Object.entries(branchMap)) {
      for (const [way, { start }] of locations.entries()) if (b[id][way] === 0) console.log(`  ${path}:${start?.line ?? '?'}: ${type}, way ${way + 1}`)
    }
  }
}
process.exitCode = status === 0 ? 0 : 1
