/** Arbitraries and a sorted-array model shared by the tests of this package. */
import { KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, compareInternal, encodePointer } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import fc from 'fast-check'

export interface Entry {
  key: Uint8Array
  sequence: number
  kind: number
  value: Uint8Array
}

/** Seed and amount of the property tests: `WK_SEED`, `WK_RUNS`. A failure prints how to replay it. */
export function runs<Ts>(numRuns: number): fc.Parameters<Ts> {
  const seed = Number(process.env['WK_SEED'] ?? Math.floor(Math.random() * 0x7fffffff))
  return {
    seed,
    numRuns: Number(process.env['WK_RUNS'] ?? numRuns),
    reporter(details) {
      if (!details.failed) return
      throw new Error(`${fc.defaultReportMessage(details)}\nreplay: WK_SEED=${details.seed} npx vitest run`, {
        cause: details.errorInstance,
      })
    },
  }
}

/** Keys that are hard to order: tiny alphabets, zero bytes at the end, prefixes of each other, around 16 bytes, long. */
export const anyKey: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: fc.array(fc.constantFrom(0, 1, 255), { maxLength: 5 }).map((a) => Uint8Array.from(a)) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom(12, 14, 15, 16, 17, 20), fc.array(fc.constantFrom(0, 1), { maxLength: 6 }))
      .map(([zeros, tail]) => Uint8Array.from([...Array<number>(zeros).fill(0), ...tail])),
  },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 3, arbitrary: fc.nat(200).map((n) => new TextEncoder().encode(String(n).padStart(16, '0'))) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(300, 65_000 - 2), fc.uint8Array({ maxLength: 2 })).map(([n, tail]) => Uint8Array.from([...Array<number>(n).fill(7), ...tail])) },
)

const anyPayload: fc.Arbitrary<[number, Uint8Array]> = fc.oneof(
  fc.constant<[number, Uint8Array]>([KIND_TOMBSTONE, new Uint8Array(0)]),
  fc.uint8Array({ maxLength: 60 }).map<[number, Uint8Array]>((value) => [KIND_VALUE, value]),
  fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.nat(0xffffffff), fc.integer({ min: 1, max: 0xffffffff }))
    .map<[number, Uint8Array]>(([fid, offset, len]) => [KIND_POINTER, encodePointer({ fid, offset, len })]),
)

/** Entries with distinct sequences, ascending as a tree hands them out, drawn near the ends of their range too. */
export function anyEntries(maxLength: number): fc.Arbitrary<Entry[]> {
  return fc
    .tuple(fc.array(fc.tuple(anyKey, anyPayload), { maxLength }), fc.constantFrom(0, 1, 2 ** 32 - 20, 2 ** 48 - 1 - maxLength))
    .map(([list, base]) => list.map(([key, [kind, value]], i) => ({ key, kind, value, sequence: base + i })))
}

export function compareEntries(a: Entry, b: Entry): number {
  return compareInternal(a.key, 0, a.key.length, a.sequence, b.key, 0, b.key.length, b.sequence)
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

/** An entry as text: equal for equal entries, and quick to compare. */
export function show(entry: Entry | undefined): string {
  return entry === undefined ? 'none' : `${latin1(entry.key)} @${entry.sequence} kind ${entry.kind}: ${latin1(entry.value)}`
}

/** The cursor's entry as text. */
export function showAt(cursor: EntryCursor): string {
  return cursor.valid ? show(entryAt(cursor)) : 'none'
}

/** The cursor's entry, copied. */
export function entryAt(cursor: EntryCursor): Entry {
  return {
    key: Uint8Array.from(cursor.keyBytes.subarray(cursor.keyStart, cursor.keyEnd)),
    sequence: cursor.sequence,
    kind: cursor.kind,
    value: Uint8Array.from(cursor.valueBytes.subarray(cursor.valueStart, cursor.valueEnd)),
  }
}

export function allForward(cursor: EntryCursor): Entry[] {
  const list: Entry[] = []
  for (cursor.first(); cursor.valid; cursor.next()) list.push(entryAt(cursor))
  return list
}

export function allBackward(cursor: EntryCursor): Entry[] {
  const list: Entry[] = []
  for (cursor.last(); cursor.valid; cursor.prev()) list.push(entryAt(cursor))
  return list
}
