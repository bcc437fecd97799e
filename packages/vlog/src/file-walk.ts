/**
 * Sequential walks over whole logical files: `iterate` and `verify`.
 *
 * A walk pins the physical file, reads it in windows and verifies every record. It covers what was with the operating
 * system when it began. A torn tail lies behind the end of a file and is never seen; what does not verify before the
 * end is damage.
 */
import { CorruptionError, throwIfAborted, type ValuePointer } from '@wk/codec'
import { TimeSlice, type Runtime } from '@wk/fs'
import type { LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { copyEntry, type VlogEntry } from './vlog-entry.js'
import { RecordScanner } from './vlog-scanner.js'
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

function stretchesOf({ runs, written }: LogicalFile): Stretch[] {
  if (runs === undefined) return [{ logical: FILE_HEADER_LENGTH, physical: FILE_HEADER_LENGTH, length: written - FILE_HEADER_LENGTH }]
  return Array.from({ length: runs.count }, (_, run) => {
    return { logical: runs.logicalStart(run), physical: runs.physicalStart(run), length: runs.length(run) }
  })
}

/** Visits every record in order. `scanner` shows the current one; `offset` is its place in the logical file. */
async function* walk(set: VlogSet, logical: LogicalFile): AsyncGenerator<{ scanner: RecordScanner; offset: number }> {
  const { physical } = logical
  set.pin(physical)
  try {
    const stretches = stretchesOf(logical)
    for (const stretch of stretches) {
      const file = set.handles.acquire(physical)
      try {
        const scanner = new RecordScanner(file, stretch.physical, stretch.physical + stretch.length)
        for (let step = await scanner.next(); step !== 'end'; step = await scanner.next()) {
          const { position } = scanner
          if (step === 'invalid') {
            throw new CorruptionError(`${physical.name} is damaged at offset ${position}`, { file: physical.name, offset: position })
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
export async function* iterateFile(set: VlogSet, runtime: Runtime, logical: LogicalFile): AsyncGenerator<PlacedEntry> {
  const slice = new TimeSlice(runtime)
  for await (const { scanner, offset } of walk(set, logical)) {
    const { bytes, start, header } = scanner
    const pointer = { fid: logical.fid, offset, len: header.length }
    yield { entry: copyEntry(bytes, start, header), pointer }
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

export interface VerifyOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: { phase: string; done: number; total: number; bytes: number }) => void) | undefined
}

export interface VerifyReport {
  ok: boolean
  problems: VlogProblem[]
  /** Records that verified. */
  records: number
  /** Their bytes. */
  bytes: number
}

/** Reads every record of the log. Resolves with `ok: false` on damage: the first of each file; rejects only when it could not look. */
export async function verifyFiles(set: VlogSet, runtime: Runtime, { signal, onProgress }: VerifyOptions): Promise<VerifyReport> {
  const report: VerifyReport = { ok: true, problems: [], records: 0, bytes: 0 }
  const files = set.map.list()
  const slice = new TimeSlice(runtime)
  for (const [done, logical] of files.entries()) {
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
