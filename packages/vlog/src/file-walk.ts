/**
 * Sequential walks over whole logical files: `iterate`, `verify`, and the keys for a recount.
 *
 * A walk pins the physical file, reads it in windows and verifies every record. It covers what was with the operating
 * system when it began. A torn tail lies behind the end of a file and is never seen; what does not verify before the
 * end is damage. In gaps of an older file (`gap-files.ts`) it may be what was there before, so there the rest of the gap is passed over.
 */
import { CorruptionError, ResultMemory, checkFlag, checkFunction, checkOptions, checkWork, throwIfAborted, type ValuePointer } from '@wk/codec'
import { TimeSlice, type Runtime } from '@wk/fs'
import { checkCount } from './arguments.js'
import { isInGaps, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { findRecord } from './record-search.js'
import { UNSAFE } from './record.js'
import { openEntry, openKey, openVersion } from './stored-record.js'
import type { VlogEntry } from './vlog-entry.js'
import { RecordScanner } from './vlog-scanner.js'
import type { LogPosition } from './sync-tracker.js'
import type { VlogSet } from './vlog-set.js'

/** A record and where it lies. */
export interface PlacedEntry {
  entry: VlogEntry
  pointer: ValuePointer
}

/** A contiguous part of a logical file. */
interface Stretch {
  readonly logical: number
  readonly physical: number
  readonly length: number
}

function stretchesOf({ runs, written }: LogicalFile, from: number): Stretch[] {
  const start = Math.max(FILE_HEADER_LENGTH, from)
  // One that holds nothing may not have been made yet: all that goes there waits in memory.
  if (runs === undefined) return written > start ? [{ logical: start, physical: start, length: written - start }] : []
  const stretches: Stretch[] = []
  for (let run = 0; run < runs.count; run++) {
    const skipped = Math.max(0, start - runs.logicalStart(run))
    if (skipped < runs.length(run)) stretches.push({ logical: runs.logicalStart(run) + skipped, physical: runs.physicalStart(run) + skipped, length: runs.length(run) - skipped })
  }
  return stretches
}

/** Bytes that are no records, and were passed over. */
export interface SkippedDamage {
  /** Name relative to the directory. */
  file: string
  /** Where they begin in that file. */
  offset: number
  length: number
  message: string
}

/** How `iterate` walks. */
export interface IterateOptions {
  /**
   * Go on after damage: whatever verifies behind it is handed out. Bytes of a value that are records themselves may then be
   * taken for records. Default false: damage ends the walk with `CorruptionError`.
   */
  salvage?: boolean | undefined
  /** Told of each stretch that was passed over; with `salvage`. */
  onDamage?: ((damage: SkippedDamage) => void) | undefined
  /**
   * Hand out values as they are stored: a compressed one stays so, and `META_LZ4` (0x10) in `meta` says it. What is
   * handed to `append` like this is moved without being compressed again. Default false.
   */
  stored?: boolean | undefined
  /** Where to begin: the offset of a record, or the end. Default: the first record. */
  from?: number | undefined
}

/** What to do at damage; undefined = throw. */
type Salvage = { runtime: Runtime; onDamage: (damage: SkippedDamage) => void } | undefined

/** Visits every record in order. `scanner` shows the current one; `offset` is its place in the logical file. */
async function* walk(set: VlogSet, logical: LogicalFile, salvage?: Salvage, from = 0): AsyncGenerator<{ scanner: RecordScanner; offset: number }> {
  const { physical } = logical
  set.pin(physical)
  try {
    const stretches = stretchesOf(logical, from)
    for (const stretch of stretches) {
      const file = set.handles.acquire(physical)
      try {
        const end = stretch.physical + stretch.length
        let scanner = new RecordScanner(file, stretch.physical, end)
        for (let step = await scanner.next(); step !== 'end'; step = await scanner.next()) {
          const { position } = scanner
          if (step === 'invalid') {
            if (isInGaps(logical)) break
            const next = salvage === undefined ? undefined : await findRecord(file, position + 1, end, salvage.runtime, { cipher: logical.cipher, shift: stretch.logical - stretch.physical })
            const message = `${physical.name} is damaged at offset ${position}`
            if (next === undefined) throw new CorruptionError(message, { file: physical.name, offset: position })
            const resumed = next === -1 ? end : next
            salvage?.onDamage({ file: physical.name, offset: position, length: resumed - position, message })
            scanner = new RecordScanner(file, resumed, end)
            continue
          }
          yield { scanner, offset: stretch.logical + (position - stretch.physical) }
        }
      } finally {
        set.handles.release(physical)
      }
    }
  } finally {
    set.unpin(physical)
  }
}

/** The records of a logical file in order, as copies. Holds on to the event loop for at most a slice. */
export async function* iterateFile(set: VlogSet, runtime: Runtime, logical: LogicalFile, options: IterateOptions): AsyncGenerator<PlacedEntry> {
  const { onDamage = () => undefined, from = 0 } = checkOptions(options)
  const salvage = checkFlag('salvage', options.salvage, false)
  const stored = checkFlag('stored', options.stored, false)
  checkFunction('onDamage', onDamage)
  checkCount('from', from)
  const slice = new TimeSlice(runtime)
  const memory = new ResultMemory()
  for await (const { scanner, offset } of walk(set, logical, salvage ? { runtime, onDamage } : undefined, from)) {
    const { bytes, start, header, position } = scanner
    const pointer = { fid: logical.fid, offset, len: header.length }
    const passOver = (message: string): void => onDamage({ file: logical.physical.name, offset: position, length: pointer.len, message })
    // What a record says that was not encrypted for this place. A missing library, which is not supported either, must not pass for it.
    if (salvage && isImpossible(logical, offset, scanner)) {
      passOver('the record has an impossible version or expiry')
      continue
    }
    let entry: VlogEntry
    try {
      entry = openEntry(logical, offset, { bytes, start, hold: 'lent' }, header, memory, stored)
    } catch (error) {
      if (!salvage || !(error instanceof CorruptionError)) throw error
      passOver(error.message)
      continue
    }
    yield { entry, pointer }
    if (slice.due()) await slice.pause()
  }
}

/** Whether the verified record where the scanner stands has a version or an expiry that nobody can have given it. */
function isImpossible({ cipher }: LogicalFile, offset: number, { bytes, start, header }: RecordScanner): boolean {
  return header.expiresAt === UNSAFE || openVersion(cipher, offset, bytes, start, header) === UNSAFE
}

/** The records from a place on in order, values as they are stored; of files that lie at their own offsets as a whole. */
export async function* iterateFrom(set: VlogSet, runtime: Runtime, { fid, offset }: LogPosition): AsyncGenerator<PlacedEntry, void, undefined> {
  for (const logical of set.map.list()) {
    if (logical.fid < fid || logical.physical.relocated || logical.runs !== undefined) continue
    yield* iterateFile(set, runtime, logical, { stored: true, from: logical.fid === fid ? offset : 0 })
  }
}

/** The key of a record and where the record lies. */
export interface PlacedKey {
  key: Uint8Array
  pointer: ValuePointer
}

/** The keys of a logical file in order, each record verified, as copies. */
export async function* walkKeys(set: VlogSet, runtime: Runtime, logical: LogicalFile): AsyncGenerator<PlacedKey> {
  const slice = new TimeSlice(runtime)
  for await (const { scanner, offset } of walk(set, logical)) {
    const { bytes, start, header } = scanner
    yield { key: openKey(logical, offset, bytes, start, header), pointer: { fid: logical.fid, offset, len: header.length } }
    if (slice.due()) await slice.pause()
  }
}

/** Damage that {@link verifyFiles} found. */
export interface VlogProblem {
  /** Name relative to the directory. */
  file: string
  offset: number | undefined
  code: string
  message: string
}

/** Options of long walks over the log: `verify` and `recountDiscards`. */
export interface VerifyOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: { phase: string; done: number; total: number; bytes: number }) => void) | undefined
}

/** What {@link verifyFiles} found. */
export interface VerifyReport {
  ok: boolean
  problems: VlogProblem[]
  /** Records that verified. */
  records: number
  /** Their bytes. */
  bytes: number
}

/** Reads every record of the log. Resolves with `ok: false` on damage: the first of each file; rejects only when it could not look. */
export async function verifyFiles(set: VlogSet, runtime: Runtime, options: VerifyOptions): Promise<VerifyReport> {
  const { signal, onProgress } = checkWork(options)
  throwIfAborted(signal)
  const report: VerifyReport = { ok: true, problems: [], records: 0, bytes: 0 }
  const files = set.map.list()
  const slice = new TimeSlice(runtime)
  for (const [done, logical] of files.entries()) {
    // Given up since the start: nothing refers to it any more.
    if (set.map.get(logical.fid) !== logical) continue
    // Not made yet, or its making failed: all that it holds waits in memory.
    if (logical.physical.size === 0) continue
    // All of it is read for the file's own address.
    if (logical.physical.relocated && !logical.direct && !isInGaps(logical) && logical.physical.fids.has(logical.physical.number)) continue
    try {
      for await (const { scanner } of walk(set, logical)) {
        report.records++
        report.bytes += scanner.header.length
        if (!slice.due()) continue
        await slice.pause()
        throwIfAborted(signal)
        onProgress?.({ phase: 'verify', done, total: files.length, bytes: report.bytes })
      }
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      const { file = logical.physical.name, offset, code, message } = error
      report.ok = false
      report.problems.push({ file, offset, code, message })
    }
    throwIfAborted(signal)
    onProgress?.({ phase: 'verify', done: done + 1, total: files.length, bytes: report.bytes })
  }
  return report
}
