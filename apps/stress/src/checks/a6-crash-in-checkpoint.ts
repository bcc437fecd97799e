/** A6: a crash while a checkpoint is made, beside writes, flush, compaction and collection. */
import { DB, WkError } from '@wk/db'
import { CRASH_POLICIES, FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { bytesOf, CrashOracle, crashProfile, drawHistory, exploreCrashes, HistoryRunner, type Model, type Operation, readAll, Rng, sameBytes, SMALLEST, THRESHOLD } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, replayed, reportFindings } from '../crash-round.js'
import { SleepingRuntime } from '../sleeping-runtime.js'

const COPY = '/new/copy'
/** Written with `sync` once the checkpoint has resolved: where it is visible, the copy must be whole. */
const RESOLVED = 'the checkpoint is made'
/** Most crash states of one checkpoint. */
const STATES = 120
/** Operations from one crash to the next, by turns: close together at the beginning of a checkpoint, or spread over a whole one. */
const STRIDES = [3, 10] as const

/** One drawn database after the other; every other one on a file system without hard links. */
export const check: Check = {
  id: 'A6',
  title: 'crash inside a checkpoint, beside writes, flush, compaction, GC (A4)',
  means: 'as A1; the copy holds exactly the writes called before, or is refused as missing or damaged; whole for good once the call has resolved',
  unit: 'crash states',
  cases: { commit: 240, nightly: 1200, release: 6000 },
  async run({ cases, only }, seed, report) {
    const replay = replayed(only)
    let ran = 0
    const copies = new Copies()
    for (let round = replay.round ?? 0; ran < cases && !report.full; round++) {
      const run = new CheckpointRun(seed * 1000 + round, copies)
      let crashes = 0
      const explored = await exploreCrashes({
        dir: DIR,
        createFileSystem: () => new MemoryFileSystem(),
        open: (fs) => run.open(fs),
        createOracle: () => new CrashOracle(),
        run: (fs, oracle) => run.run(fs, oracle),
        crashBefore: (index) => run.isRunning && (replay.index !== undefined || ((index + round) % STRIDES[round % 2]! === 0 && crashes++ < STATES / CRASH_POLICIES.length)),
        policies: CRASH_POLICIES,
        seeds: [round + 1],
        recoveryEvery: 0,
        maintainEvery: 8,
        window: Infinity,
        ...(replay.index === undefined ? {} : { onlyIndex: replay.index }),
      })
      reportFindings(report, round, explored)
      report.ran(explored.images)
      ran += Math.max(1, explored.images)
      if (only !== undefined) return
    }
    report.note(`copies: ${copies.summary()}`)
    for (const outcome of ['whole', 'WK_NOT_FOUND'] as const) if (!copies.has(outcome)) report.fail(`no copy was ${outcome}`)
  },
}

/** What became of the copies. */
class Copies {
  readonly #outcomes = new Map<string, number>()
  add(outcome: string): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1)
  }
  has(outcome: string): boolean {
    return this.#outcomes.has(outcome)
  }
  summary(): string {
    return [...this.#outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(', ')
  }
}

class CheckpointRun {
  isRunning = false
  readonly #seed: number
  readonly #copies: Copies
  /** The map that the copy must hold. */
  #expected: Model | undefined
  /** Images whose copy is judged already: each is opened several times. */
  readonly #judged = new WeakSet<MemoryFileSystem>()

  constructor(seed: number, copies: Copies) {
    this.#seed = seed
    this.#copies = copies
  }

  /** Opens the database of an image, and judges the copy beside it the first time. */
  async open(fs: MemoryFileSystem): Promise<DB> {
    const db = await DB.open(DIR, { ...SMALLEST, fs, runtime: new SleepingRuntime(1) })
    if (this.#expected === undefined || this.#judged.has(fs)) return db
    this.#judged.add(fs)
    try {
      await this.#judgeCopy(fs.crashClone('P1'), await db.has(RESOLVED))
    } catch (error) {
      await db.close()
      throw error
    }
    return db
  }

  async #judgeCopy(fs: MemoryFileSystem, mustBeWhole: boolean): Promise<void> {
    let copy: DB
    try {
      copy = await DB.open(COPY, { ...SMALLEST, fs, createIfMissing: false })
    } catch (error) {
      if (mustBeWhole || !(error instanceof WkError && (error.code === 'WK_NOT_FOUND' || error.code === 'WK_CORRUPTION'))) throw new Error(`the copy does not open: ${String(error)}`, { cause: error })
      this.#copies.add(error.code)
      // What a crash left of a checkpoint can be removed.
      await DB.destroy(COPY, { fs })
      return
    }
    try {
      const found = await readAll(copy)
      const expected = this.#expected?.entries() ?? []
      if (found.size !== expected.length || expected.some(([key, value]) => !sameBytes(found.get(key), value))) throw new Error(`the copy holds ${found.size} keys, or other values, instead of ${expected.length}`)
      if (!(await copy.verify()).ok) throw new Error('verify() of the copy found damage')
      await copy.put('later', 'written')
      this.#copies.add('whole')
    } finally {
      await copy.close()
    }
  }

  /** A drawn history, then the checkpoint with something beside it. */
  async run(memory: MemoryFileSystem, oracle: CrashOracle): Promise<void> {
    const rng = new Rng(this.#seed)
    const fs = new FaultFileSystem(memory)
    if (this.#seed % 2 === 1) fs.add({ operation: 'link', errno: 'EMLINK', times: Infinity })
    let db: DB | undefined
    const before: Operation[] = drawHistory(rng, crashProfile(40, THRESHOLD))
    const runner = new HistoryRunner(async () => (db = await DB.open(DIR, { ...SMALLEST, fs, runtime: new SleepingRuntime(1) })), oracle)
    await runner.run(before)
    db = await DB.open(DIR, { ...SMALLEST, fs, runtime: new SleepingRuntime(1) })
    await this.#write(db, oracle, rng)
    this.#expected = oracle.modelAfter(oracle.called)
    this.isRunning = true
    const made = db.checkpoint(COPY)
    const beside = [this.#write(db, oracle, rng), this.#write(db, oracle, rng)]
    for (const what of [rng.below(4), rng.below(4)]) {
      if (what === 0) beside.push(db.flush())
      else if (what === 1) beside.push(db.compact().then(() => undefined))
      else if (what === 2) beside.push(db.runValueLogGC(0.05).then(() => undefined, tolerate))
    }
    await Promise.all(beside)
    await made
    const step = oracle.record([{ key: RESOLVED, value: new Uint8Array(0) }])
    await db.put(RESOLVED, '', { sync: true })
    oracle.acknowledge(step, true)
    await this.#write(db, oracle, rng)
    this.isRunning = false
    await db.close()
  }

  async #write(db: DB, oracle: CrashOracle, rng: Rng): Promise<void> {
    const value = rng.bytes(rng.pick([10, 200, 900]))
    const key = `beside ${rng.below(5)}`
    const step = oracle.record([{ key, value }])
    await db.put(bytesOf(key), value)
    oracle.acknowledge(step, false)
  }
}

function tolerate(error: unknown): void {
  if (!(error instanceof WkError && (error.code === 'WK_NO_REWRITE' || error.code === 'WK_GC_RUNNING'))) throw error
}
