import { CorruptionError, KIND_TOMBSTONE, MAX_SEQUENCE, baseKind, compareBytes } from '@wk/codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BURY, DropRules, KEEP, SHADOWED, VANISH } from '../src/compaction/drop-rules.js'
import type { DropRulesOptions } from '../src/compaction/drop-rules.js'
import { intervalOf, unionOf } from '../src/compaction/job.js'
import type { KeyInterval } from '../src/compaction/job.js'
import { summaryOf } from './compaction-support.js'
import { ArrayCursor, bytes, expiryOf, historyArbitrary, propertyOptions, show, sorted, text, tombstone, valueEntry, visible } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

const NAMES = ['KEEP', 'BURY', 'SHADOWED', 'VANISH']

function judge(entries: readonly Entry[], options: DropRulesOptions): { output: Entry[]; verdicts: string[] } {
  const rules = new DropRules(options)
  const cursor = new ArrayCursor(entries)
  const output: Entry[] = []
  const verdicts: string[] = []
  let at = 0
  for (cursor.first(); cursor.valid; cursor.next(), at++) {
    const verdict = rules.judge(cursor)
    verdicts.push(NAMES[verdict]!)
    const entry = entries[at]!
    if (verdict === KEEP) output.push(entry)
    else if (verdict === BURY) output.push({ ...entry, kind: KIND_TOMBSTONE, payload: new Uint8Array(0) })
    else expect([SHADOWED, VANISH]).toContain(verdict)
  }
  return { output, verdicts }
}

/** A history of which each key's oldest versions lie below the job, in tables of a few entries. */
const situationArbitrary = fc
  .record({
    history: historyArbitrary,
    depth: fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }),
    snapshots: fc.uniqueArray(fc.nat(85), { maxLength: 4 }),
    now: fc.integer({ min: 0, max: 21 }),
    versionsToKeep: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 4 })),
    everyDeeper: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ history, depth, everyDeeper, snapshots, ...rest }) => {
    const keys = [...new Set(history.map(({ key }) => text(key)))]
    const job: Entry[] = []
    const below: Entry[] = []
    keys.forEach((key, k) => {
      const versions = sorted(history.filter((entry) => text(entry.key) === key))
      versions.forEach((entry, i) => (i < versions.length - (depth[k] ?? 0) ? job : below).push(entry))
    })
    const intervals: KeyInterval[] = []
    const sortedBelow = sorted(below)
    for (let i = 0; i < sortedBelow.length; i += everyDeeper) intervals.push(intervalOf(summaryOf(1, sortedBelow.slice(i, i + everyDeeper))))
    return { ...rest, snapshots: snapshots.sort((a, b) => a - b), job: sorted(job), below: sortedBelow, deeper: unionOf(intervals) }
  })

describe('drop rules', () => {
  test('law 4: no snapshot, and nobody later, sees a difference', () => {
    fc.assert(
      fc.property(situationArbitrary, fc.nat(20), ({ job, below, ...options }, later) => {
        const { output } = judge(job, options)
        for (const sequence of [...options.snapshots, MAX_SEQUENCE]) {
          for (const now of [options.now, options.now + later]) {
            const before = visible([...job, ...below], sequence, now).map(show)
            expect(visible([...output, ...below], sequence, now).map(show)).toEqual(before)
          }
        }
      }),
      propertyOptions(2000),
    )
  })

  test.each([
    ['keys that descend', [valueEntry('b', 1, ''), valueEntry('a', 2, '')]],
    ['versions that ascend', [valueEntry('a', 1, ''), valueEntry('a', 2, '')]],
    ['a key that comes again', [valueEntry('a', 2, ''), valueEntry('b', 1, ''), valueEntry('a', 3, '')]],
  ])('a table that is not in order is damage, no internal error: %s', (_name, entries) => {
    expect(() => judge(entries, { snapshots: [], now: 0, versionsToKeep: 1, deeper: undefined })).toThrow(CorruptionError)
  })

  test('keeps exactly what the rules say', () => {
    fc.assert(
      fc.property(situationArbitrary, ({ job, below: _below, ...options }) => {
        expect(judge(job, options).verdicts).toEqual(job.map((entry, at) => expectedVerdict(job, at, entry, options)))
      }),
      propertyOptions(2000),
    )
  })

  test('without snapshots and with nothing below, what is left is what is visible', () => {
    fc.assert(
      fc.property(historyArbitrary, fc.nat(21), (history, now) => {
        const { output } = judge(sorted(history), { snapshots: [], now, versionsToKeep: 1, deeper: [] })
        expect(output.map(show)).toEqual(visible(history, MAX_SEQUENCE, now).map(show))
      }),
      propertyOptions(500),
    )
  })

  test('judging the output again drops nothing more', () => {
    fc.assert(
      fc.property(situationArbitrary, ({ job, below: _below, ...options }) => {
        const { output } = judge(job, options)
        expect(judge(output, options).verdicts).toEqual(output.map(() => 'KEEP'))
      }),
      propertyOptions(500),
    )
  })

  test.each<[string, Entry[], Partial<DropRulesOptions>, string[]]>([
    ['a lone value', [valueEntry('a', 5, 'x')], {}, ['KEEP']],
    ['a lone tombstone at the bottom', [tombstone('a', 5)], {}, ['VANISH']],
    ['a lone tombstone of a flush', [tombstone('a', 5)], { deeper: undefined }, ['KEEP']],
    ['a tombstone above its key', [tombstone('a', 5)], { deeper: [{ smallest: bytes('a'), largest: bytes('a') }] }, ['KEEP']],
    ['a tombstone beside all below', [tombstone('b', 5)], { deeper: [{ smallest: bytes('a'), largest: bytes('a') }, { smallest: bytes('ba'), largest: bytes('c') }] }, ['VANISH']],
    ['a snapshot between value and tombstone', [tombstone('a', 9), valueEntry('a', 5, 'x')], { snapshots: [7] }, ['KEEP', 'KEEP']],
    ['a snapshot at the tombstone', [tombstone('a', 9), valueEntry('a', 5, 'x')], { snapshots: [9] }, ['VANISH', 'SHADOWED']],
    ['a snapshot at the value', [tombstone('a', 9), valueEntry('a', 5, 'x')], { snapshots: [5] }, ['KEEP', 'KEEP']],
    ['a snapshot before both', [valueEntry('a', 9, 'y'), valueEntry('a', 5, 'x')], { snapshots: [4] }, ['KEEP', 'SHADOWED']],
    ['two versions to keep', [valueEntry('a', 9, 'z'), valueEntry('a', 8, 'y'), valueEntry('a', 7, 'x')], { versionsToKeep: 2 }, ['KEEP', 'KEEP', 'SHADOWED']],
    ['versions under a deletion are not history', [valueEntry('a', 9, 'z'), tombstone('a', 8), valueEntry('a', 7, 'x')], { versionsToKeep: 5 }, ['KEEP', 'VANISH', 'SHADOWED']],
    ['expired at the bottom', [valueEntry('a', 9, 'z', 10), valueEntry('a', 5, 'y')], { now: 10 }, ['VANISH', 'SHADOWED']],
    ['expired above its key', [valueEntry('a', 9, 'z', 10), valueEntry('a', 5, 'y')], { now: 10, deeper: undefined }, ['BURY', 'SHADOWED']],
    ['not expired yet', [valueEntry('a', 9, 'z', 11)], { now: 10 }, ['KEEP']],
    ['the same key and sequence twice', [valueEntry('a', 9, 'z'), valueEntry('a', 9, 'stale')], { versionsToKeep: 3 }, ['KEEP', 'SHADOWED']],
    ['the empty key', [tombstone('', 3), valueEntry('', 2, 'x')], {}, ['VANISH', 'SHADOWED']],
  ])('%s', (_name, entries, options, verdicts) => {
    expect(judge(entries, { snapshots: [], now: 0, versionsToKeep: 1, deeper: [], ...options }).verdicts).toEqual(verdicts)
  })

  test('keys longer than its buffer', () => {
    const key = 'k'.repeat(5000)
    expect(judge([valueEntry(key, 3, 'x'), valueEntry(key, 2, 'y'), valueEntry(`${key}a`, 1, 'z')], { snapshots: [], now: 0, versionsToKeep: 1, deeper: [] }).verdicts).toEqual(['KEEP', 'SHADOWED', 'KEEP'])
  })
})

/** The rules of the module's head, entry by entry, with no state. */
function expectedVerdict(job: readonly Entry[], at: number, entry: Entry, options: DropRulesOptions): string {
  const isDeletion = (other: Entry): boolean =>
    baseKind(other.kind) === KIND_TOMBSTONE || (expiryOf(other) !== 0 && expiryOf(other) <= options.now)
  const newer = job.slice(0, at).filter((other) => compareBytes(other.key, entry.key) === 0)
  const next = newer.at(-1)
  const isNewest = next === undefined
  const isSeen = options.snapshots.some((snapshot) => entry.sequence <= snapshot && (next === undefined || snapshot < next.sequence))
  const isRecent = newer.length < options.versionsToKeep && !newer.some(isDeletion)
  if (!isNewest && !isSeen && !isRecent) return 'SHADOWED'
  if (!isDeletion(entry)) return 'KEEP'
  const mayBeDeeper =
    options.deeper === undefined ||
    options.deeper.some(({ smallest, largest }) => compareBytes(smallest, entry.key) <= 0 && compareBytes(entry.key, largest) <= 0)
  if (!mayBeDeeper && options.snapshots.every((snapshot) => snapshot >= entry.sequence)) return 'VANISH'
  return baseKind(entry.kind) === KIND_TOMBSTONE ? 'KEEP' : 'BURY'
}
