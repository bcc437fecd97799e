/**
 * A value log whose gaps are filled, driven beside a plain list of what is alive.
 *
 * The driver is a host with durable marks. It judges itself: what is alive reads back in every way, what is dead reads back as it was or not at
 * all, and pointers ascend in the order of writing, across reopenings, too.
 */
import { CorruptionError, type ValuePointer } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import { expect } from 'vitest'
import type { GapPlan, ValueLog, ValueLogOptions } from '../../src/index.js'
import { mulberry, randomBytes } from './bytes.js'
import { expectReadable, expectReadableAnyhow, inFile, planGaps, rangesOf, recordOf } from './gap-log.js'
import { lineOf, openLog, type Kept } from './memory-log.js'

const isBefore = (a: ValuePointer, b: ValuePointer): boolean => a.fid < b.fid || (a.fid === b.fid && a.offset + a.len <= b.offset)

export interface GapDriverOptions extends ValueLogOptions {
  /** Least dead bytes that become a gap. */
  least: number
  /** Files end at so many bytes, and wait for so many before they are sealed. */
  waiting?: number
  /** Records of so many bytes get files of their own. */
  alone?: number
}

export class GapDriver {
  live: Kept[] = []
  dead: Kept[] = []
  /** Everything before this was durable when somebody asked last. */
  synced = { fid: 0, offset: 0 }
  /** Bytes that were put into gaps. */
  filled = 0
  log!: ValueLog
  fs: FileSystem
  readonly random: () => number
  readonly #options: GapDriverOptions
  #version = 0
  #last: ValuePointer = { fid: 0, offset: 0, len: 0 }
  #pending: Promise<unknown>[] = []
  #walk: { walk: AsyncGenerator<{ entry: Kept['entry']; pointer: ValuePointer }>; must: string[]; seen: string[] } | undefined

  constructor(fs: FileSystem, seed: number, options: GapDriverOptions) {
    this.fs = fs
    this.random = mulberry(seed)
    this.#options = options
  }

  async open(marks: ValueLogOptions = { durable: null }): Promise<void> {
    const { least: _, waiting, alone, ...options } = this.#options
    this.log = await openLog(this.fs, { lock: false, maxOpenFiles: 3, ...options, ...marks })
    if (waiting !== undefined || alone !== undefined) this.log.limitFiles(options.fileSize ?? 4096, waiting, alone)
  }

  /** A number below `most`. */
  below(most: number): number {
    return Math.floor(this.random() * most)
  }

  record(most: number): Kept['entry'] {
    return recordOf(this.random, ++this.#version, this.below(most))
  }

  /** Appends a group. `wait`: until it is with the operating system. */
  async append(count: number, most: number, wait = true, sync = false): Promise<void> {
    const group = Array.from({ length: count }, () => this.record(most))
    const before = this.log.appended.bytesInGaps
    const appended = this.log.append(group, { sync }).then((pointers) => {
      this.#note(group, pointers)
      if (sync) this.noteSynced()
    })
    this.filled += this.log.appended.bytesInGaps - before
    this.#pending.push(appended)
    if (wait) await this.settle()
  }

  /** The half of a host that has a write queue of its own; `how` the staged records go out. */
  async stage(lengths: readonly number[], how: 'sync' | 'async'): Promise<void> {
    await this.settle()
    const before = this.log.appended.bytesInGaps
    for (const length of lengths) {
      const entry = this.record(1)
      entry.value = randomBytes(this.random, length)
      const pointer = { fid: 0, offset: 0, len: 0 }
      this.log.stage(entry.key, entry.version, 0, 0, 0, entry.value, pointer)
      this.#note([entry], [pointer])
    }
    this.log.endGroup()
    this.filled += this.log.appended.bytesInGaps - before
    expectReadable(this.log, this.live.slice(-lengths.length))
    if (how === 'async' || !this.log.writeStagedSync()) await this.log.writeStaged()
  }

  #note(entries: readonly Kept['entry'][], pointers: readonly ValuePointer[]): void {
    for (const [i, entry] of entries.entries()) {
      const pointer = { ...pointers[i]! }
      expect(isBefore(this.#last, pointer), `${JSON.stringify(pointer)} behind ${JSON.stringify(this.#last)}`).toBe(true)
      this.#last = pointer
      this.live.push({ entry, pointer })
    }
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pending)
    this.#pending = []
  }

  noteSynced(): void {
    this.synced = this.log.syncedPosition()
  }

  async sync(): Promise<void> {
    await this.settle()
    await this.log.sync()
    this.noteSynced()
  }

  async seal(): Promise<void> {
    await this.settle()
    await this.log.seal()
    this.noteSynced()
  }

  /** About so great a part of what is alive dies, some of it side by side. */
  kill(share: number): void {
    let dies = false
    const live: Kept[] = []
    for (const one of this.live) {
      if (this.random() < 0.6) dies = this.random() < share
      ;(dies ? this.dead : live).push(one)
    }
    this.live = live
  }

  /** Plans for those of the sealed files that have gaps, of about such a share of them. */
  plans(share = 1): GapPlan[] {
    const plans: GapPlan[] = []
    for (const { number, sealed, listBytes, holeBytes, logical } of this.log.physicalFiles()) {
      const plan = planGaps(this.log, number, this.live.filter(({ pointer }) => logical.includes(pointer.fid)), this.#options.least)
      if (plan === undefined) continue
      expect({ number, sealed, holeBytes }).toEqual({ number: plan.number, sealed: true, holeBytes: 0 })
      expect(plan.longest).toBeGreaterThanOrEqual(this.#options.least)
      expect(plan.bytes).toBeGreaterThanOrEqual(plan.longest)
      expect(plan.entries).toBeGreaterThan(0)
      expect(listBytes).toBeGreaterThanOrEqual(0)
      if (this.random() < share) plans.push(plan)
    }
    return plans
  }

  /** Opens gaps, with appends beside it. */
  async fill(share: number, beside = 0): Promise<void> {
    await this.settle()
    const plans = this.plans(share)
    const opening = this.log.gaps.open(plans)
    if (beside > 0) await this.append(beside, 2000, false)
    expect((await opening).length).toBeLessThanOrEqual(plans.length)
    await this.settle()
  }

  /** Copies what is alive out of sealed logical files. */
  async relocate(share: number): Promise<void> {
    await this.settle()
    const victims = this.log.files().filter(({ sealed }) => sealed && this.random() < share)
    const relocation = await this.log.createRelocation()
    const live = this.live.toSorted((a, b) => a.pointer.offset - b.pointer.offset)
    for (const { fid } of victims) for (const { pointer } of inFile(live, fid)) await relocation.copy(fid, pointer.offset, pointer.len)
    await relocation.finish()
  }

  /** Gives up files of which nothing is alive. */
  async drop(): Promise<void> {
    await this.settle()
    const dead = this.log.files().filter(({ fid, sealed }) => sealed && inFile(this.live, fid).length === 0)
    await this.log.dropLogical(dead.map(({ fid }) => fid))
  }

  /** Gives dead ranges back as holes. */
  async punch(share: number): Promise<void> {
    await this.settle()
    const { holes } = this.log
    const plans = this.log.physicalFiles().filter(() => this.random() < share).map(({ number, logical }) => holes.plan(number, rangesOf(this.live.filter(({ pointer }) => logical.includes(pointer.fid))), 8192))
    await holes.punch(plans.filter((plan) => plan !== undefined))
  }

  /** Moves pointers on to where relocated records lie. */
  async readdress(): Promise<void> {
    await this.settle()
    for (const { fid, physical, sealed } of this.log.files()) {
      const places = sealed ? this.log.directPlaces(fid) : undefined
      if (places === undefined) continue
      expect(fid, 'no address for a file in gaps').toBeLessThan(physical)
      const { starts, positions, lengths, target } = places
      for (const one of inFile(this.live, fid)) {
        const run = starts.findLastIndex((start) => start <= one.pointer.offset)
        expect(one.pointer.offset + one.pointer.len).toBeLessThanOrEqual(starts[run]! + lengths[run]!)
        one.pointer = { fid: target, offset: positions[run]! + one.pointer.offset - starts[run]!, len: one.pointer.len }
      }
      await this.log.dropLogical([fid])
    }
  }

  /** Begins a walk over a file, goes on with the one that is under way, or ends it. */
  async walk(steps: number): Promise<void> {
    await this.settle()
    if (this.#walk === undefined) {
      const files = this.log.files()
      const file = files[this.below(files.length)]
      if (file === undefined) return
      const must = inFile(this.live, file.fid).filter(({ pointer }) => pointer.offset + pointer.len <= file.validEnd).map(placeOf)
      this.#walk = { walk: this.log.iterate(file.fid), must, seen: [] }
    }
    const { walk, must, seen } = this.#walk
    for (let step = 0; step < steps; step++) {
      const next = await walk.next()
      if (next.done !== true) seen.push(placeOf(next.value))
      else {
        this.#walk = undefined
        expect(seen).toEqual(expect.arrayContaining(must))
        return
      }
    }
  }

  /** Leaves a walk that is under way. */
  async endWalk(): Promise<void> {
    await this.#walk?.walk.return(undefined)
    this.#walk = undefined
  }

  async check(count = 8): Promise<void> {
    const some = Array.from({ length: Math.min(count, this.live.length) }, () => this.live[this.below(this.live.length)]!)
    await expectReadableAnyhow(this.log, some)
    this.checkDead(count)
  }

  /** What is dead reads back as it was, or not at all. */
  checkDead(count: number): void {
    for (let i = 0; i < Math.min(count, this.dead.length); i++) {
      const { entry, pointer } = this.dead[this.below(this.dead.length)]!
      try {
        expect(lineOf(this.log.readSync(pointer))).toBe(lineOf(entry))
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
      }
    }
  }

  /** All that is alive, and the log as a whole. */
  async checkAll(): Promise<void> {
    await this.settle()
    await expectReadableAnyhow(this.log, this.live)
    this.checkDead(1000)
    expect(await this.log.verify()).toMatchObject({ ok: true })
    for (const { number, size, recordBytes, logical } of this.log.physicalFiles()) {
      const alive = this.live.filter(({ pointer }) => logical.includes(pointer.fid)).reduce((sum, { pointer }) => sum + pointer.len, 0)
      expect(recordBytes, `file ${number}`).toBeGreaterThanOrEqual(alive)
      expect(size).toBeGreaterThanOrEqual(recordBytes)
    }
  }

  get expectedFids(): Set<number> {
    return new Set(this.live.map(({ pointer }) => pointer.fid))
  }

  async close(): Promise<void> {
    await this.settle()
    await this.endWalk()
    await this.log.close()
  }

  /** Closes and opens again, told where the end was. */
  async reopen(): Promise<void> {
    await this.close()
    const { fid, offset } = this.log.position()
    await this.open(fid === 0 ? { durable: null } : { cleanEnd: { fid, size: offset }, expectedFids: this.expectedFids })
    this.noteSynced()
    expect(this.log.cutBytes).toBe(0)
  }
}

const placeOf = ({ entry, pointer: { fid, offset } }: Kept): string => `${fid} ${offset} ${lineOf(entry)}`
