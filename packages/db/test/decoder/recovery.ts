/** What the logs say together: docs/format.md, "WAL" (reading, promises, what it does not say), and torn tails of "NNNNNN.vlog". */
import { byPlace, type Entry } from './entry.js'
import type { Version } from './manifest.js'
import { Bad, check } from './reader.js'
import { COMMITS } from './record.js'
import type { ValueLogs } from './value-logs.js'
import type { Wal } from './wal.js'

interface Place {
  readonly fid: number
  readonly offset: number
}

export interface Recovered {
  readonly operations: readonly Entry[]
  /** Puts that only the value log has. */
  readonly direct: readonly Entry[]
  readonly last: number
}

/** Where and why the log, all files together, is over. */
interface End {
  readonly file: number
  readonly offset: number
  readonly why: 'no frame' | 'does not follow on' | 'dangling pointer'
}

/** `wals` ascending, all those that count. */
export function recover(v: Version, wals: readonly Wal[], logs: ValueLogs): Recovered {
  const all = wals.flatMap((w) => [...w.frames, ...w.behind])
  const walPromise = all.map((f) => f.walPromise).reduce((a, b) => (b.file > a.file || (b.file === a.file && b.offset > a.offset) ? b : a), { file: 0, offset: 0 })
  const durable = all.map((f) => f.vlogPromise).reduce((a, b) => (byPlace(b, a) > 0 ? b : a), v.promise)
  for (const w of wals) check(walPromise.file !== w.number || walPromise.offset <= w.size, w.file, w.size, 'a promise beyond the end of its file')
  checkOldest(v, wals)
  const { operations, end, last } = readFrames(v, wals, logs, durable)
  if (end !== undefined) {
    const reaches = walPromise.file > end.file || (walPromise.file === end.file && (walPromise.offset > end.offset || (end.why === 'does not follow on' && walPromise.offset === end.offset)))
    if (reaches) throw new Bad(`${end.file}.wal`, end.offset, `${end.why}, below what was durable`)
  }
  checkTails(logs, durable)
  if (v.clean !== undefined) {
    check(operations.length === 0, 'MANIFEST', 0, 'a clean close beside a WAL that holds operations')
    return { operations, direct: [], last }
  }
  if (end?.why === 'dangling pointer') return { operations, direct: [], last }
  const ends = operations.flatMap(({ pointer: p }) => (p === undefined ? [] : [{ fid: p.fid, offset: p.offset + p.len }])).sort(byPlace)
  const direct = putsBehind(ends.at(-1) ?? v.unflushed, last, logs)
  return { operations, direct, last: direct.at(-1)?.seq ?? last }
}

function checkOldest(v: Version, wals: readonly Wal[]): void {
  const oldest = wals.find((w) => w.frames.length > 0)
  if (oldest === undefined || oldest !== wals[0]) return
  check(oldest.frames[0]?.first === v.lastSequence + 1, oldest.file, 16, 'the log before is missing')
}

function readFrames(v: Version, wals: readonly Wal[], logs: ValueLogs, durable: Place): { operations: Entry[]; end: End | undefined; last: number } {
  const operations: Entry[] = []
  let last = v.lastSequence
  for (const w of wals) {
    for (const f of w.frames) {
      check(f.first > last, w.file, f.at, 'a frame that goes back')
      if (f.first !== last + 1) return { operations, end: { file: w.number, offset: f.at, why: 'does not follow on' }, last }
      const dangling = f.operations.find((op) => !isThere(op, logs))?.pointer
      if (dangling !== undefined) {
        check(byPlace(dangling, durable) >= 0, w.file, f.at, 'a value that was durable is missing')
        return { operations, end: { file: w.number, offset: f.at, why: 'dangling pointer' }, last }
      }
      operations.push(...f.operations)
      last = f.last
    }
    if (w.end < w.size) return { operations, end: { file: w.number, offset: w.end, why: 'no frame' }, last }
  }
  return { operations, end: undefined, last }
}

function isThere({ pointer, key, seq }: Entry, logs: ValueLogs): boolean {
  if (pointer === undefined) return true
  try {
    const log = logs.file(pointer.fid)
    // Behind the valid part everything is cut.
    if (log?.kind === 'vlog' && !log.listed && pointer.offset >= logs.endOf(log)) return false
    const record = logs.locate(pointer)
    return record.key.equals(key) && record.version === seq
  } catch (err) {
    if (err instanceof Bad) return false
    throw err
  }
}

/** What follows the valid part of a `.vlog` was not durable, and nothing that was is gone. */
function checkTails(logs: ValueLogs, durable: Place): void {
  check(durable.fid <= logs.highest, `${durable.fid}.vlog`, 0, 'was durable, and no file has a number as high')
  // What was relocated had been durable before, and what has a list as well: those have no tail.
  const relocated = logs.files.flatMap(({ logical, kind, listed }) => (kind === 'rlog' || listed ? logical.filter(({ direct, gap }) => !direct && !gap) : []))
  const first = Math.max(durable.fid, ...relocated.map(({ fid }) => fid + 1))
  for (const log of logs.files) {
    const isNewest = log.number === durable.fid && log.kind === 'vlog' && !log.listed
    check(!isNewest || log.bytes.length >= durable.offset, log.file, log.bytes.length, `${durable.offset} bytes were durable`)
    if (log.kind !== 'vlog' || log.listed) continue
    const end = log.number < first ? log.validEnd : logs.endOf(log)
    check(end === log.bytes.length || (log.number >= first && byPlace({ fid: log.number, offset: end }, durable) >= 0), log.file, end, 'damage below what was durable')
  }
}

/** Records that commit their write alone, in the order of their places. */
function putsBehind(from: Place, last: number, logs: ValueLogs): Entry[] {
  const puts: Entry[] = []
  for (const log of logs.files) {
    if (log.kind !== 'vlog' || log.listed || log.number < from.fid) continue
    for (const found of log.found) {
      if (found.record.at >= logs.endOf(log)) break
      if (byPlace({ fid: log.number, offset: found.offset }, from) < 0) continue
      const e = logs.open(log, found)
      const next = last + puts.length + 1
      if (e.version < next) continue
      if (e.version > next || (e.meta & COMMITS) === 0) return puts
      puts.push({ key: e.key, seq: e.version, kind: 2, value: undefined, pointer: { fid: log.number, offset: e.offset, len: e.len }, userMeta: e.userMeta, expiresAt: e.expiresAt })
    }
  }
  return puts
}
