/**
 * Models for the iterator and compaction tests: entries as plain objects, a cursor over a sorted array of them, and
 * what a reader sees, computed the slow way.
 */
import {
  KIND_ATTRIBUTES,
  KIND_POINTER,
  KIND_TOMBSTONE,
  KIND_VALUE,
  POINTER_LENGTH,
  attributesLength,
  baseKind,
  compareBytes,
  encodePointer,
  readPayload,
  writeAttributes,
} from '@wk/codec'
import type { EntryCursor, EntryView, KeyRange } from '@wk/codec'
import fc from 'fast-check'
import { expect } from 'vitest'

export interface Entry {
  key: Uint8Array
  sequence: number
  kind: number
  payload: Uint8Array
}

/** Runs and seed from `WK_RUNS` and `WK_SEED`; a failure tells how to run it again. */
export function propertyOptions<T>(runs: number): fc.Parameters<T> {
  const seed = process.env['WK_SEED']
  return {
    numRuns: Number(process.env['WK_RUNS'] ?? runs),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    reporter: (details: fc.RunDetails<T>) => {
      if (!details.failed) return
      const name = expect.getState().currentTestName ?? ''
      throw new Error(`${fc.defaultReportMessage(details)}\nReplay: WK_SEED=${details.seed} WK_RUNS=${details.numRuns} npx vitest run -t '${name.split(' > ').at(-1)}'`, { cause: details.errorInstance })
    },
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (from: Uint8Array): string => new TextDecoder().decode(from)

export function valueEntry(key: string, sequence: number, value: string, expiresAt = 0): Entry {
  const raw = bytes(value)
  const length = attributesLength(0, expiresAt)
  const payload = new Uint8Array(length + raw.length)
  writeAttributes(payload, 0, 0, expiresAt)
  payload.set(raw, length)
  return { key: bytes(key), sequence, kind: expiresAt === 0 ? KIND_VALUE : KIND_VALUE | KIND_ATTRIBUTES, payload }
}

export function pointerEntry(key: string, sequence: number, fid: number, offset: number, len: number, expiresAt = 0): Entry {
  const payload = new Uint8Array(POINTER_LENGTH + attributesLength(0, expiresAt))
  payload.set(encodePointer({ fid, offset, len }))
  writeAttributes(payload, POINTER_LENGTH, 0, expiresAt)
  return { key: bytes(key), sequence, kind: expiresAt === 0 ? KIND_POINTER : KIND_POINTER | KIND_ATTRIBUTES, payload }
}

export function tombstone(key: string, sequence: number): Entry {
  return { key: bytes(key), sequence, kind: KIND_TOMBSTONE, payload: new Uint8Array(0) }
}

export function compareEntries(a: Entry, b: Entry): number {
  return compareBytes(a.key, b.key) || b.sequence - a.sequence
}

export const sorted = (entries: Iterable<Entry>): Entry[] => [...entries].sort(compareEntries)

export const show = (entry: Entry): string => `${text(entry.key)}@${entry.sequence}:${entry.kind}:${text(entry.payload)}`

/** A cursor over a sorted array. Its views are overwritten when it moves, as those of a table may be. */
export class ArrayCursor implements EntryCursor {
  readonly #entries: readonly Entry[]
  #at = -1
  keyBytes = new Uint8Array(0)
  keyStart = 0
  keyEnd = 0
  valueBytes = new Uint8Array(0)
  valueStart = 0
  valueEnd = 0
  sequence = 0
  kind = 0
  seeks = 0

  constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  get valid(): boolean {
    return this.#at >= 0 && this.#at < this.#entries.length
  }

  first(): void {
    this.#move(0)
  }

  last(): void {
    this.#move(this.#entries.length - 1)
  }

  next(): void {
    if (!this.valid) throw new Error('next beside all entries')
    this.#move(this.#at + 1)
  }

  prev(): void {
    if (!this.valid) throw new Error('prev beside all entries')
    this.#move(this.#at - 1)
  }

  seek(key: Uint8Array, sequence: number): void {
    this.seeks++
    const at = this.#entries.findIndex((entry) => (compareBytes(entry.key, key) || sequence - entry.sequence) >= 0)
    this.#move(at < 0 ? this.#entries.length : at)
  }

  seekReverse(key: Uint8Array, sequence: number): void {
    this.seeks++
    this.#move(this.#entries.findLastIndex((entry) => (compareBytes(entry.key, key) || sequence - entry.sequence) <= 0))
  }

  #move(at: number): void {
    this.keyBytes.fill(0xee)
    this.valueBytes.fill(0xee)
    this.#at = at
    const entry = this.#entries[at]
    if (entry === undefined) return
    this.keyBytes = Uint8Array.of(9, 9, 9, ...entry.key, 9)
    this.keyStart = 3
    this.keyEnd = 3 + entry.key.length
    this.valueBytes = Uint8Array.of(7, ...entry.payload, 7, 7)
    this.valueStart = 1
    this.valueEnd = 1 + entry.payload.length
    this.sequence = entry.sequence
    this.kind = entry.kind
  }
}

/** A copy of the entry under a cursor. */
export function entryAt(cursor: EntryView): Entry {
  return {
    key: cursor.keyBytes.slice(cursor.keyStart, cursor.keyEnd),
    sequence: cursor.sequence,
    kind: cursor.kind,
    payload: cursor.valueBytes.slice(cursor.valueStart, cursor.valueEnd),
  }
}

/** What a reader at `sequence` and `now` sees, in key order. */
export function visible(entries: readonly Entry[], sequence: number, now: number, range: KeyRange = {}): Entry[] {
  const { gt, gte, lt, lte } = range
  const newest = new Map<string, Entry>()
  for (const entry of entries) {
    if (entry.sequence > sequence) continue
    const known = newest.get(text(entry.key))
    if (known === undefined || known.sequence < entry.sequence) newest.set(text(entry.key), entry)
  }
  return sorted(newest.values()).filter((entry) => {
    if (baseKind(entry.kind) === KIND_TOMBSTONE) return false
    const expiresAt = expiryOf(entry)
    if (expiresAt !== 0 && expiresAt <= now) return false
    if (gte !== undefined ? compareBytes(entry.key, gte) < 0 : gt !== undefined && compareBytes(entry.key, gt) <= 0) return false
    return !(lte !== undefined ? compareBytes(entry.key, lte) > 0 : lt !== undefined && compareBytes(entry.key, lt) >= 0)
  })
}

export function expiryOf(entry: Entry): number {
  const view = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
  readPayload(entry.kind, entry.payload, 0, entry.payload.length, view)
  return view.expiresAt
}

/** Short keys of few letters, so that prefixes and collisions are common; the empty key too. */
export const keyArbitrary = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 })

/** Distinct sequence numbers in random order over keys that repeat: values, pointers, tombstones, expiries 1 to 20. */
export const historyArbitrary = fc
  .array(
    fc.record({
      key: keyArbitrary,
      kind: fc.constantFrom('value', 'value', 'pointer', 'tombstone'),
      expiresAt: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 20 }) }),
      gap: fc.integer({ min: 1, max: 2 }),
    }),
    { maxLength: 40 },
  )
  .map((operations) => {
    let sequence = 0
    return operations.map(({ key, kind, expiresAt, gap }): Entry => {
      sequence += gap
      if (kind === 'tombstone') return tombstone(key, sequence)
      if (kind === 'pointer') return pointerEntry(key, sequence, 1 + (sequence % 3), sequence * 10, 10 + sequence, expiresAt)
      return valueEntry(key, sequence, `v${sequence}`, expiresAt)
    })
  })

/** The history dealt to sources; some entries also to a later source, with other content. */
export const sourcesArbitrary = fc
  .tuple(historyArbitrary, fc.integer({ min: 1, max: 9 }), fc.infiniteStream(fc.nat(1000)))
  .map(([history, count, stream]) => {
    const sources: Entry[][] = Array.from({ length: count }, () => [])
    const expected: Entry[] = []
    for (const entry of history) {
      const dice = stream.next().value
      const home = dice % count
      sources[home]!.push(entry)
      expected.push(entry)
      if (dice % 3 === 0) {
        for (let later = home + 1; later < count; later++) sources[later]!.push({ ...entry, kind: 1, payload: bytes('stale') })
      }
    }
    return { sources: sources.map(sorted), expected: sorted(expected) }
  })
