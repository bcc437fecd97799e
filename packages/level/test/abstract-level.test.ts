/**
 * abstract-level's own suite, whole, over this package and, for its time, over classic-level, each in a process of its
 * own. Opening and closing a thousand databases is most of it, and is measured apart, too.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('suite-child.mjs', import.meta.url))
/** What classic-level passes. */
const ASSERTIONS = 5168

interface Run {
  tests: number
  passed: number
  failures: string[]
  code: number
  figures: { databases: number; wallMs: number; cpuMs: number }
}

async function runSuite(implementation: 'wk' | 'classic'): Promise<Run> {
  const child = spawn(process.execPath, [CHILD, implementation], { stdio: ['ignore', 'pipe', 'pipe'] })
  let tap = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (tap += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  const line = errors.split('\n').find((text) => text.startsWith('{"databases"'))
  expect(line, `the ${implementation} suite did not finish: ${errors}`).toBeDefined()
  const lines = tap.split('\n')
  // A failure is told together with the test it belongs to.
  const failures = lines.flatMap((text, i) => (text.startsWith('not ok') ? [lines.slice(0, i).findLast((before) => before.startsWith('# ')) + ': ' + lines.slice(i, i + 6).join('\n')] : []))
  const passed = lines.filter((text) => text.startsWith('ok ')).length
  return { tests: passed + failures.length, passed, failures, code, figures: JSON.parse(line as string) as Run['figures'] }
}

function tell(name: string, { tests, passed, failures, figures }: Run): void {
  console.log(`abstract-level's suite on ${name}: ${tests} assertions, ${passed} passed, ${failures.length} failed; ${figures.databases} databases, ${figures.wallMs} ms (${figures.cpuMs} ms of CPU)`)
}

it("abstract-level's suite passes, with all of classic-level's assertions", { timeout: 300_000 }, async () => {
  expect(existsSync(fileURLToPath(new URL('../dist/index.js', import.meta.url))), 'this test runs the build: build first').toBe(true)
  const own = await runSuite('wk')
  tell('@wk/level', own)
  tell('classic-level', await runSuite('classic'))
  expect(own.failures).toEqual([])
  expect(own.passed).toBeGreaterThanOrEqual(ASSERTIONS)
  expect(own.code).toBe(0)
})

/**
 * Measured alone, the fastest of the blocks of 25: 1.3 to 2.8 in nine runs, most of it syncs, whose price differs from one minute to the
 * next. The bar is for what is of another kind: a timer, a thread, a file read whole.
 * `WK_OPENS=1000` measures a thousand databases.
 */
const OPEN_RATIO = 3

it('opening and closing databases takes not much longer than with classic-level', { timeout: 300_000, retry: 2 }, () => {
  const count = process.env['WK_OPENS'] ?? '200'
  const { wk, classic } = JSON.parse(execFileSync(process.execPath, [fileURLToPath(new URL('open-child.mjs', import.meta.url)), count], { encoding: 'utf8' })) as Record<'wk' | 'classic', number>
  console.log(`${count} databases opened and closed: one in ${wk.toFixed(2)} ms with @wk/level, ${classic.toFixed(2)} ms with classic-level`)
  expect(wk).toBeLessThan(classic * OPEN_RATIO)
})
