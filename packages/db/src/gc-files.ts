/**
 * The value-log files as the collector sees them: the figures of the engine, and what is under way with them or was met in them.
 *
 * It keeps two pieces of work off the same file, and tells which files nothing refers to. All of that is in memory: what a crash
 * takes of it costs a pass in vain at most, for references are counted anew. It changes no file; which of them are worth collecting is
 * the business of `gc-victims.ts`.
 */
import { formatFileName } from '@wk/codec'
import type { CorruptionError } from '@wk/codec'
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'
import { describeFiles, fittingVictims } from './gc-victims.js'
import type { FileNotes, Generation, ValueLogFile } from './gc-victims.js'

/** Records of files that are not victims yet, whose live ranges are read along with those of victims. */
const MOST_CANDIDATE_RECORDS = 1 << 18

export class GcFiles {
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #generations = new Map<number, Generation>()
  readonly #damaged = new Set<number>()
  readonly #pinned = new Set<number>()
  readonly #notes: FileNotes

  /** Files that passes are copying from, or gaps are being opened in, with the bytes that this will give back. */
  readonly moving = new Map<number, number>()

  /** `readdressing`: files to which jobs are about to lead pointers. `mostRuns`: most entries of run tables. */
  constructor(tree: LsmTree, vlog: ValueLog, readdressing: FileNotes['readdressing'], mostRuns: number) {
    this.#tree = tree
    this.#vlog = vlog
    this.#notes = { generations: this.#generations, moving: this.moving, readdressing, damaged: this.#damaged, pinned: this.#pinned, mostRuns }
  }

  /** Every file, by number. */
  list(): ValueLogFile[] {
    return describeFiles(this.#tree, this.#vlog, this.#notes)
  }

  /** Those of `victims` that a pass may take now, the first ones first. */
  fitting(victims: readonly ValueLogFile[]): ValueLogFile[] {
    return fittingVictims(victims, this.list(), this.#notes)
  }

  /** Logical files that may become victims before the tables change. */
  candidates(): number[] {
    const fids: number[] = []
    let records = 0
    for (const { state, logical, liveRecords } of this.list()) {
      if (state !== 'collectable' || (records += liveRecords) > MOST_CANDIDATE_RECORDS) continue
      fids.push(...logical)
    }
    return fids
  }

  /** Sealed logical files that nothing refers to, no older view either. */
  dead(): number[] {
    const referenced = this.#tree.pinnedFids()
    for (const fid of this.#tree.liveReferences().keys()) referenced.add(fid)
    const dead: number[] = []
    for (const { number, sealed, logical } of this.#vlog.physicalFiles()) {
      // A pass that copies from a file deals with all of it; jobs may be about to refer to one whose pointers are rewritten.
      if (sealed && !this.moving.has(number) && !this.#notes.readdressing.has(number)) for (const fid of logical) if (!referenced.has(fid)) dead.push(fid)
    }
    return dead
  }

  /** Bytes that the passes under way will give back. */
  get expectedGain(): number {
    let bytes = 0
    for (const gain of this.moving.values()) bytes += gain
    return bytes
  }

  /** Too much of a file's garbage is kept for readers: it is left alone until {@link GcFiles.forgetPinned}. */
  notePinned(number: number): void {
    this.#pinned.add(number)
  }

  /** Files whose garbage was kept for readers are looked at again. */
  forgetPinned(): void {
    this.#pinned.clear()
  }

  /** Law 6: a damaged file is kept as it is, and others are collected before it is tried again. `files`: what the pass that met it copied from. */
  noteDamage(files: readonly ValueLogFile[], { file }: CorruptionError): void {
    const named = files.filter(({ number, relocated }) => formatFileName(relocated ? 'relocated' : 'vlog', number) === file)
    for (const { number } of named.length > 0 ? named : files) this.#damaged.add(number)
  }

  /** The logical files `moved` lie in files of this generation now. */
  noteGenerations(moved: ReadonlyMap<number, unknown>, generation: Generation): void {
    const physical = this.#vlog.physicalFiles()
    const present = new Set(physical.map(({ number }) => number))
    for (const number of this.#generations.keys()) if (!present.has(number)) this.#generations.delete(number)
    for (const { number, relocated, logical } of physical) if (relocated && logical.some((fid) => moved.has(fid))) this.#generations.set(number, generation)
  }
}
