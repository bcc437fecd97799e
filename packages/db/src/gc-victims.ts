/**
 * Which value-log files to relocate, and which of them together: pure functions.
 *
 * Victims by cost and benefit: age × dead / (live + scan). Old data that is still alive will stay so; young data dies on
 * its own, so its file is worth more later. Files are taken from one generation at a time: what survived once never
 * mixes with what was just written, and what survived twice is kept apart from both.
 */
import type { LsmTree } from '@wk/lsm'
import type { PhysicalFileInfo, ValueLog } from '@wk/vlog'

/** How often the records of a file have survived a collection: 0 fresh, 1 once, 2 more than once. */
export type Generation = 0 | 1 | 2

/** What keeps a file from being collected, if something does. */
export type FileState =
  /** Still written to. */
  | 'active'
  /** New records go where its dead ones lie, or will: option `gc.fillGaps`. */
  | 'filling'
  /** A memtable refers to it: it waits for the flush. */
  | 'unflushed'
  /** A pass is copying its live records. */
  | 'moving'
  /** Pointers into it are being rewritten, so that its run tables may be forgotten. */
  | 'readdressing'
  /** A pass met damage in it: it is kept. */
  | 'damaged'
  /** All its dead records are kept for a reader, or were when last looked at. */
  | 'pinned'
  /** Moving it would take more entries of run tables than there may be. */
  | 'run tables full'
  /** Holds no garbage. */
  | 'clean'
  | 'collectable'

/** A value-log file on disk. Sizes in bytes. */
export interface ValueLogFile {
  /** Number of the physical file. */
  number: number
  /** Name in the directory ends in `.rlog`: it holds what survived a collection. */
  relocated: boolean
  generation: Generation
  /** Numbers of the logical files, the ones in pointers, whose records lie here. Its own number: pointers name the file itself. */
  logical: number[]
  /** Entries of their run tables, which tell where the records lie: 16 bytes of memory each. */
  runs: number
  /** Bytes on disk. */
  size: number
  /** Bytes of records, dead or alive. */
  recordBytes: number
  /** Bytes of records that some entry refers to. */
  liveBytes: number
  /** Number of those records. */
  liveRecords: number
  /** Dead part of the record bytes, 0 to 1. */
  deadRatio: number
  /** File numbers given out since its records were written, on average. */
  age: number
  state: FileState
}

/** What the figures of the engine do not tell about its files. */
export interface FileNotes {
  /** Generation of each relocated file; those that are missing are 1. */
  readonly generations: ReadonlyMap<number, Generation>
  readonly moving: { has(number: number): boolean }
  readonly readdressing: { has(number: number): boolean }
  readonly damaged: ReadonlySet<number>
  readonly pinned: ReadonlySet<number>
  /** Most entries of run tables. */
  readonly mostRuns: number
}

/** Nothing is known but what the figures tell. */
export const NO_NOTES: FileNotes = { generations: new Map(), moving: new Set(), readdressing: new Set(), damaged: new Set(), pinned: new Set(), mostRuns: Infinity }

/** Every file as the collector sees it, by number. */
export function describeFiles(tree: LsmTree, vlog: ValueLog, notes: FileNotes): ValueLogFile[] {
  const live = tree.liveReferences()
  const unflushed = unflushedFids(tree)
  const newest = vlog.position().fid
  const physical = vlog.physicalFiles()
  const files = physical.map((file) => describeFile(file, live, newest, notes))
  const room = roomFor(files, notes)
  for (const [i, file] of files.entries()) {
    if (physical[i]?.hasOpenGaps === true) file.state = 'filling'
    else if (physical[i]?.sealed === false) file.state = 'active'
    else if (file.deadRatio === 0) file.state = 'clean'
    else if (notes.moving.has(file.number)) file.state = 'moving'
    else if (notes.readdressing.has(file.number)) file.state = 'readdressing'
    else if (notes.damaged.has(file.number)) file.state = 'damaged'
    else if (file.logical.some((fid) => unflushed.has(fid))) file.state = 'unflushed'
    else if (notes.pinned.has(file.number)) file.state = 'pinned'
    else if (!fits(file, room)) file.state = 'run tables full'
  }
  return files
}

/** Entries of run tables that moving a file adds, at most. */
function growthOf({ liveRecords, runs }: ValueLogFile): number {
  return Math.max(0, liveRecords - runs)
}

/** Whether a file may be moved with `room` for more entries: what adds none always may. */
function fits(file: ValueLogFile, room: number): boolean {
  const growth = growthOf(file)
  return growth === 0 || growth <= room
}

/** Entries that may be added yet, when the passes under way have ended. */
function roomFor(files: readonly ValueLogFile[], { moving, mostRuns }: Pick<FileNotes, 'moving' | 'mostRuns'>): number {
  let room = mostRuns
  for (const file of files) room -= file.runs + (moving.has(file.number) ? growthOf(file) : 0)
  return room
}

/** Those of `victims` that nothing else has begun with since they were picked, and that run tables have room for together, the first ones first. `files`: all there are. */
export function fittingVictims(victims: readonly ValueLogFile[], files: readonly ValueLogFile[], notes: Pick<FileNotes, 'moving' | 'mostRuns'>): ValueLogFile[] {
  let room = roomFor(files, notes)
  const taken = new Set(files.filter(({ state }) => state === 'filling' || state === 'moving' || state === 'readdressing').map(({ number }) => number))
  return victims.filter((file) => {
    if (taken.has(file.number) || !fits(file, room)) return false
    room -= growthOf(file)
    return true
  })
}

function describeFile(file: PhysicalFileInfo, live: ReadonlyMap<number, { count: number; bytes: number }>, newest: number, notes: FileNotes): ValueLogFile {
  const { number, relocated, logical, size, holeBytes, recordBytes, runs } = file
  let liveBytes = 0
  let liveRecords = 0
  let fids = 0
  for (const fid of logical) {
    const references = live.get(fid)
    liveBytes += references?.bytes ?? 0
    liveRecords += references?.count ?? 0
    fids += fid
  }
  const deadRatio = recordBytes === 0 ? 0 : Math.max(0, 1 - liveBytes / recordBytes)
  const age = Math.max(0, newest - fids / Math.max(1, logical.length)) + 1
  const generation = relocated ? (notes.generations.get(number) ?? 1) : 0
  return { number, relocated, generation, logical: [...logical], runs, size: size - holeBytes, recordBytes, liveBytes, liveRecords, deadRatio, age, state: 'collectable' }
}

/** Files that the memtables of now refer to. */
function unflushedFids(tree: LsmTree): Set<number> {
  const view = tree.acquireView()
  const fids = new Set<number>()
  for (const memtable of view.memtables) for (const fid of memtable.references().keys()) fids.add(fid)
  view.release()
  return fids
}

/** Reading the reference lists costs about this part of a file, and opening it about so many bytes. */
const SCAN_SHARE = 1 / 32
const SCAN_BYTES = 4096

/** Bytes of a run table for each record, at most. */
const RUN_BYTES = 16

/** Bytes that relocating a file gives back, run tables of the new one taken off. */
export function gainOf({ recordBytes, liveBytes, liveRecords, relocated }: Pick<ValueLogFile, 'recordBytes' | 'liveBytes' | 'liveRecords' | 'relocated'>): number {
  return recordBytes - liveBytes - (relocated ? 0 : RUN_BYTES * liveRecords)
}

/**
 * What collecting a file is worth: √age × dead / (live + scan). The root, because ages differ by hundreds where garbage
 * differs by a factor: age itself would take old files that are nearly all alive (measured under zipfian overwrites at a space
 * amplification of 1.3: write amplification 2.24, 2.34 with age itself, 2.36 without).
 */
export function scoreOf(file: Pick<ValueLogFile, 'age' | 'recordBytes' | 'liveBytes' | 'liveRecords' | 'relocated'>): number {
  return (Math.sqrt(file.age) * Math.max(0, gainOf(file))) / (file.liveBytes + file.recordBytes * SCAN_SHARE + SCAN_BYTES)
}

export interface VictimLimits {
  /** Least dead part of a file, 0 to 1, excluded. */
  leastDead: number
  /** Most live bytes to copy in one pass; one file may pass it. */
  liveBytes: number
  /** Dead bytes after which there are enough. */
  deadBytes: number
}

/** Files to relocate together into one new file, the most worthwhile first; empty if none is. */
export function pickVictims(files: readonly ValueLogFile[], limits: VictimLimits): ValueLogFile[] {
  const ranked = files
    .filter(({ state, deadRatio }) => state === 'collectable' && deadRatio > limits.leastDead)
    .filter((file) => gainOf(file) > limits.leastDead * file.recordBytes)
    .map((file) => ({ file, score: scoreOf(file) }))
    .sort((a, b) => b.score - a.score || a.file.number - b.file.number)
  const victims: ValueLogFile[] = []
  let live = 0
  let dead = 0
  for (const { file } of ranked) {
    if (victims[0] !== undefined && file.generation !== victims[0].generation) continue
    if (victims.length > 0 && live + file.liveBytes > limits.liveBytes) continue
    victims.push(file)
    live += file.liveBytes
    dead += file.recordBytes - file.liveBytes
    if (dead >= limits.deadBytes) break
  }
  return victims
}

/** The generation of what survives in files of `generation`. */
export function nextGeneration(generation: Generation): Generation {
  return generation === 0 ? 1 : 2
}
