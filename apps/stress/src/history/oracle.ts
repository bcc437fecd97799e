/**
 * Judges a history of concurrent calls: a pure function from what was called and answered to what is wrong with it.
 *
 * The rule: versions never go back from call to call, and a write has its own in the turn of its call, so a later read sees it, its writer's first of all.
 * What one read answers (a get, several keys, an iterator from end to end, by a snapshot or not) is one state that was current at its moment.
 * Batches and transactions change a state whole. A transaction reads the state of its beginning, and what it read is still so where it
 * commits; it is refused only if something it read may have been written since. A collection is refused beside another one only,
 * and nothing is aborted without a signal. Sound, not complete: where a `clear()` is under way, or was aborted, a key may be there or not.
 */
import type { Change, HistoryEvent, Maintenance, Read, Scan, TransactionCall } from './event.js'
import { changesOf, Timeline } from './timeline.js'

/** What is wrong; empty for a history that may have been. Events stand in the order of their calls. */
export function judgeHistory(history: readonly HistoryEvent[]): string[] {
  const timeline = new Timeline(history)
  const wrong: string[] = []
  judgeVersions(history, wrong)
  let newest = 0
  for (const [at, event] of history.entries()) {
    const tell = (what: string): void => void wrong.push(`call ${at} of client ${event.client}, ${event.kind} at version ${event.called}: ${what}`)
    if (event.called < newest) tell(`version ${newest} was there before`)
    newest = Math.max(newest, event.called, event.kind === 'write' ? event.version : 0)
    if (event.kind === 'write' && event.version !== event.called + event.changes.length) tell(`${event.changes.length} operations went to version ${event.version}`)
    if (event.kind === 'read') judgeRead(timeline, event, tell)
    if (event.kind === 'transaction') judgeTransaction(timeline, event, tell)
    if (event.kind === 'maintenance') judgeMaintenance(history, event, tell)
  }
  return wrong
}

/** No two writes have a version in common. */
function judgeVersions(history: readonly HistoryEvent[], wrong: string[]): void {
  const taken = new Set<number>()
  for (const event of history) {
    if (event.kind !== 'write' && event.kind !== 'transaction') continue
    if (event.version === undefined) continue
    const count = event.kind === 'write' ? event.changes.length : changesOf(event).length
    for (let version = event.version - count + 1; version <= event.version; version++) {
      if (taken.has(version)) wrong.push(`version ${version} was given twice`)
      taken.add(version)
    }
  }
}

function judgeRead(timeline: Timeline, { by, low, high, gets, scan }: Read, tell: (what: string) => void): void {
  const reasons: string[] = []
  for (const version of timeline.states(low, high)) {
    const reason = mismatch(timeline, version, gets, scan, new Map())
    if (reason === undefined) return
    reasons.push(reason)
  }
  tell(`${by} shows no state of ${low} to ${high}: ${reasons[0]}`)
}

function judgeTransaction(timeline: Timeline, event: TransactionCall, tell: (what: string) => void): void {
  const { began, ready, returned, version, outcome, steps } = event
  if (began < event.called) tell(`it reads version ${began}, older than its call`)
  const own = new Map<string, string | undefined>()
  const count = changesOf(event).length
  const before = outcome === 'committed' && version !== undefined ? version - count : undefined
  let mayConflict = false
  for (const step of steps) {
    if ('put' in step) own.set(...step.put)
    else {
      const gets = 'get' in step ? [step.get] : []
      const scan = 'scan' in step ? step.scan : undefined
      const reason = mismatch(timeline, began, gets, scan, own)
      if (reason !== undefined) tell(`not what was there at its beginning: ${reason}`)
      const changed = before === undefined ? undefined : mismatch(timeline, before, gets, scan, own)
      if (changed !== undefined && reason === undefined) tell(`committed at version ${version}, though what it read had changed: ${changed}`)
      const [gte, lt] = scan === undefined ? [gets[0]?.[0] ?? '', `${gets[0]?.[0] ?? ''}\0`] : [scan.gte, scan.lt]
      if ((scan !== undefined || !own.has(gte)) && timeline.touched(gte, lt, began, returned)) mayConflict = true
    }
  }
  if (outcome === 'conflict' && !mayConflict) tell(`refused, though nothing it read was written between ${began} and ${returned}`)
  if (version !== undefined && (version - count < ready || version > returned)) tell(`committed at version ${version}, not between ${ready} and ${returned}`)
}

function judgeMaintenance(history: readonly HistoryEvent[], event: Maintenance, tell: (what: string) => void): void {
  const { name, refused, hasSignal, begun, ended } = event
  if (refused === undefined || (refused === 'WK_NO_REWRITE' && name === 'gc')) return
  if (refused === 'WK_ABORTED' && hasSignal) return
  const isBeside = (other: HistoryEvent): boolean => other.kind === 'maintenance' && other !== event && other.name === 'gc' && other.refused !== 'WK_GC_RUNNING' && other.begun < begun && other.ended > begun && ended > begun
  if (refused === 'WK_GC_RUNNING' && name === 'gc' && history.some(isBeside)) return
  tell(`${name} was refused with ${refused}`)
}

/** Why what was read is not the state of a version, with a transaction's own writes over it; undefined where it may be. */
function mismatch(timeline: Timeline, version: number, gets: readonly Change[], scan: Scan | undefined, own: ReadonlyMap<string, string | undefined>): string | undefined {
  const allows = (key: string, value: string | undefined): boolean => (own.has(key) ? own.get(key) === value : timeline.allows(key, value, version))
  for (const [key, value] of gets) if (!allows(key, value)) return `${key} is ${shown(value)} at ${version}`
  if (scan === undefined) return undefined
  const { gte, lt, reverse, limit, shows, found } = scan
  if (found.length > limit) return `${found.length} entries of ${limit}`
  const values = new Map(found)
  const ordered = [...values.keys()].sort()
  if (reverse) ordered.reverse()
  if (ordered.length !== found.length || ordered.some((key, i) => key !== found[i]?.[0])) return 'entries out of order'
  for (const [key] of found) if (key < gte || key >= lt) return `${key} lies outside of the range`
  const last = found.length === limit ? ordered.at(-1) : undefined
  const isPast = (key: string): boolean => last !== undefined && (reverse ? key < last : key > last)
  for (const key of new Set([...timeline.keys, ...own.keys(), ...ordered])) {
    if (key < gte || key >= lt || isPast(key)) continue
    if (!values.has(key)) {
      if (!allows(key, undefined)) return `${key} is missing at ${version}`
    } else if (shows === 'keys' ? allowsOnlyAbsence(timeline, key, version, own) : !allows(key, values.get(key))) return `${key} is ${shown(values.get(key))} at ${version}`
  }
  return undefined
}

function allowsOnlyAbsence(timeline: Timeline, key: string, version: number, own: ReadonlyMap<string, string | undefined>): boolean {
  return own.has(key) ? own.get(key) === undefined : !timeline.mayExist(key, version)
}

function shown(value: string | undefined): string {
  return value === undefined ? 'absent' : value.length > 24 ? `${value.slice(0, 24)}…` : value
}
