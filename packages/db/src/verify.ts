/**
 * `verify()`: reads everything that the database would ever read and says what does not hold.
 *
 * Tables: every block, their order, counts and bounds. Value logs: every record of every file, and for every entry of
 * the tree, of every version, that its pointer leads to a record of that key and version. Live bytes are counted again
 * and compared with the accounted ones (law 8). It changes nothing and stops at no damage.
 */
import { CorruptionError, KIND_POINTER, WkError, baseKind, copyBytes, readPointerFid, readPointerLen, readPointerOffset, throwIfAborted } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'
import type { MaintenanceOptions } from './maintenance.js'

/** Something that does not hold. */
export interface Problem {
  /** Name relative to the directory; empty if no single file is to blame. */
  file: string
  /** Offset of the damage in the file, where it is known. */
  offset: number | undefined
  /** A `WkError` code. */
  code: string
  message: string
}

/** What `verify()` found. */
export interface VerifyReport {
  ok: boolean
  problems: Problem[]
  tables: number
  valueLogs: number
  entries: number
  bytes: number
}

/** Problems after which nothing more is collected: a report stays bounded. */
const MAX_PROBLEMS = 1000

/** Checks everything; see the head of this file. Rejects only when it could not look. */
export async function verifyDatabase(
  tree: LsmTree,
  vlog: ValueLog | undefined,
  runtime: Runtime,
  options: MaintenanceOptions,
): Promise<VerifyReport> {
  const report: VerifyReport = { ok: true, problems: [], tables: 0, valueLogs: 0, entries: 0, bytes: 0 }
  const onProblem = (problem: Problem): void => {
    report.ok = false
    if (report.problems.length < MAX_PROBLEMS) report.problems.push(problem)
  }
  const view = tree.acquireView()
  try {
    await tree.verify(onProblem, options)
    const { tables, tableBytes } = tree.stats()
    report.tables = tables
    report.bytes += tableBytes
    if (report.ok) await verifyEntries(tree, view, vlog, runtime, options, report, onProblem)
    if (vlog !== undefined) {
      const logs = await vlog.verify(options)
      for (const problem of logs.problems) onProblem(problem)
      report.valueLogs = vlog.physicalFiles().length
      report.bytes += logs.bytes
    }
  } finally {
    view.release()
  }
  return report
}

/** Walks every version of every entry. Only sound tables come here: damage would end the walk anyway. */
async function verifyEntries(
  tree: LsmTree,
  view: ReadView,
  vlog: ValueLog | undefined,
  runtime: Runtime,
  options: MaintenanceOptions,
  report: VerifyReport,
  onProblem: (problem: Problem) => void,
): Promise<void> {
  const slice = new TimeSlice(runtime)
  const cursor = tree.entries(view)
  for (cursor.first(); cursor.valid; cursor.next()) {
    // A write that was refused: its value went nowhere, and nobody can read it.
    if (cursor.sequence > tree.visibleSequence) continue
    report.entries++
    if (baseKind(cursor.kind) === KIND_POINTER) {
      const { valueBytes, valueStart } = cursor
      const fid = readPointerFid(valueBytes, valueStart)
      const offset = readPointerOffset(valueBytes, valueStart)
      const len = readPointerLen(valueBytes, valueStart)
      const key = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
      const problem = pointerProblem(vlog, fid, offset, len, key, cursor.sequence)
      if (problem !== undefined) onProblem(problemOf(problem))
    }
    if (slice.due()) {
      throwIfAborted(options.signal)
      options.onProgress?.({ phase: 'entries', done: report.entries, total: report.entries, bytes: report.bytes })
      await slice.pause()
    }
  }
}

function pointerProblem(vlog: ValueLog | undefined, fid: number, offset: number, len: number, key: Uint8Array, version: number): unknown {
  if (vlog === undefined) return new CorruptionError('an entry points into a value log, and this database has none')
  try {
    vlog.readValueSync(fid, offset, len, key, version)
    return undefined
  } catch (error) {
    return error
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof CorruptionError) return { file: error.file ?? '', offset: error.offset, code: error.code, message: error.message }
  if (error instanceof WkError) return { file: 'file' in error && typeof error.file === 'string' ? error.file : '', offset: undefined, code: error.code, message: error.message }
  return { file: '', offset: undefined, code: 'WK_CORRUPTION', message: String(error) }
}
