/** Where records go in gaps, and how chunks that leave something out are found and written: against arrays that know nothing of either. */
import { expect, test } from 'vitest'
import { GapCursor } from '../src/gap-cursor.js'
import { piecesOf } from '../src/gap-pieces.js'
import { RunTableBuilder, type RunTable } from '../src/run-table.js'
import { Staging, stretchesOf, type StagedPlace } from '../src/staging.js'
import { mulberry, randomBytes, RUNS, SEED } from './support/bytes.js'

const MIN_RECORD = 21

interface Gap {
  /** In the logical file. */
  start: number
  length: number
  /** In the physical file. */
  at: number
}

/** Gaps as a plan makes them: consecutive in the logical file, apart in the physical one. */
function makeGaps(random: () => number, count: number, most: number): Gap[] {
  const gaps: Gap[] = []
  let start = 20
  let at = 20
  for (let i = 0; i < count; i++) {
    at += 1 + Math.floor(random() * 300)
    const length = MIN_RECORD + Math.floor(random() * most)
    gaps.push({ start, length, at })
    start += length
    at += length
  }
  return gaps
}

function tableOf(gaps: readonly Gap[]): RunTable {
  const builder = new RunTableBuilder()
  for (const { start, at, length } of gaps) builder.add(start, at, length)
  return builder.build()
}

const forSeeds = (count: number, run: (seed: number, random: () => number) => void): void => {
  for (let i = 0; i < count * RUNS; i++) {
    const seed = SEED * 100_000 + i
    try {
      run(seed, mulberry(seed))
    } catch (error) {
      throw new Error(`WK_SEED=${SEED} WK_RUNS=${RUNS} npx vitest run packages/vlog/test/gap-cursor.test.ts`, { cause: error })
    }
  }
}

test('a record goes into the first gap, from the last one used on, that has room for all of it', () => {
  forSeeds(300, (_, random) => {
    const gaps = makeGaps(random, 1 + Math.floor(random() * 12), 900)
    const runs = tableOf(gaps)
    const cursor = new GapCursor()
    // Of two files in turn: the second one begins with its first gap.
    for (let fid = 7; fid < 9; fid++) {
      const used = gaps.map(() => 0)
      let last = 0
      let end = 20
      for (let record = 0; record < 60; record++) {
        const length = MIN_RECORD + Math.floor(random() ** 3 * 900)
        const wanted = gaps.findIndex((gap, i) => i >= last && gap.length - used[i]! >= length)
        const offset = cursor.place(fid, runs, end, length)
        expect(offset).toBe(wanted === -1 ? -1 : gaps[wanted]!.start + used[wanted]!)
        if (wanted === -1) break
        used[wanted] = used[wanted]! + length
        last = wanted
        end = offset + length
      }
      expect(cursor.place(fid, runs, end, 1_000_000)).toBe(-1)
      const late = cursor.place(fid, runs, end, MIN_RECORD)
      if (late !== -1) expect(late, 'what was passed over is not gone back to').toBeGreaterThanOrEqual(gaps.at(-1)!.start)
    }
  })
})

interface Placed {
  fid: number
  offset: number
  bytes: Uint8Array
}

/** Files in gaps of one physical file each, written through one staging as the writer does it. */
class Model {
  readonly staging = new Staging()
  readonly staged: Placed[] = []
  readonly released: Placed[] = []
  readonly #files: { fid: number; gaps: Gap[]; runs: RunTable; physical: Uint8Array; expected: Uint8Array }[] = []
  readonly #cursor = new GapCursor()
  readonly #random: () => number
  #end = 20

  constructor(random: () => number) {
    this.#random = random
  }

  begin(fid: number): void {
    const gaps = makeGaps(this.#random, 1 + Math.floor(this.#random() * 8), this.#random() < 0.3 ? 90_000 : 1500)
    const { at, length } = gaps.at(-1)!
    const physical = randomBytes(this.#random, at + length + 100)
    this.#files.push({ fid, gaps, runs: tableOf(gaps), physical, expected: physical.slice() })
    this.#end = 20
    this.staging.detach()
  }

  /** False when the file is full. */
  stage(length: number): boolean {
    const file = this.#files.at(-1)!
    const offset = this.#cursor.place(file.fid, file.runs, this.#end, length)
    if (offset === -1) return false
    const bytes = randomBytes(this.#random, length)
    const chunk = this.staging.reserve(file.fid, offset, length)
    chunk.bytes.set(bytes, chunk.length)
    this.staging.filled(chunk, length)
    const gap = file.gaps.find(({ start, length: room }) => offset >= start && offset + length <= start + room)!
    file.expected.set(bytes, gap.at + offset - gap.start)
    this.staged.push({ fid: file.fid, offset, bytes })
    this.#end = offset + length
    return true
  }

  /** Writes the oldest chunk; its records are those that end in it. */
  release(): void {
    const chunk = this.staging.first
    if (chunk === undefined) return
    const { runs, physical } = this.#files.find(({ fid }) => fid === chunk.fid)!
    let sum = 0
    for (const { start, length, position } of piecesOf(chunk, runs)) {
      expect(length).toBeGreaterThan(0)
      expect(start).toBe(sum)
      physical.set(chunk.bytes.subarray(start, start + length), position)
      sum += length
    }
    expect(sum).toBe(chunk.length)
    expect(stretchesOf(chunk).reduce((bytes, { length }) => bytes + length, 0)).toBe(chunk.length)
    this.staging.release()
    while (this.staged[0] !== undefined && this.staged[0].fid === chunk.fid && this.staged[0].offset < chunk.end) this.released.push(this.staged.shift()!)
  }

  check(): void {
    const out: StagedPlace = { bytes: new Uint8Array(0), start: 0 }
    const { staging } = this
    expect(staging.bytes).toBe(this.staged.reduce((sum, { bytes }) => sum + bytes.length, 0))
    for (const [i, { fid, offset, bytes }] of this.staged.entries()) {
      expect(staging.find(fid, offset, bytes.length, out)).toBe(true)
      expect(Buffer.compare(out.bytes.subarray(out.start, out.start + bytes.length), bytes)).toBe(0)
      expect(staging.find(fid + 1000, offset, bytes.length, out)).toBe(false)
      const next = this.staged[i + 1]
      // Across a jump nothing is found: the bytes in between are not there.
      if (next?.fid === fid && next.offset > offset + bytes.length) expect(staging.find(fid, offset, next.offset + next.bytes.length - offset, out)).toBe(false)
      if (next?.fid === fid && next.offset > offset + bytes.length) expect(staging.find(fid, offset + bytes.length, MIN_RECORD, out)).toBe(false)
    }
    const last = this.staged.at(-1)
    if (last !== undefined) expect(staging.find(last.fid, last.offset, last.bytes.length + 1, out)).toBe(false)
    for (const { fid, offset, bytes } of this.released) expect(staging.find(fid, offset, bytes.length, out)).toBe(false)
  }

  finish(): void {
    while (this.staging.first !== undefined) this.release()
    for (const { physical, expected } of this.#files) expect(Buffer.compare(physical, expected), 'every byte where it belongs, and no other').toBe(0)
  }
}

test('staged records are found until they are written, to their places and to no other byte', () => {
  let jumps = 0
  forSeeds(60, (_, random) => {
    const model = new Model(random)
    let fid = 1
    model.begin(fid)
    for (let step = 0; step < 80; step++) {
      const length = random() < 0.1 ? MIN_RECORD + Math.floor(random() * 80_000) : MIN_RECORD + Math.floor(random() * 1200)
      if (!model.stage(length)) model.begin(++fid)
      jumps += model.staging.first?.jumps?.length ?? 0
      const dice = random()
      if (dice < 0.08) model.release()
      if (dice > 0.9) model.staging.detach()
      if (step % 8 === 0) model.check()
    }
    model.check()
    model.finish()
    model.check()
  })
  expect(jumps).toBeGreaterThan(1000)
})
