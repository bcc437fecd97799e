/** B3: crash states rebuilt from the system calls of a real process. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { openBounded } from '@wk/db/testing'
import { type Bounds, CrashOracle, endlessStep, KILLED, KILLED_FILLING, KILLED_REWRITING, mountImage, type OptionSet, readAll, Rng, sameBytes } from '@wk/testkit'
import type { Check, Report } from '../check.js'
import { childPath } from '../child-path.js'
import type { KillRequest } from '../kill/kill-child.js'
import { saidIn } from '../kill/kill-loop.js'
import { SleepingRuntime } from '../sleeping-runtime.js'
import { withDirectory } from '../temporary.js'
import { readSystemCalls, TRACED, type SystemCall } from '../trace/system-calls.js'
import { KEEPS, TracedDisk, type Keep } from '../trace/traced-disk.js'

/** Steps of the traced process: past flush, compaction and collection. Every tenth is synced. */
const STEPS = 320
/** Where gaps are filled: past the second compaction, too. */
const FILLING_STEPS = 720
const SYNC_EVERY = 10
/** Crash states of one traced process. */
const STATES = 500

/**
 * Needs `strace`. One traced process after the other, every other one with a worker; in two of four pointers are rewritten, in the first one gaps are
 * filled.
 */
export const check: Check = {
  id: 'B3',
  title: 'crash states rebuilt from system calls: prefixes, unsynced subsets, torn sectors, names out of order',
  means: 'as A1; with a file system in memory, no call on files at all',
  unit: 'crash states',
  cases: { commit: 0, nightly: 1000, release: 5000 },
  async run({ cases, only }, seed, report) {
    const [onlyRound, onlyState] = only?.split('/').map(Number) ?? []
    await withDirectory((place) => {
      const { calls } = trace(place, { ...requestOf(place, seed), memory: true })
      const touched = calls.filter(({ path }) => basename(path) !== 'journal' && !path.startsWith('/dev/') && !path.startsWith('/proc/'))
      if (touched.length > 0) report.fail(`with a file system in memory: ${touched[0]?.kind} of ${touched[0]?.path}`)
      return Promise.resolve()
    })
    let ran = 0
    let readdressings = 0
    let fillings = 0
    for (let round = onlyRound ?? 0; ran < cases && !report.full; round++) {
      const number = seed * 1000 + round
      const rewrites = round % 4 === 1 || round % 4 === 2
      const options = rewrites ? KILLED_REWRITING : round % 4 === 0 ? KILLED_FILLING : KILLED
      const traced = await withDirectory((place) => Promise.resolve(trace(place, requestOf(place, number, { ...options, workers: round % 2 }))))
      readdressings += traced.readdressings
      fillings += traced.fillings
      const states = new TracedStates(traced.calls, traced.dir, number)
      if (round === (onlyRound ?? 0)) report.note(states.summary())
      for (let state = onlyState ?? 0; state < STATES && ran < cases && !report.full; state++, ran++) {
        await judge(states, options, state, `${round}/${state}`, report)
        report.ran()
        if (only !== undefined) return
      }
    }
    if (only === undefined && ran > STATES && readdressings === 0) report.fail('no pointer was rewritten in any traced process')
    if (only === undefined && ran > 0 && fillings === 0) report.fail('no gap was filled in any traced process')
    report.note(`pointers were rewritten ${readdressings} times in the traced processes, values seen in gaps ${fillings} times`)
  },
}

function requestOf(place: string, seed: number, options: OptionSet = { ...KILLED, workers: 0 }): KillRequest {
  return { dir: join(place, 'db'), journal: join(place, 'journal'), seed, first: 0, steps: options.leastGap === undefined ? STEPS : FILLING_STEPS, syncEvery: SYNC_EVERY, options }
}

/** Runs the child of the kill checks to its end under strace. */
function trace(place: string, request: KillRequest): { calls: SystemCall[]; dir: string; readdressings: number; fillings: number } {
  mkdirSync(place, { recursive: true })
  const output = join(place, 'trace')
  const { status, error, stdout, stderr } = spawnSync('strace', ['-f', '-y', '-xx', '-s', '4000000', '-o', output, '-e', `trace=${TRACED}`, process.execPath, childPath('kill-child'), JSON.stringify(request)], {
    encoding: 'utf8',
    env: { ...process.env, UV_USE_IO_URING: '0' },
    timeout: 120_000,
  })
  if (error !== undefined || status !== 0) throw new Error(`strace, which B3 needs, or its child failed: ${error?.message ?? stderr.slice(0, 1000)}`)
  return { calls: readSystemCalls(readFileSync(output, 'latin1')), dir: join(realpathSync(place), 'db'), readdressings: saidIn(stdout, 'readdress'), fillings: saidIn(stdout, 'filled') }
}

interface TracedState {
  readonly image: Map<string, Uint8Array>
  readonly bounds: Bounds
  readonly where: string
}

/** All that a traced process did, and what had been promised when. */
class TracedStates {
  readonly oracle = new CrashOracle()
  readonly #disk: TracedDisk
  readonly #seed: number
  /** The calls on the directory, among which crashes come. */
  readonly #calls: readonly SystemCall[]
  readonly #called: number[] = []
  readonly #acknowledged: { ended: number; step: number }[] = []

  constructor(calls: readonly SystemCall[], dir: string, seed: number) {
    this.#seed = seed
    this.#disk = new TracedDisk(calls, dir)
    this.#calls = calls.filter(({ path }) => path.startsWith(dir))
    for (const call of calls) {
      if (call.kind !== 'write' || basename(call.path) !== 'journal') continue
      for (const [kind, number] of Buffer.from(call.bytes).toString().trim().split('\n').map((line) => line.split(' '))) {
        const step = Number(number)
        if (kind === 'c') {
          this.oracle.record(endlessStep(seed, step))
          this.#called[step] = call.begun
        } else this.#acknowledged.push({ ended: call.ended, step: step + 1 })
      }
    }
  }

  summary(): string {
    const counts = new Map<string, number>()
    for (const { kind } of this.#calls) counts.set(kind, (counts.get(kind) ?? 0) + 1)
    return `a traced process: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')}`
  }

  state(number: number): TracedState {
    const rng = Rng.of(this.#seed, number)
    const keep: Keep = KEEPS[number % KEEPS.length] ?? 'nothing'
    const call = rng.pick(this.#calls)
    const line = call.ended
    const acknowledged = this.#acknowledged.filter(({ ended }) => ended <= line).map(({ step }) => step)
    const must = keep === 'all' ? acknowledged : acknowledged.filter((step) => step % SYNC_EVERY === 0)
    const image = new Map([...this.#disk.stateAfter(line, keep, rng)].map(([path, bytes]) => [basename(path), bytes]))
    return { image, bounds: { must: Math.max(0, ...must), may: this.#called.filter((begun) => begun <= line).length }, where: `${keep} of what was unsynced after line ${line} (${call.kind} ${basename(call.path)})` }
  }
}

async function judge(states: TracedStates, sizes: OptionSet, number: number, name: string, report: Report): Promise<void> {
  const { image, bounds, where } = states.state(number)
  const fs = await mountImage(image, '/db')
  const options = { ...sizes, workers: 0, fs, runtime: new SleepingRuntime(1), gc: { auto: false } }
  let before: Map<string, Uint8Array> | undefined
  for (const round of ['opened', 'opened again']) {
    try {
      const db = await openBounded('/db', options)
      try {
        const visible = await readAll(db)
        const verdict = states.oracle.check(visible, bounds)
        if (!verdict.ok) return report.fail(`${where}, ${round}: law ${verdict.law}: ${verdict.message}`, name)
        const verified = await db.verify()
        if (!verified.ok) return report.fail(`${where}, ${round}: verify: ${JSON.stringify(verified.problems.slice(0, 3))}`, name)
        if (before !== undefined && (before.size !== visible.size || [...before].some(([key, value]) => !sameBytes(visible.get(key), value)))) return report.fail(`${where}: the second opening shows another map`, name)
        before = visible
      } finally {
        await db.close()
      }
    } catch (error) {
      return report.fail(`${where}, ${round}: does not open or read: ${error instanceof Error ? error.message : String(error)}`, name)
    }
  }
}
