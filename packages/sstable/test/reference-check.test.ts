/** Verifying references: it passes exactly for lists that sorting the entries' pointers gives. */
import { KIND_POINTER, encodePointer } from '@wk/codec'
import { FOOTER_LENGTH, TableReader } from '@wk/sstable'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blockEnd, decodeFooter } from '../src/format.js'
import { ReferenceCheck } from '../src/reference-check.js'
import { ReferenceCollector, decodeReferences } from '../src/reference-list.js'
import type { ReferenceList, ReferenceSummary } from '../src/reference-list.js'
import { build, numbered, runs, verify } from './support.js'
import type { ArrayFile } from './support.js'

interface Reference {
  fid: number
  offset: number
  length: number
}

/** Few places, so that many share one. */
const reference: fc.Arbitrary<Reference> = fc.record({ fid: fc.constantFrom(0, 1, 300), offset: fc.constantFrom(0, 1, 9, 2 ** 32 - 1), length: fc.constantFrom(0, 1, 2) })

function listed(references: readonly Reference[]): { lists: ReferenceList[]; summaries: ReferenceSummary[] } {
  const collector = new ReferenceCollector()
  for (const { fid, offset, length } of references) collector.add(fid, offset, length)
  const { block, summaries } = collector.finish()
  return { lists: decodeReferences(block, block.length, 1, 0), summaries }
}

/** By file, then by offset, those of one offset as they came. */
const sorted = (references: readonly Reference[]): Reference[] => [...references].sort((a, b) => a.fid - b.fid || a.offset - b.offset)

function passes(list: readonly Reference[], entries: readonly Reference[]): boolean {
  const { lists, summaries } = listed(list)
  const check = new ReferenceCheck(lists)
  for (const { fid, offset, length } of entries) if (check.take(fid, offset, length) !== undefined) return false
  return check.finish(summaries) === undefined
}

test('a check passes exactly for the lists of the entries', () => {
  const changed = fc.array(reference, { maxLength: 30 }).chain((entries) =>
    fc.tuple(
      fc.constant(entries),
      fc.oneof(
        fc.constant(entries),
        fc.shuffledSubarray(entries, { minLength: entries.length }),
        fc.shuffledSubarray(entries),
        fc.tuple(fc.nat(30), fc.array(reference, { minLength: 1, maxLength: 2 })).map(([at, more]) => entries.toSpliced(at, 1, ...more)),
      ),
    ),
  )
  fc.assert(
    fc.property(changed, ([entries, list]) => {
      const equal = JSON.stringify(sorted(entries)) === JSON.stringify(sorted(list))
      expect(passes(list, entries)).toBe(equal)
    }),
    runs(500),
  )
})

test('sums of other lists do not pass', () => {
  const { lists, summaries } = listed([{ fid: 1, offset: 20, length: 5 }, { fid: 2, offset: 20, length: 5 }])
  for (const sums of [
    summaries.slice(1),
    [...summaries, { fid: 3, count: 1, bytes: 1 }],
    summaries.toReversed(),
    summaries.map((sum) => ({ ...sum, count: 2 })),
    summaries.map((sum) => ({ ...sum, bytes: 6 })),
  ]) {
    const check = new ReferenceCheck(lists)
    expect([check.take(1, 20, 5), check.take(2, 20, 5)]).toEqual([undefined, undefined])
    expect(check.finish(sums)).toMatch(/^reference/)
  }
})

const own: readonly Reference[] = [{ fid: 1, offset: 20, length: 10 }, { fid: 1, offset: 40, length: 50 }, { fid: 1, offset: 90, length: 10 }]

test.each<[string, Reference[]]>([
  ['another place', own.with(1, { fid: 1, offset: 41, length: 50 })],
  ['other lengths of the same sum', [...own.slice(0, 1), { fid: 1, offset: 40, length: 49 }, { fid: 1, offset: 90, length: 11 }]],
  ['another file', own.map((one) => ({ ...one, fid: 2 }))],
])('a table with the reference block of %s does not verify', (_name, others) => {
  const table = (references: readonly Reference[]): ArrayFile =>
    build(references.map(({ fid, offset, length }, i) => ({ key: numbered(i), sequence: 5, kind: KIND_POINTER, value: encodePointer({ fid, offset, len: length }) }))).file
  const file = table(own)
  const size = file.bytes.length
  expect(verify(TableReader.openSync(file, 7, size)).entries).toBe(3)
  const { references } = decodeFooter(file.bytes.subarray(size - FOOTER_LENGTH), 7, size - FOOTER_LENGTH)
  file.bytes.set(table(others).bytes.subarray(references.offset, blockEnd(references)), references.offset)
  const damaged = TableReader.openSync(file, 7, size)
  expect(() => verify(damaged)).toThrow(expect.objectContaining({ code: 'WK_CORRUPTION', file: '000007.sst', offset: references.offset }))
})
