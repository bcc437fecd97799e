/**
 * Garbage: load N values, overwrite five times as many, with collection at work, and see what it holds, writes and costs.
 *
 * Disk space is sampled through the whole run; bytes written are the process's own counters. A rival that is slow is stopped after
 * a while, and the report says so. What is there in the end is read back and compared.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../engines/engine.js'
import { Random } from '../input/random.js'
import { Zipfian } from '../input/zipfian.js'
import { ioBetween, readProcessIo, type ProcessIo } from '../measure/process-io.js'
import { SpaceSampler, spaceAmpOf, worstSpaceAmp } from '../measure/space-sampler.js'
import { inFlight, loadBatches } from './call-loops.js'
import { runDeleteAll } from './churn-delete.js'
import { runLoadOnly } from './churn-load.js'
import { churnSizes, LONG_PARTS, OVERWRITES, SKEW, type ChurnSize } from './churn-sizes.js'
import { CollectionLoop } from './collection-loop.js'
import { KeySpace } from './key-space.js'
import type { PhaseWork } from './phase-runner.js'
import { quietSeconds, quietTime } from './quiet-time.js'
import { verifyAll } from './verification.js'
import { warmUp } from './warm-up.js'
import type { Workload, WorkloadContext } from './workload.js'

/** Milliseconds after which the overwrites of a rival end; the engine under test has to do them all. */
const RIVAL_BUDGET = 12_000

const DEFAULT_PARTS: readonly string[] = ['16k-uniform', '16k-zipfian', '1k-uniform', '1k-zipfian', 'load-only', 'delete-all']

/** The workload. */
export const churn: Workload = {
  name: 'churn',
  summary: 'load, then overwrite five times as much: space held, bytes written, what collection costs, with the targets',
  parts: [...DEFAULT_PARTS, ...LONG_PARTS],
  defaultParts: DEFAULT_PARTS,
  defaultEngines: ['wk', 'wk-copies', 'wk-gc-off', 'wk-gc-loop', 'classic-level', 'lmdb', 'rocksdb-blobs'],
  engines: ['wk', 'wk-holes', 'wk-copies', 'wk-gc-off', 'wk-gc-loop', 'classic-level', 'lmdb', 'rocksdb', 'rocksdb-blobs', 'level-blobs', 'lmdb-blobs'],
  rounds: 1,
  budgetSeconds: 600,
  diskBytes: (_, quick) => (quick ? 500e6 : 8e9),
  async run(context) {
    const { name } = context.engine
    // How it is collected makes no difference where nothing is overwritten, or where the question is what happens without a call.
    if ((context.part === 'load-only' || context.part === 'delete-all') && name.startsWith('wk-')) return null
    if (context.part === 'load-only') return runLoadOnly(context)
    if (context.part === 'delete-all') return runDeleteAll(context)
    const [label = '', choice = ''] = context.part.split('-')
    const size = churnSizes(context.quick)[label]
    if (size === undefined) throw new RangeError(`no part ${context.part}`)
    return new ChurnRun(context, size, choice).all()
  },
}

class ChurnRun {
  private readonly context: WorkloadContext
  private readonly size: ChurnSize
  private readonly name: string
  private readonly space: KeySpace
  private readonly dir: string
  private readonly generations: Uint32Array
  private readonly picks: Uint32Array

  constructor(context: WorkloadContext, size: ChurnSize, choice: string) {
    this.context = context
    this.size = size
    this.name = `${size.label} ${choice}`
    this.space = new KeySpace(size.valueSize, context.seed)
    this.dir = join(context.dir, 'churn')
    this.generations = new Uint32Array(size.count)
    const next = choice === 'zipfian' ? new Zipfian(size.count, SKEW, context.seed) : new Random(context.seed)
    const draw = (): number => (next instanceof Zipfian ? next.next() : next.below(size.count))
    this.picks = Uint32Array.from({ length: size.count * OVERWRITES }, draw)
  }

  async all(): Promise<Record<string, number> | null> {
    const { engine, slice, quick, dir } = this.context
    await warmUp(engine, dir, this.space, slice, quick, { sync: false })
    const db = await engine.open(this.dir, { sync: false })
    const loop = new CollectionLoop(db)
    try {
      await this.phase('load', 'load, batches', this.size.count, true, (work) => loadBatches(work, slice, db, this.space, this.size.count, this.size.batch))
      const before = readProcessIo()
      loop.start()
      await this.phase('overwrite', `overwrite ${OVERWRITES} × as many, ${this.size.atOnce} in flight`, this.picks.length, true, (work) => this.overwrite(work, db))
      const overwritten = this.written
      await this.phase('after', 'the half minute after', quietSeconds(quick), false, (work) => this.wait(work, before, overwritten))
      await loop.stop()
      await this.phase('check', 'read all, compare', 1, false, async ({ meter }) => {
        const start = performance.now()
        // Without an order of writes in flight, any of the last ones may have won.
        const window = engine.unordered === true ? this.size.atOnce : 1
        await verifyAll(db, this.space, this.size.count, slice, { generations: this.generations, window })
        meter.add(performance.now() - start, 1, 0)
      })
      return db.stats?.() ?? null
    } finally {
      await loop.stop().catch(() => {})
      await db.close()
      rmSync(this.dir, { recursive: true, force: true })
    }
  }

  private written = 0

  private async overwrite(work: PhaseWork, db: Database): Promise<string | undefined> {
    const { picks, generations, space } = this
    const { engine, slice } = this.context
    const sampler = this.sampler()
    const budget = engine.name.startsWith('wk') ? Infinity : RIVAL_BUDGET
    const call = (i: number): unknown => {
      const index = picks[i]!
      return db.put(space.key(index), space.value(index, ++generations[index]!))
    }
    sampler.start()
    const done = await inFlight(work, slice, { total: picks.length, size: space.entrySize, call }, this.size.atOnce, budget)
    work.space = sampler.stop()
    this.written = done * space.entrySize
    work.figures['space amp, worst'] = worstSpaceAmp(work.space)
    work.figures['space amp, last'] = spaceAmpOf(work.space.at(-1)!)
    return done === picks.length ? undefined : `stopped after ${done} of ${picks.length}`
  }

  private async wait(work: PhaseWork, before: ProcessIo | null, overwritten: number): Promise<void> {
    const sampler = this.sampler()
    const start = performance.now()
    sampler.start()
    await quietTime(this.context.engine.name, this.dir, this.context.quick, work.progress)
    work.space = sampler.stop()
    work.meter.add(performance.now() - start, 1, 0)
    work.figures['space amp, worst'] = worstSpaceAmp(work.space)
    work.figures['space amp, last'] = spaceAmpOf(work.space.at(-1)!)
    const written = ioBetween(before, readProcessIo())
    if (written === null) return
    work.figures['written per user byte'] = written.handed / overwritten
    work.figures['dirtied per user byte'] = written.dirtied / overwritten
  }

  private sampler(): SpaceSampler {
    return new SpaceSampler(this.dir, () => this.liveBytes)
  }

  private get liveBytes(): number {
    return this.size.count * this.space.entrySize
  }

  private phase(name: string, title: string, total: number, writes: boolean, body: (work: PhaseWork) => Promise<string | undefined | void>): Promise<void> {
    const description = { name: `${this.name} ${name}`, title: `${this.name}: ${title}`, sample: 'put', total, writes }
    return this.context.runner.run(description, this.dir, () => this.liveBytes, body)
  }
}
