/**
 * Key-value work on made-up data: 16-byte random keys with values of 1 KiB and 16 KiB.
 *
 * Each way of writing starts with an empty database, so that none pays the debt of another; reads and scans follow the batched
 * load. What was written is read back and compared before the database is dropped.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database, Engine, PutOperation, Scan } from '../engines/engine.js'
import { Random } from '../input/random.js'
import type { TimeSlice } from '../measure/time-slice.js'
import { MismatchError } from './expectation.js'
import { KeySpace } from './key-space.js'
import type { PhaseDescription, PhaseRunner, PhaseWork } from './phase-runner.js'

/** Operations of one value size. */
export interface KvScale {
  readonly label: string
  readonly valueSize: number
  readonly load: number
  readonly batch: number
  readonly putsInFlight: number
  readonly puts: number
  readonly reads: number
}

type PhaseBody = (work: PhaseWork) => Promise<void>

const PUTS_AT_ONCE = 256
const GETS_AT_ONCE = 64

/** The sizes of a run: the full ones, or a twentieth. */
export function kvScales(quick: boolean): KvScale[] {
  const by = quick ? 20 : 1
  return [
    { label: '1 KiB', valueSize: 1024, load: 100_000 / by, batch: 1000, putsInFlight: 40_000 / by, puts: 10_000 / by, reads: 40_000 / by },
    { label: '16 KiB', valueSize: 16_384, load: 20_000 / by, batch: 64, putsInFlight: 8000 / by, puts: 4000 / by, reads: 10_000 / by },
  ]
}

/** Runs all sizes on one engine in fresh directories below `dir`. */
export async function runKv(
  engine: Engine,
  dir: string,
  scales: readonly KvScale[],
  seed: number,
  runner: PhaseRunner,
  slice: TimeSlice,
): Promise<Record<string, number> | null> {
  let stats: Record<string, number> | null = null
  for (const scale of scales) stats = await new KvRun(engine, dir, scale, seed, runner, slice).all()
  return stats
}

class KvRun {
  private readonly engine: Engine
  private readonly dir: string
  private readonly scale: KvScale
  private readonly seed: number
  private readonly runner: PhaseRunner
  private readonly slice: TimeSlice
  private readonly space: KeySpace
  private readonly entrySize: number

  constructor(engine: Engine, dir: string, scale: KvScale, seed: number, runner: PhaseRunner, slice: TimeSlice) {
    this.engine = engine
    this.dir = dir
    this.scale = scale
    this.seed = seed
    this.runner = runner
    this.slice = slice
    this.space = new KeySpace(scale.load, scale.valueSize, seed)
    this.entrySize = 16 + scale.valueSize
  }

  async all(): Promise<Record<string, number> | null> {
    const { scale } = this
    await this.inFreshDatabase(scale.putsInFlight, (db, dir) =>
      this.phase('put-256', 'put, 256 in flight', 'put', scale.putsInFlight, dir, scale.putsInFlight, true, (work) =>
        this.inFlight(work, scale.putsInFlight, PUTS_AT_ONCE, (i) => db.put(this.space.key(i), this.space.value(i))),
      ),
    )
    await this.inFreshDatabase(scale.puts, (db, dir) =>
      this.phase('put', 'put, one after another', 'put', scale.puts, dir, scale.puts, true, (work) =>
        this.oneByOne(work, scale.puts, (i) => db.put(this.space.key(i), this.space.value(i))),
      ),
    )
    let stats: Record<string, number> | null = null
    await this.inFreshDatabase(0, async (db, dir) => {
      const { load, reads } = scale
      const picks = this.picks(reads)
      const order = this.keyOrder()
      const phase = (name: string, title: string, sample: string, total: number, body: PhaseBody): Promise<void> =>
        this.phase(name, title, sample, total, dir, load, name === 'load', body)
      await phase('load', 'load, batches', 'batch', load, (work) => this.load(work, db))
      await phase('get-sync', 'getSync at random', 'get', reads, (work) => this.readSync(work, db, picks))
      await phase('get', 'get, one after another', 'get', reads >> 1, (work) =>
        this.oneByOne(work, reads >> 1, (i) => this.read(db, picks[i]!)),
      )
      await phase('get-64', 'get, 64 in flight', 'get', reads, (work) =>
        this.inFlight(work, reads, GETS_AT_ONCE, (i) => this.read(db, picks[i]!)),
      )
      await phase('scan', 'scan', 'chunk', load, (work) => this.scan(work, db, order))
      await phase('scan-keys', 'scan, keys only', 'chunk', load, (work) => this.scanKeys(work, db))
      stats = db.stats?.() ?? null
    })
    return stats
  }

  private phase(
    name: string,
    title: string,
    sample: string,
    total: number,
    dir: string,
    liveEntries: number,
    writes: boolean,
    body: PhaseBody,
  ): Promise<void> {
    const { label } = this.scale
    const description: PhaseDescription = { name: `${label} ${name}`, title: `${label}: ${title}`, sample, total, writes }
    return this.runner.run(description, dir, () => liveEntries * this.entrySize, body)
  }

  /** Opens an empty database, lets `work` use it, compares its first `written` entries, and removes it. */
  private async inFreshDatabase(written: number, work: (db: Database, dir: string) => Promise<void>): Promise<void> {
    const dir = join(this.dir, 'kv')
    rmSync(dir, { recursive: true, force: true })
    const db = await this.engine.open(dir)
    try {
      await work(db, dir)
      for (let i = 0; i < written; i++) {
        this.compare(i, db.getSync(this.space.key(i)))
        if (this.slice.due()) await this.slice.pause()
      }
    } finally {
      await db.close()
    }
    rmSync(dir, { recursive: true, force: true })
  }

  private picks(count: number): Uint32Array {
    const random = new Random(this.seed + 7)
    return Uint32Array.from({ length: count }, () => random.below(this.scale.load))
  }

  private async load({ meter, progress }: PhaseWork, db: Database): Promise<void> {
    const { load, batch } = this.scale
    for (let at = 0; at < load; at += batch) {
      const operations: PutOperation[] = []
      for (let i = at; i < Math.min(load, at + batch); i++) {
        operations.push({ type: 'put', key: this.space.key(i), value: this.space.value(i) })
      }
      const start = performance.now()
      await db.putBatch(operations)
      meter.add(performance.now() - start, operations.length, operations.length * this.entrySize)
      progress(at + operations.length)
      if (this.slice.due()) await this.slice.pause()
    }
  }

  private async oneByOne({ meter, progress }: PhaseWork, total: number, call: (index: number) => unknown): Promise<void> {
    for (let i = 0; i < total; i++) {
      const start = performance.now()
      await call(i)
      meter.add(performance.now() - start, 1, this.entrySize)
      progress(i + 1)
      if (this.slice.due()) await this.slice.pause()
    }
  }

  private async inFlight({ meter, progress }: PhaseWork, total: number, width: number, call: (index: number) => unknown): Promise<void> {
    let next = 0
    let done = 0
    const lane = async (): Promise<void> => {
      while (next < total) {
        const index = next++
        const start = performance.now()
        await call(index)
        meter.add(performance.now() - start, 1, this.entrySize)
        if ((++done & 0xff) === 0 || done === total) progress(done)
        if (this.slice.due()) await this.slice.pause()
      }
    }
    const start = performance.now()
    await Promise.all(Array.from({ length: width }, lane))
    meter.setClock(performance.now() - start)
  }

  private async readSync({ meter, progress }: PhaseWork, db: Database, picks: Uint32Array): Promise<void> {
    for (let i = 0; i < picks.length; i++) {
      const index = picks[i]!
      const key = this.space.key(index)
      const start = performance.now()
      const value = db.getSync(key)
      meter.add(performance.now() - start, 1, this.entrySize)
      this.compare(index, value)
      progress(i + 1)
      if (this.slice.due()) await this.slice.pause()
    }
  }

  /** Only the length and the last byte are looked at: a full comparison would count as time of the engine here. */
  private async read(db: Database, index: number): Promise<void> {
    const value = await db.get(this.space.key(index))
    const last = this.entrySize - 17
    if (value?.length !== last + 1 || value[last] !== this.space.value(index)[last]) throw differs(index)
  }

  private keyOrder(): number[] {
    return [...this.space.keys.keys()].sort((a, b) => Buffer.compare(this.space.key(a), this.space.key(b)))
  }

  private async scan(work: PhaseWork, db: Database, order: readonly number[]): Promise<void> {
    let at = 0
    await this.drain(work, db.scan(), this.entrySize, ([key, value]) => {
      const index = order[at++]
      if (index === undefined || Buffer.compare(key, this.space.key(index)) !== 0) {
        throw new MismatchError(`entry ${at - 1} of the scan has the wrong key`)
      }
      this.compare(index, value)
    })
  }

  private scanKeys(work: PhaseWork, db: Database): Promise<void> {
    return this.drain(work, db.scanKeys(), 16, (key) => {
      if (key.length !== 16) throw new MismatchError('a key of the scan has the wrong length')
    })
  }

  private async drain<T>(work: PhaseWork, scan: Scan<T>, size: number, check: (item: T) => void): Promise<void> {
    let seen = 0
    for (;;) {
      const start = performance.now()
      const chunk = await scan.next()
      const milliseconds = performance.now() - start
      if (chunk.length === 0) break
      work.meter.add(milliseconds, chunk.length, chunk.length * size)
      for (const item of chunk) check(item)
      seen += chunk.length
      work.progress(seen)
      if (this.slice.due()) await this.slice.pause()
    }
    await scan.close()
    if (seen !== this.scale.load) throw new MismatchError(`the scan ended after ${seen} of ${this.scale.load} entries`)
  }

  private compare(index: number, value: Uint8Array | undefined): void {
    if (value === undefined || Buffer.compare(value, this.space.value(index)) !== 0) throw differs(index)
  }
}

function differs(index: number): MismatchError {
  return new MismatchError(`value ${index} is not what was written`)
}
