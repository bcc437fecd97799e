/**
 * Plants every bug of `tooling/planted-bugs/` into a copy of the repository, one at a time, and demands that tests turn red.
 *
 * `pnpm planted-bugs [name ...]`; without names all of them, with `--part 2/5` the second fifth. Every test that the patch names must
 * turn red. Before a bug is planted its tests run without it: a check that is red anyway catches nothing. Prints each check with
 * the test that failed; exits with 1 if one stayed green, if a patch does not apply, or if a check was red before. `--no-baseline`
 * skips the runs without a bug.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
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

const { values, positionals: wanted } = parseArgs({ allowPositionals: true, options: { part: { type: 'string', default: '1/1' }, 'no-baseline': { type: 'boolean', default: false } } })
const [part, parts] = values.part.split('/').map(Number)
if (!(part >= 1 && part <= parts)) throw new Error('--part needs a part and a number of parts: 2/5')
const all = readdirSync(join(root, 'tooling/planted-bugs'))
  .filter((name) => name.endsWith('.patch'))
  .map((name) => ({ ...readBug(readFileSync(join(root, 'tooling/planted-bugs', name), 'utf8')), name: name.slice(0, -'.patch'.length), path: join(root, 'tooling/planted-bugs', name) }))
const unknown = wanted.filter((name) => !all.some((bug) => bug.name === name))
if (unknown.length > 0) throw new Error(`no such bug: ${unknown.join(', ')}`)
const bugs = all.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).filter((_, i) => i % parts === part - 1)
const copy = copyRepository()
const baseline = new Map()
const problems = []
try {
  for (const { name, bug, breaks, checks, path } of bugs) {
    const red = []
    if (!values['no-baseline']) {
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
    const lines = []
    for (const check of checks) {
      const failed = run(copy, check)
      lines.push(failed.length > 0 ? `      red   ${asText(check)}: ${failed[0].split('\n')[0]}` : `      GREEN ${asText(check)}`)
      if (failed.length === 0 && !problems.includes(name)) problems.push(name)
    }
    console.log([`${problems.includes(name) ? 'ALIVE' : 'red  '} ${name} (${breaks}): ${bug}`, ...lines].join('\n'))
    execFileSync('git', ['apply', '-R', path], { cwd: copy })
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(problems.length === 0 ? `${bugs.length} bugs planted, every one caught by every test that it names` : `${bugs.length} bugs planted; not caught or not to be judged: ${problems.join(', ')}`)
process.exitCode = problems.length === 0 ? 0 : 1
