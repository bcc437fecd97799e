/**
 * Plants every bug of `tooling/planted-bugs/` into a copy of the repository, one at a time, and demands that a test turns red.
 *
 * `pnpm planted-bugs [name ...]`. The tests that the patch names run; one of them must fail. Before anything is planted the named tests run once without a bug: a check that is red anyway catches
 * nothing. Prints which check caught which bug; exits with 1 if a bug survives, if a patch does not apply, or if a check was red
 * before. `--no-baseline` skips the first run.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { readBug } from './planted-bugs/read-bug.mjs'

const root = join(import.meta.dirname, '..')
const TIMEOUT_MS = 10 * 60_000

/** A copy of the sources; dependencies are those of the original, the packages of the workspace those of the copy. */
function copyRepository() {
  const copy = mkdtempSync(join(tmpdir(), 'wk-planted-'))
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  for (const file of files.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(root, file), join(copy, file), { verbatimSymlinks: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const group of ['packages', 'apps']) {
    // Links inside are relative: those to packages lead into the copy, those to dependencies through its `node_modules`.
    for (const name of readdirSync(join(copy, group))) cpSync(join(root, group, name, 'node_modules'), join(copy, group, name, 'node_modules'), { recursive: true, verbatimSymlinks: true })
  }
  return copy
}

/** Runs one check. Resolves to the names of the tests that failed; `[]` if all passed. */
function run(copy, { dir, file, pattern }) {
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', file, '--reporter=json', '--bail=1', ...(pattern === undefined ? [] : ['-t', pattern])]
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: join(copy, dir), encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 1 << 28, env: { ...process.env, CI: '1' } })
  const start = stdout.indexOf('{"numTotalTestSuites"')
  if (start < 0) return ['it did not end'].concat(stderr.split('\n').slice(0, 5))
  const report = JSON.parse(stdout.slice(start))
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = tests.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)
  if (failed.length > 0) return failed
  if (!report.success) return [`${file}: ${report.testResults.map(({ message }) => message).find(Boolean) ?? 'a suite failed'}`]
  if (!tests.some(({ status }) => status === 'passed')) throw new Error(`${dir} ${file} ${pattern ?? ''}: no such test`)
  return []
}

const asText = ({ dir, file, pattern }) => `${dir} ${file}${pattern === undefined ? '' : ` -t ${pattern}`}`

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const bugs = readdirSync(join(root, 'tooling/planted-bugs'))
  .filter((name) => name.endsWith('.patch'))
  .map((name) => ({ ...readBug(readFileSync(join(root, 'tooling/planted-bugs', name), 'utf8')), name: name.slice(0, -'.patch'.length), path: join(root, 'tooling/planted-bugs', name) }))
  .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
const copy = copyRepository()
const baseline = new Map()
const problems = []
try {
  for (const { name, bug, breaks, checks, path } of bugs) {
    const red = []
    if (!process.argv.includes('--no-baseline')) {
      for (const check of checks) {
        const key = asText(check)
        if (!baseline.has(key)) baseline.set(key, run(copy, check))
        if (baseline.get(key).length > 0) red.push(`${key} is red without a bug: ${baseline.get(key)[0]}`)
      }
    }
    if (red.length > 0) {
      problems.push(name)
      console.log(`BASE  ${name}: ${red.join('; ')}`)
      continue
    }
    const applied = spawnSync('git', ['apply', path], { cwd: copy, encoding: 'utf8' })
    if (applied.status !== 0) {
      problems.push(name)
      console.log(`STALE ${name}: ${applied.stderr.trim().split('\n')[0]}`)
      continue
    }
    let caught
    for (const check of checks) {
      const failed = run(copy, check)
      if (failed.length > 0) {
        caught = `${asText(check)}: ${failed[0].split('\n')[0]}`
        break
      }
    }
    if (caught === undefined) problems.push(name)
    console.log(caught === undefined ? `ALIVE ${name} (${breaks}): ${bug}` : `red   ${name} (${breaks}): ${bug}\n      ${caught}`)
    execFileSync('git', ['apply', '-R', path], { cwd: copy })
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(problems.length === 0 ? `${bugs.length} bugs planted, every one caught` : `${bugs.length} bugs planted; not caught or not to be judged: ${problems.join(', ')}`)
process.exitCode = problems.length === 0 ? 0 : 1
