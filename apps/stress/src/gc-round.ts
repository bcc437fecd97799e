/**
 * A collection, or the opening and filling of gaps, with something else beside it: a value log with garbage, a pass over it, and at one await point of
 * the pass (a file-system operation of it) a put, a deletion, a batch, a snapshot, an iterator, a flush or a compaction.
 * Completions come in a drawn order. While the pass runs, what is read is compared with the model.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type DB, GC_CHANNEL, type GcEvent, WkError } from '@wk/db'
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import { InterceptedFileSystem, ScheduledFileSystem, type FileSystem, type Operation } from '@wk/fs'
import { bytesOf, type Change, type CrashOracle, FEW_RUNS, Model, type Rng, sameBytes, SMALLEST, valueBytes, withGaps, withHoles, writeStep } from '@wk/testkit'
import { DIR } from './crash-round.js'
import { SleepingRuntime } from './sleeping-runtime.js'

/** What is done beside the pass. */
const BESIDE = ['put', 'del', 'batch', 'overwriteAll', 'snapshot', 'iterator', 'flush', 'compact', 'sync'] as const

/** Where a collection is: `rewriting` from the first time on that it rewrites pointers. */
export type GcPhase = 'collecting' | 'rewriting'

/** A collection, and what stands beside it; drawn from a seed. */
export interface GcRound {
  readonly beside: readonly (typeof BESIDE)[number][]
  /** The operations of the pass at which they start. */
  readonly places: readonly number[]
  readonly schedule: number
  /** Most entries of run tables: so few that it ends with rewriting pointers, or the default. */
  readonly mostRuns: number | undefined
  /** Values are long, and what is dead comes back as holes. */
  readonly isHoled: boolean
  /** New values go where dead ones lie: gaps are opened, filled, and collected. */
  readonly hasGaps: boolean
  readonly seed: number
}

/**
 * Draws a round. In every other one hardly any entries of run tables are allowed, and all files with garbage are collected, so that pointers are
 * rewritten. In two fifths of the others values are long, and leave holes; in as many there are gaps. Places go as far as the collection has operations, about.
 */
export function drawGcRound(rng: Rng): GcRound {
  const count = rng.between(1, 3)
  const mostRuns = rng.chance(0.5) ? FEW_RUNS : undefined
  const isHoled = mostRuns === undefined && rng.chance(0.4)
  const hasGaps = mostRuns === undefined && !isHoled && rng.chance(0.75)
  return {
    beside: Array.from({ length: count }, () => rng.pick(BESIDE)),
    places: Array.from({ length: count }, () => rng.below(mostRuns !== undefined ? 90 : isHoled || hasGaps ? 60 : 30)),
    schedule: rng.next(),
    mostRuns,
    isHoled,
    hasGaps,
    seed: rng.next(),
  }
}

/** Calls a hook before each operation, while it has one. */
class AwaitPoints extends InterceptedFileSystem {
  hook: (() => void) | undefined

  constructor(inner: FileSystem) {
    super(inner, 'await points')
  }

  async around<T>(_operation: Operation, run: () => Promise<T>): Promise<T> {
    this.hook?.()
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

/** Options of its database. */
export function optionsOf({ mostRuns, isHoled, hasGaps }: GcRound): BoundedOptions {
  return { ...(isHoled ? withHoles(SMALLEST) : hasGaps ? withGaps(SMALLEST) : SMALLEST), ...(mostRuns === undefined ? {} : { mostRuns }) }
}

/**
 * Runs a round. Throws an error that says what a read showed that it must not.
 *
 * @param enter told what begins; undefined when it is over
 * @returns files that the pass collected, logical files that lost their last pointer to it, bytes that came back as holes, and bytes that went into gaps
 */
export async function runGcRound(fs: FileSystem, oracle: CrashOracle, round: GcRound, enter: (phase: GcPhase | undefined) => void): Promise<{ collected: number; readdressed: number; punched: number; filled: number }> {
  const points = new AwaitPoints(new ScheduledFileSystem(fs, round.schedule))
  const db = await openBounded(DIR, { ...optionsOf(round), fs: points, runtime: new SleepingRuntime(round.seed) })
  const run = new GcPass(db, oracle, round)
  await run.prepare()
  const told = (event: unknown): void => {
    if ((event as GcEvent).type === 'readdress') enter('rewriting')
  }
  subscribe(GC_CHANNEL, told)
  enter('collecting')
  try {
    await run.pass(points)
  } finally {
    enter(undefined)
    unsubscribe(GC_CHANNEL, told)
    points.hook = undefined
  }
  const { gcFilesCollected, gcReaddressed, gcBytesPunched, gcBytesFilled } = db.stats()
  await db.close()
  oracle.durable(oracle.called)
  return { collected: gcFilesCollected, readdressed: gcReaddressed, punched: gcBytesPunched, filled: gcBytesFilled }
}

class GcPass {
  readonly #db: DB
  readonly #oracle: CrashOracle
  readonly #round: GcRound
  readonly #model = new Model()
  readonly #running: Promise<unknown>[] = []
  readonly #wrong: string[] = []
  readonly #keys: number
  #tag: number
  #before: { handle: ReturnType<DB['snapshot']>; model: Model } | undefined

  constructor(db: DB, oracle: CrashOracle, round: GcRound) {
    this.#db = db
    this.#oracle = oracle
    this.#round = round
    this.#keys = round.mostRuns === undefined ? 20 : 60
    this.#tag = round.seed
  }

  /** All keys in value logs, every second one written twice, two deleted: each file has garbage and survivors. */
  async prepare(): Promise<void> {
    for (let i = 0; i < this.#keys; i++) await this.#write([this.#put(i)])
    for (let i = 0; i < this.#keys; i += 2) await this.#write([this.#put(i)])
    await this.#write([{ key: 'k3', value: undefined }, { key: 'k11', value: undefined }])
    await this.#db.flush()
    this.#oracle.durable(this.#oracle.called)
    await this.#write([this.#put(5)])
    this.#before = { handle: this.#db.snapshot(), model: this.#model.snapshot() }
    await this.#write([this.#put(7), { key: 'k8', value: undefined }])
  }

  async pass(points: AwaitPoints): Promise<void> {
    let at = 0
    const { beside, places } = this.#round
    points.hook = () => {
      for (const [i, place] of places.entries()) if (place === at) this.#start(beside[i] ?? 'put')
      at++
      if (at % 3 === 0) this.#look()
    }
    if (this.#round.hasGaps) await this.#fillGaps()
    if (this.#round.mostRuns !== undefined || this.#round.isHoled) await this.#db.gc({ maxSpaceAmp: 1.01 })
    else {
      await this.#db.runValueLogGC(0.05).catch((err: unknown) => {
        if (!(err instanceof WkError && err.code === 'WK_NO_REWRITE')) throw err
      })
    }
    await Promise.all(this.#running)
    this.#look()
    points.hook = undefined
    for (const [key, value] of this.#before?.model.entries() ?? []) if (!sameBytes(await this.#db.get(bytesOf(key), { snapshot: this.#before?.handle as never }), value)) this.#wrong.push(`the snapshot shows another ${key}`)
    if (this.#wrong.length > 0) throw new Error(`${beside.join('+')} at ${places.join(',')}: ${this.#wrong.slice(0, 3).join('; ')}`)
  }

  /** Opens gaps, writes more than goes into them, and opens those that this leaves. */
  async #fillGaps(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      await this.#db.compact()
      // One by one: what is called at once goes to one file.
      for (let i = round; i < this.#keys; i += 2) await this.#write([this.#put(i)])
      await this.#db.sync()
    }
  }

  /** What everybody sees in this turn: every key, and some of the snapshot. */
  #look(): void {
    for (let i = 0; i < this.#keys; i++) {
      const key = `k${i}`
      if (!sameBytes(this.#db.getSync(key), this.#model.get(key))) this.#wrong.push(`${key} reads as another value during the pass`)
    }
    const key = `k${this.#tag % this.#keys}`
    if (this.#before !== undefined && !sameBytes(this.#db.getSync(key, { snapshot: this.#before.handle }), this.#before.model.get(key))) this.#wrong.push(`the snapshot shows another ${key} during the pass`)
  }

  #start(what: GcRound['beside'][number]): void {
    switch (what) {
      case 'put':
        return void this.#running.push(this.#write([this.#put(4)]))
      case 'del':
        return void this.#running.push(this.#write([{ key: 'k6', value: undefined }]))
      case 'batch':
        return void this.#running.push(this.#write([this.#put(1), { key: 'k2', value: undefined }, this.#put(12)]))
      case 'overwriteAll':
        return void this.#running.push(...Array.from({ length: this.#keys }, (_, i) => this.#write([this.#put(i)])))
      case 'snapshot':
        this.#before?.handle.close()
        this.#before = { handle: this.#db.snapshot(), model: this.#model.snapshot() }
        return
      case 'iterator':
        return void this.#running.push(this.#scan())
      case 'sync':
        return void this.#running.push(this.#durable(this.#db.sync()))
      case 'flush':
        return void this.#running.push(this.#durable(this.#db.flush()))
      case 'compact':
        return void this.#running.push(this.#db.compact())
    }
  }

  async #scan(): Promise<void> {
    const expected = this.#model.entries()
    let i = 0
    for await (const [key, value] of this.#db.iterator()) {
      const at = expected[i++]
      if (at === undefined || at[0] !== Buffer.from(key).toString('latin1') || !sameBytes(at[1], value)) this.#wrong.push(`entry ${i} of an iterator is another one`)
    }
    if (i !== expected.length) this.#wrong.push(`an iterator gave ${i} entries instead of ${expected.length}`)
  }

  #put(key: number): Change {
    return { key: `k${key}`, value: valueBytes({ size: this.#round.isHoled ? 9000 + (this.#tag % 9000) : this.#round.hasGaps ? 400 + (this.#tag % 50) : 150 + (this.#tag % 500), seed: this.#tag++ }) }
  }

  async #write(changes: Change[]): Promise<void> {
    const step = this.#oracle.record(changes)
    for (const change of changes) this.#model.apply(change)
    await writeStep(this.#db, changes)
    this.#oracle.acknowledge(step, false)
  }

  async #durable(call: Promise<void>): Promise<void> {
    const called = this.#oracle.called
    await call
    this.#oracle.durable(called)
  }
}
