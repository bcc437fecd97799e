/**
 * The main job: real files in, checked byte for byte, changed, collected, reopened, checked again.
 *
 * load, read at random, scan, overwrite half, delete a quarter, collect, close, reopen, verify, read at random, scan. Every
 * value that comes back is compared with its source; the first difference ends the run with a {@link MismatchError}.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database, Engine, PutOperation } from '../engines/engine.js'
import { ContentSource } from '../input/content-source.js'
import { readPlan } from '../input/input-plan.js'
import type { InputFile } from '../input/file-list.js'
import { shuffledIndexes } from '../input/random.js'
import { sampleFiles } from '../input/sample.js'
import type { TimeSlice } from '../measure/time-slice.js'
import { Expectation, MismatchError } from './expectation.js'
import { PhaseRunner, type PhaseWork } from './phase-runner.js'
import { untilWarm } from './warm-up.js'
import type { Workload } from './workload.js'

const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_ENTRIES = 512
/** Of the files, a sample of so many does the whole job first, unmeasured. */
const WARM_BYTES = 16 * 1024 * 1024
const WARM_FILES = 2000

/** What the job works on. */
export interface FilesJob {
  readonly root: string
  readonly files: readonly InputFile[]
  readonly seed: number
  /** An empty directory for the database. */
  readonly dir: string
}

/** The workload. */
export const files: Workload = {
  name: 'files',
  summary: 'the main job: real files as values, changed, collected, reopened, compared byte for byte',
  parts: ['files'],
  defaultEngines: ['wk', 'classic-level', 'lmdb', 'files'],
  engines: ['wk', 'classic-level', 'lmdb', 'rocksdb', 'rocksdb-blobs', 'level-blobs', 'lmdb-blobs', 'files'],
  rounds: 3,
  budgetSeconds: 120,
  diskBytes: () => null,
  async run({ engine, dir, plan, quick, seed, runner, slice }) {
    if (plan === null) throw new Error('the files workload needs an input plan')
    const { summary, files } = readPlan(plan)
    const { root } = summary
    const sample = sampleFiles({ files, bytes: summary.bytes, skipped: 0 }, { maxBytes: WARM_BYTES, maxFiles: WARM_FILES, seed })
    const warm = join(dir, 'warm-up')
    const unseen = new PhaseRunner(slice, { onProgress: () => {}, onPhase: () => {} })
    await untilWarm(quick, async () => {
      await runFiles(engine, { root, files: sample.files, seed, dir: warm }, unseen, slice)
      rmSync(warm, { recursive: true, force: true })
    })
    return runFiles(engine, { root, files, seed, dir: join(dir, 'files') }, runner, slice)
  },
}

/** Runs the job on one engine. Resolves with the engine's counters, once the database is closed. */
async function runFiles(engine: Engine, job: FilesJob, runner: PhaseRunner, slice: TimeSlice): Promise<Record<string, number> | null> {
  const source = new ContentSource(job.root, job.files, slice)
  const expectation = new Expectation(source, slice)
  const run = new FilesRun(engine, job, runner, slice, source, expectation)
  return run.all()
}

class FilesRun {
  private database: Database | undefined
  private readonly engine: Engine
  private readonly job: FilesJob
  private readonly runner: PhaseRunner
  private readonly slice: TimeSlice
  private readonly source: ContentSource
  private readonly expectation: Expectation
  private readonly arena: Uint8Array
  private readonly count: number

  constructor(engine: Engine, job: FilesJob, runner: PhaseRunner, slice: TimeSlice, source: ContentSource, expectation: Expectation) {
    this.engine = engine
    this.job = job
    this.runner = runner
    this.slice = slice
    this.source = source
    this.expectation = expectation
    this.arena = new Uint8Array(Math.max(BATCH_BYTES, source.largest))
    this.count = job.files.length
  }

  async all(): Promise<Record<string, number> | null> {
    const { count } = this
    const { seed } = this.job
    const walk = Uint32Array.from({ length: count }, (_, index) => index)
    const half = shuffledIndexes(count, seed + 1).subarray(0, count >> 1)
    const quarter = shuffledIndexes(count, seed + 2).subarray(0, count >> 2)
    try {
      await this.phase('open', 'open', 'open', 1, (work) => this.open(work))
      await this.phase('load', 'load', 'batch', count, (work) => this.write(work, walk, 0), true)
      await this.readAll('read', 'read at random, compare', seed + 3)
      await this.scanAll('scan', 'scan, compare')
      await this.phase('overwrite', 'overwrite half', 'batch', half.length, (work) => this.write(work, half, 1), true)
      await this.phase('delete', 'delete a quarter', 'batch', quarter.length, (work) => this.delete(work, quarter), true)
      if (this.db.collect !== undefined) await this.phase('collect', 'collect garbage', 'collection', 1, (work) => this.collect(work))
      await this.phase('close', 'close', 'close', 1, (work) => this.close(work))
      await this.phase('reopen', 'reopen', 'open', 1, (work) => this.open(work))
      if (this.db.verify !== undefined) await this.phase('verify', "engine's own verify", 'verify', 1, (work) => this.verify(work))
      await this.readAll('read-again', 'read all again, compare', seed + 4)
      await this.scanAll('scan-again', 'scan again, compare')
      const stats = this.db.stats?.() ?? null
      await this.db.close()
      this.database = undefined
      return stats
    } finally {
      await this.database?.close().catch(() => {})
    }
  }

  private get db(): Database {
    if (this.database === undefined) throw new Error('the database is not open')
    return this.database
  }

  /** Orders are made before the phase begins, so that making them is not in its figures. */
  private readAll(name: string, title: string, seed: number): Promise<void> {
    const order = shuffledIndexes(this.count, seed)
    return this.phase(name, title, 'get', this.count, (work) => this.read(work, order))
  }

  private async scanAll(name: string, title: string): Promise<void> {
    if (this.db.scan === undefined) return
    const expected = this.expectation.liveInKeyOrder()
    await this.phase(name, title, 'chunk', expected.length, (work) => this.scan(work, expected))
  }

  private phase(
    name: string,
    title: string,
    sample: string,
    total: number,
    body: (work: PhaseWork) => Promise<string | undefined | void>,
    writes = false,
  ): Promise<void> {
    return this.runner.run({ name, title, sample, total, writes }, this.job.dir, () => this.expectation.liveBytes, body)
  }

  private async open({ meter }: PhaseWork): Promise<void> {
    const start = performance.now()
    this.database = await this.engine.open(this.job.dir, { sync: false })
    meter.add(performance.now() - start, 1, 0)
  }

  private async close({ meter }: PhaseWork): Promise<void> {
    const { db } = this
    this.database = undefined
    const start = performance.now()
    await db.close()
    meter.add(performance.now() - start, 1, 0)
  }

  private async write({ meter, progress }: PhaseWork, indexes: Uint32Array, generation: number): Promise<void> {
    for (let at = 0; at < indexes.length; ) {
      const operations: PutOperation[] = []
      const numbers: number[] = []
      let used = 0
      let bytes = 0
      for (; at < indexes.length && operations.length < BATCH_ENTRIES; at++) {
        const index = indexes[at]!
        if (operations.length > 0 && used + this.source.length(index, generation) > BATCH_BYTES) break
        const length = await this.source.fill(index, generation, this.arena, used)
        const key = this.expectation.key(index)
        operations.push({ type: 'put', key, value: this.arena.subarray(used, used + length) })
        numbers.push(index)
        used += length
        bytes += key.length + length
      }
      const start = performance.now()
      await this.db.putBatch(operations)
      meter.add(performance.now() - start, operations.length, bytes)
      for (const index of numbers) this.expectation.wrote(index, generation)
      progress(at)
      if (this.slice.due()) await this.slice.pause()
    }
  }

  private async delete({ meter, progress }: PhaseWork, indexes: Uint32Array): Promise<void> {
    for (let at = 0; at < indexes.length; at += BATCH_ENTRIES) {
      const numbers = [...indexes.subarray(at, at + BATCH_ENTRIES)]
      const keys = numbers.map((index) => this.expectation.key(index))
      const bytes = keys.reduce((sum, key) => sum + key.length, 0)
      const start = performance.now()
      await this.db.deleteBatch(keys)
      meter.add(performance.now() - start, keys.length, bytes)
      for (const index of numbers) this.expectation.deleted(index)
      progress(at + numbers.length)
      if (this.slice.due()) await this.slice.pause()
    }
  }

  private async read({ meter, progress }: PhaseWork, order: Uint32Array): Promise<void> {
    const { db, expectation } = this
    for (let at = 0; at < order.length; at++) {
      const index = order[at]!
      const key = expectation.key(index)
      const start = performance.now()
      const value = await db.get(key)
      meter.add(performance.now() - start, 1, expectation.size(index))
      await expectation.check(index, value)
      progress(at + 1)
      if (this.slice.due()) await this.slice.pause()
    }
  }

  private async scan({ meter, progress }: PhaseWork, expected: readonly number[]): Promise<void> {
    const { expectation } = this
    const scan = this.db.scan!()
    let at = 0
    try {
      for (;;) {
        const start = performance.now()
        const chunk = await scan.next()
        const milliseconds = performance.now() - start
        if (chunk.length === 0) break
        let bytes = 0
        for (const [key, value] of chunk) {
          const index = expected[at++]
          if (index === undefined || Buffer.compare(key, expectation.key(index)) !== 0) throw outOfPlace(key, at - 1)
          bytes += key.length + value.length
          await expectation.check(index, value)
        }
        meter.add(milliseconds, chunk.length, bytes)
        progress(at)
        if (this.slice.due()) await this.slice.pause()
      }
    } finally {
      await scan.close()
    }
    if (at !== expected.length) throw new MismatchError(`the scan ended after ${at} of ${expected.length} entries`)
  }

  private async collect({ meter }: PhaseWork): Promise<string | undefined> {
    const start = performance.now()
    const note = await this.db.collect?.()
    meter.add(performance.now() - start, 1, 0)
    return note
  }

  private async verify({ meter }: PhaseWork): Promise<string> {
    const start = performance.now()
    const problems = (await this.db.verify?.()) ?? []
    meter.add(performance.now() - start, 1, 0)
    if (problems.length > 0) throw new MismatchError(`verify found ${problems.length} problems, first: ${problems[0] ?? ''}`)
    return 'no problems'
  }
}

function outOfPlace(key: Uint8Array, at: number): MismatchError {
  return new MismatchError(`entry ${at} of the scan is ${Buffer.from(key).toString()}, which should not be there`)
}
