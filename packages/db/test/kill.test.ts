/**
 * Law 1 on the real thing: a child process is killed with SIGKILL again and again while it writes, compacts, collects
 * or recovers. The parent knows from the child's journal what was called and what was acknowledged, and from the
 * seed what every step wrote. `WK_SEED`, `WK_RUNS` (kills, default 20).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CrashOracle, endlessStep, KILLED, readAll, Rng } from '@wk/testkit'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { temporaryDirectory } from './harness.js'

const SEED = Number(process.env.WK_SEED ?? 1)
const KILLS = Number(process.env.WK_RUNS ?? 20)
const CHILD = fileURLToPath(new URL('kill-child.mjs', import.meta.url))

/** Moments to kill at: a word that the child says, how often it says it first, and a delay in milliseconds after it. */
function drawMoment(rng: Rng): { word: string; skip: number; delay: number } {
  const word = rng.pick(['opening', 'open', 'open', 'flush', 'compact', 'compact', 'gc', 'gc', 'gc'])
  if (word === 'opening') return { word, skip: 0, delay: rng.below(12) }
  if (word === 'open') return { word, skip: 0, delay: rng.below(200) }
  return { word, skip: rng.below(4), delay: rng.below(6) }
}

async function runAndKill(dir: string, journal: string, first: number, moment: ReturnType<typeof drawMoment>): Promise<void> {
  const child = spawn(process.execPath, [CHILD, dir, journal, String(SEED), String(first), JSON.stringify(KILLED)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  let left = moment.skip + 1
  let pending = ''
  const gone = once(child, 'exit')
  // A word that does not come, because the child is slow, must not hold up the test.
  const late = setTimeout(() => child.kill('SIGKILL'), 3000)
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (pending + chunk.toString()).split('\n')
    pending = lines.pop() ?? ''
    left -= lines.filter((line) => line === moment.word).length
    if (left <= 0 && lines.length > 0) setTimeout(() => child.kill('SIGKILL'), moment.delay)
  })
  const [, signal] = (await gone) as [number | null, string | null]
  clearTimeout(late)
  expect(signal, `the child ended by itself: ${errors}`).toBe('SIGKILL')
}

it(`law 1: killed ${KILLS} times while writing, compacting and collecting, it keeps all it acknowledged`, async () => {
  expect(existsSync(fileURLToPath(new URL('../dist/index.js', import.meta.url))), 'this test runs the build: build first').toBe(true)
  const rng = new Rng(SEED)
  const dir = join(temporaryDirectory(), 'db')
  const journal = join(temporaryDirectory(), 'journal')
  const oracle = new CrashOracle()
  let survived = 0
  const moments: Record<string, number> = {}
  for (let kill = 0; kill < KILLS; kill++) {
    const moment = drawMoment(rng)
    moments[moment.word] = (moments[moment.word] ?? 0) + 1
    await runAndKill(dir, journal, survived, moment)
    let called = survived
    for (const line of existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1) : []) {
      const step = Number(line.slice(2)) + 1
      while (oracle.called < step) oracle.record(endlessStep(SEED, oracle.called))
      if (line.startsWith('a')) oracle.acknowledge(step, false)
      called = Math.max(called, step)
    }
    const bounds = oracle.bounds(true)
    const replay = `kill ${kill} (${moment.word} + ${moment.delay} ms), replay: WK_SEED=${SEED} WK_RUNS=${kill + 1} npx vitest run test/kill.test.ts`
    if (!existsSync(join(dir, 'CURRENT')) && bounds.must === 0) continue
    // First without touching anything: the image stays as the kill left it. Then, every other time, with recovery.
    for (const readOnly of rng.chance(0.5) ? [true, false, false] : [true]) {
      const db = await DB.open(dir, { ...KILLED, readOnly }).catch((err: unknown) => {
        throw new Error(`does not open (readOnly ${readOnly}) after ${replay}: ${JSON.stringify(err)}`, { cause: err })
      })
      try {
        const verdict = oracle.check(await readAll(db), bounds)
        expect(verdict, replay).toMatchObject({ ok: true })
        if (verdict.ok) survived = verdict.steps
        expect(await db.verify(), replay).toMatchObject({ ok: true })
      } finally {
        await db.close()
      }
    }
    // What survived is the history now; steps beyond it are called anew by the next child.
    expect(survived).toBeGreaterThanOrEqual(bounds.must)
  }
  expect(oracle.called).toBeGreaterThan(KILLS * 20)
  if (KILLS >= 20) expect((moments.gc ?? 0) + (moments.compact ?? 0)).toBeGreaterThanOrEqual(KILLS / 3)
})
