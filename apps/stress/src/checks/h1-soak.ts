/** H1: days of work with everything small, and a kill now and then: memory, descriptors and disk stay flat. */
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type DB, WkError, type DbStats } from '@wk/db'
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import { isEndlessKey, readAll, Rng, sameBytes, valueBytes, type ValueSpec } from '@wk/testkit'
import type { Check } from '../check.js'
import { debrisIn } from '../debris.js'
import { drawMoment, KillLoop } from '../kill/kill-loop.js'
import { withDirectory } from '../temporary.js'

const KEYS = 3000
const LOG_SIZE = 1024 * 1024

/** The default sizes through 256, or the smallest there are. */
const OPTIONS: BoundedOptions = { valueThreshold: 512, memTableSize: 64 * 1024, valueLogFileSize: LOG_SIZE, tableSize: 16 * 1024, levelBaseSize: 64 * 1024, blockCacheSize: 128 * 1024, gc: { auto: true, minGarbage: 256 * 1024 } }

/** The same with so few entries of run tables that pointers are rewritten: between every second opening and closing, and in every second process that is killed. */
const REWRITING: BoundedOptions = { ...OPTIONS, mostRuns: 64 }
const doesRewrite = (round: number): boolean => round % 2 === 1

/** The same with new values where dead ones lie: between every fourth opening and closing. */
const FILLING: BoundedOptions = { ...OPTIONS, leastGap: 1024, gc: { ...OPTIONS.gc, fillGaps: true } }
const optionsOf = (round: number): BoundedOptions => (doesRewrite(round) ? REWRITING : round % 4 === 2 ? FILLING : OPTIONS)

/**
 * Flushes after which memory is looked at. Until then it grows without a leak: pages that the allocator keeps for each thread, compiled
 * code, the heap's own steps. Measured over 2,000 flushes, with the garbage collected: resident 161 MiB after 80 flushes, 201 after
 * 240, 207 after 320, and between 207 and 218 from there to the end; what the program holds went from 13.7 to 16.1 MiB and stayed.
 *
 * It is looked at when the database is closed: what an open one holds (memtables, chunks, caches) swings by some MiB with the moment, and
 * what it loses track of is still there when it is gone. Closed, heap snapshots after 700 and after 1,900 flushes differ by 0.4 of 13 MiB, nearly
 * all of it compiled code, and in no kind of object by more than a few.
 */
const WARM_UP = 400

/** Figures around one closing. */
interface Sample extends Space {
  readonly flushes: number
  /** Of the process, closed, with the garbage collected; so the next two. */
  readonly rss: number
  /** What the program holds: objects and buffers. */
  readonly held: number
  readonly descriptors: number
}

/** While the database is open. */
interface Space {
  readonly disk: number
  readonly live: number
}

/** Flushes for each of the others that must have been at the end; to 20,000 flushes belong 5,000 compactions, 2,000 passes, 2,000 files retired by rewriting pointers, 20 openings that fill gaps, 200 reopenings and 50 kills. */
const FLUSHES_PER = { compactions: 4, passes: 10, readdressed: 10, filled: 1000, reopened: 100, kills: 400 }

/** Random overwrites, deletions and reads until there were so many flushes and enough of the rest; reopened after every hundred. */
export const check: Check = {
  id: 'H1',
  title: 'soak: overwrites, deletions, reads; to 20,000 flushes 5,000 compactions, 2,000 GC passes, 2,000 files retired by rewriting pointers, 200 reopenings, 50 kills',
  means: 'all values right after each kill; disk ≤ 2.5 × live + 4 files, memory of the last quarter ≤ the first + 10 % (after 400 flushes), descriptors flat, no orphan, nothing unhandled',
  unit: 'flushes',
  cases: { commit: 0, nightly: 2000, release: 20_000 },
  run: ({ cases }, seed, report) =>
    withDirectory(async (place) => {
      const soak = new Soak(place, seed)
      // What does not come in twice the time does not come.
      while ((soak.flushes < cases || soak.missing(cases).length > 0) && soak.flushes < 2 * cases && !report.full) {
        const before = soak.flushes
        for (const wrong of await soak.untilReopened(Math.min(100, Math.ceil(cases / 20)))) report.fail(wrong)
        const wrong = soak.isKillDue(cases) ? await soak.kill() : undefined
        if (wrong !== undefined) report.fail(wrong)
        report.ran(soak.flushes - before)
      }
      for (const missing of soak.missing(cases)) report.fail(missing)
      for (const wrong of await soak.judge()) report.fail(wrong)
      report.note(soak.summary())
    }),
}

class Soak {
  readonly #place: string
  readonly #dir: string
  readonly #seed: number
  readonly #rng: Rng
  readonly #model = new Map<string, ValueSpec>()
  readonly #samples: Sample[] = []
  readonly #done = { compactions: 0, passes: 0, readdressed: 0, filled: 0, reopened: 0, kills: 0 }
  #filledBytes = 0
  flushes = 0

  /** @param place a directory of its own, in which the database is one more */
  constructor(place: string, seed: number) {
    this.#place = place
    this.#dir = join(place, 'db')
    this.#seed = seed
    this.#rng = new Rng(seed)
  }

  /** What was too seldom for so many flushes. */
  missing(flushes: number): string[] {
    const kinds = Object.keys(FLUSHES_PER) as (keyof typeof FLUSHES_PER)[]
    return kinds.filter((kind) => this.#done[kind] < Math.floor(flushes / FLUSHES_PER[kind])).map((kind) => `only ${this.#done[kind]} ${kind} in ${this.flushes} flushes`)
  }

  /** Kills are spread evenly. */
  isKillDue(flushes: number): boolean {
    return this.#done.kills < Math.floor(flushes / FLUSHES_PER.kills) && this.flushes >= (this.#done.kills + 1) * FLUSHES_PER.kills
  }

  /** Has another process write keys of its own into the database, and kills it. Returns what was wrong. */
  async kill(): Promise<string | undefined> {
    rmSync(join(this.#place, 'journal'), { force: true })
    const rewrites = doesRewrite(this.#done.kills)
    const loop = new KillLoop(this.#place, this.#seed * 1000 + this.#done.kills, { options: rewrites ? REWRITING : OPTIONS, beside: (others) => this.#compare(others)[0] })
    const moment = drawMoment(this.#rng, rewrites ? 'readdress' : undefined)
    await loop.killAt(moment)
    const wrong = await loop.judge(false)
    this.#done.kills++
    if (wrong !== undefined) return `kill ${this.#done.kills} (${moment.word} + ${moment.delay} ms): ${wrong}`
    // The next one begins with nothing.
    const db = await openBounded(this.#dir, OPTIONS)
    for (const key of (await readAll(db)).keys()) if (isEndlessKey(key)) await db.del(key)
    await db.close()
    return undefined
  }

  /** What differs from what was written. */
  #compare(visible: ReadonlyMap<string, Uint8Array>): string[] {
    const wrong = [...visible].filter(([key, value]) => !this.#isRight(key, value)).map(([key]) => `${key} is another value, or there again`)
    if (visible.size !== this.#model.size) wrong.push(`${visible.size} keys instead of ${this.#model.size}`)
    return wrong
  }

  #isRight(key: string, value: Uint8Array): boolean {
    const spec = this.#model.get(key)
    return spec !== undefined && sameBytes(value, valueBytes(spec))
  }

  /** Works until there were so many flushes, closes. Returns what was wrong. */
  async untilReopened(flushes: number): Promise<string[]> {
    const db = await openBounded(this.#dir, optionsOf(this.#done.reopened))
    const wrong: string[] = []
    let stats: DbStats = db.stats()
    for (let turn = 0; stats.flushes < flushes; turn++) {
      await Promise.all(Array.from({ length: 32 }, () => this.#write(db)))
      const key = this.#key()
      const spec = this.#model.get(key)
      if (!sameBytes(await db.get(key), spec && valueBytes(spec))) wrong.push(`${key} is another value`)
      if (turn % 50 === 49) await db.runValueLogGC(0.3).catch(tolerate)
      stats = db.stats()
    }
    // Collection lags behind by design; it is given its time before the disk is looked at.
    await db.gc({ maxSpaceAmp: 1.3 }).catch(tolerate)
    stats = db.stats()
    const space = { disk: this.#diskBytes(), live: stats.liveBytes }
    this.flushes += stats.flushes
    this.#done.compactions += stats.compactions
    this.#done.passes += stats.gcPasses
    this.#done.readdressed += stats.gcReaddressed
    this.#done.filled += stats.gcBytesFilled > 0 ? 1 : 0
    this.#filledBytes += stats.gcBytesFilled
    this.#done.reopened++
    await db.close()
    this.#sample(space)
    return wrong
  }

  #key(): string {
    return `a key of some length, number ${String(this.#rng.below(KEYS)).padStart(6, '0')}`
  }

  async #write(db: DB): Promise<void> {
    const key = this.#key()
    if (this.#rng.chance(0.1)) {
      this.#model.delete(key)
      return db.del(key)
    }
    const spec = { size: this.#rng.chance(0.7) ? this.#rng.between(20, 500) : this.#rng.between(600, 4000), seed: this.#rng.next() }
    this.#model.set(key, spec)
    return db.put(key, valueBytes(spec))
  }

  #diskBytes(): number {
    let bytes = 0
    for (const name of readdirSync(this.#dir)) bytes += statSync(join(this.#dir, name), { throwIfNoEntry: false })?.size ?? 0
    return bytes
  }

  #sample(space: Space): void {
    const { gc } = globalThis as { gc?: () => void }
    // Twice: buffers go with the collection after the one that found them dead.
    gc?.()
    gc?.()
    const { rss, heapUsed, external } = process.memoryUsage()
    this.#samples.push({ ...space, flushes: this.flushes, rss, held: heapUsed + external, descriptors: readdirSync('/proc/self/fd').length })
  }

  /** All values, the files, and the curves. */
  async judge(): Promise<string[]> {
    const wrong = await debrisIn(this.#dir, OPTIONS)
    const db = await openBounded(this.#dir, OPTIONS)
    wrong.push(...this.#compare(await readAll(db)))
    if (!(await db.verify()).ok) wrong.push('verify() found damage')
    await db.close()
    const samples = this.#samples
    for (const { disk, live } of samples) if (disk > 2.5 * live + 4 * LOG_SIZE) wrong.push(`${disk} bytes on disk for ${live} live ones`)
    const [first, last] = quarters(samples)
    const warm = this.#warm()
    if (warm.length >= LEAST_SAMPLES) {
      const [early, late] = quarters(warm)
      for (const what of ['rss', 'held'] as const) {
        const [before, after] = [meanOf(early, what), meanOf(late, what)]
        if (after > before * 1.1) wrong.push(`memory (${what}) grew from ${mebibytes(before)} to ${mebibytes(after)}`)
      }
    }
    const [fd0, fd1] = [Math.max(...first.map(({ descriptors }) => descriptors)), Math.max(...last.map(({ descriptors }) => descriptors))]
    if (fd1 > fd0 + 8) wrong.push(`descriptors grew from ${fd0} to ${fd1}`)
    return wrong.slice(0, 20)
  }

  /** Samples of the time in which memory must stay flat. */
  #warm(): Sample[] {
    return this.#samples.filter(({ flushes }) => flushes > WARM_UP)
  }

  summary(): string {
    const { compactions, passes, readdressed, filled, reopened, kills } = this.#done
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    const warm = this.#warm()
    const judged = warm.length < LEAST_SAMPLES ? 'not judged: too few flushes' : `of which ${mebibytes(meanOf(warm, 'rss'))} on average when warm, ${mebibytes(meanOf(warm, 'held'))} held`
    return `${compactions} compactions, ${passes} GC passes, ${readdressed} logical files retired by rewriting pointers, ${mebibytes(this.#filledBytes)} written into gaps in ${filled} openings, ${reopened} reopenings, ${kills} kills; memory ${mebibytes(first?.rss ?? 0)} to ${mebibytes(last?.rss ?? 0)} (${judged}), descriptors ${first?.descriptors} to ${last?.descriptors}, disk ${mebibytes(last?.disk ?? 0)} for ${mebibytes(last?.live ?? 0)} live`
  }
}

/** Samples from which a tendency can be told. */
const LEAST_SAMPLES = 8

function quarters(samples: readonly Sample[]): [first: readonly Sample[], last: readonly Sample[]] {
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  return [samples.slice(0, quarter), samples.slice(-quarter)]
}

function meanOf(samples: readonly Sample[], what: 'rss' | 'held'): number {
  return samples.reduce((sum, sample) => sum + sample[what], 0) / samples.length
}

function tolerate(error: unknown): void {
  if (!(error instanceof WkError && (error.code === 'WK_NO_REWRITE' || error.code === 'WK_GC_RUNNING'))) throw error
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`
}
