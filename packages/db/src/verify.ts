/**
 * `verify()`: reads everything that the database would ever read and says what does not hold.
 *
 * Tables: every block, their order, counts and bounds. Value logs: every record of every file, and for every entry of
 * the tree, of every version, that its pointer leads to a record of that key and version. Live bytes are counted again
 * and compared with the accounted ones (law 8): of each table when its blocks are read, of tables and memtables together
 * when their entries are walked. It changes nothing and stops at no damage.
 */
import { CorruptionError, KIND_POINTER, WkError, baseKind, copyBytes, readPointerFid, readPointerLen, readPointerOffset, throwIfAborted } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView, ReferenceSum } from '@wk/lsm'
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
  const listed = new Set<string>()
  const onProblem = (problem: Problem): void => {
    report.ok = false
    // A damaged record is met by its pointers, and in its file.
    const name = problem.file === '' ? '' : `${problem.file} ${problem.offset ?? problem.message}`
    if (report.problems.length >= MAX_PROBLEMS || listed.has(name)) return
    if (name !== '') listed.add(name)
    report.problems.push(problem)
  }
  const view = tree.acquireView()
  const accounted: Accounted = { live: tree.liveReferences(), upTo: tree.nextSequence() - 1 }
  try {
    await tree.verify(onProblem, options)
    const { tables, tableBytes } = tree.stats()
    report.tables = tables
    report.bytes += tableBytes
    if (report.ok) await verifyEntries(tree, view, accounted, vlog, runtime, options, report, onProblem)
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

/** What was accounted for at the moment of a view. */
interface Accounted {
  /** By value-log file. */
  live: Map<number, ReferenceSum>
  /** Entries above are younger. */
  upTo: number
}

/** Walks every version of every entry. Only sound tables come here: damage would end the walk anyway. */
async function verifyEntries(
  tree: LsmTree,
  view: ReadView,
  accounted: Accounted,
  vlog: ValueLog | undefined,
  runtime: Runtime,
  options: MaintenanceOptions,
  report: VerifyReport,
  onProblem: (problem: Problem) => void,
): Promise<void> {
  const slice = new TimeSlice(runtime)
  const counted = new Map<number, ReferenceSum>()
  const cursor = tree.entries(view)
  for (cursor.first(); cursor.valid; cursor.next()) {
    const { sequence, valueBytes, valueStart } = cursor
    const isPointer = baseKind(cursor.kind) === KIND_POINTER
    const fid = isPointer ? readPointerFid(valueBytes, valueStart) : 0
    const len = isPointer ? readPointerLen(valueBytes, valueStart) : 0
    if (isPointer && sequence <= accounted.upTo) addValue(counted, fid, len)
    // A write that was refused: its value went nowhere, and nobody can read it.
    if (sequence > tree.visibleSequence) continue
    report.entries++
    if (isPointer) {
      const offset = readPointerOffset(valueBytes, valueStart)
      const key = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
      const problem = await pointerProblem(vlog, fid, offset, len, key, sequence)
      if (problem !== undefined) onProblem(problemOf(problem))
    }
    if (slice.due()) {
      throwIfAborted(options.signal)
      options.onProgress?.({ phase: 'entries', done: report.entries, total: report.entries, bytes: report.bytes })
      await slice.pause()
    }
  }
  for (const fid of new Set([...counted.keys(), ...accounted.live.keys()])) {
    const problem = accountProblem(fid, accounted.live.get(fid), counted.get(fid))
    if (problem !== undefined) onProblem(problem)
  }
}

function addValue(sums: Map<number, ReferenceSum>, fid: number, len: number): void {
  const sum = sums.get(fid)
  if (sum === undefined) sums.set(fid, { count: 1, bytes: len })
  else {
    sum.count++
    sum.bytes += len
  }
}

const NOTHING: ReferenceSum = { count: 0, bytes: 0 }

/** No file is damaged: what is wrong is what the database makes of them. */
function accountProblem(fid: number, accounted = NOTHING, counted = NOTHING): Problem | undefined {
  if (accounted.count === counted.count && accounted.bytes === counted.bytes) return undefined
  const said = ({ count, bytes }: ReferenceSum): string => `${bytes} bytes of ${count} values`
  return { file: '', offset: undefined, code: 'WK_CORRUPTION', message: `value-log file ${fid}: ${said(accounted)} are accounted live, ${said(counted)} are` }
}

async function pointerProblem(vlog: ValueLog | undefined, fid: number, offset: number, len: number, key: Uint8Array, version: number): Promise<unknown> {
  if (vlog === undefined) return new CorruptionError('an entry points into a value log, and this database has none')
  try {
    if (vlog.readsAtOnce(len)) vlog.readValueSync(fid, offset, len, key, version)
    else await vlog.readValue(fid, offset, len, key, version)
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
