/** A file in one array, arbitraries, and a sorted-array model, shared by the tests of this package. */
import { KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, compareInternal, encodePointer } from '@wk/codec'
import type { EntryCursor, EntryScan } from '@wk/codec'
import type { File, FileUsage } from '@wk/fs'
import { TableReader, TableWriter } from '@wk/sstable'
import type { TableReaderOptions, TableSummary, TableWriterOptions } from '@wk/sstable'
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

/** A file in one array. `chunk` bounds what one call transfers. */
export class ArrayFile implements File {
  readonly path = 'array'
  bytes = new Uint8Array(0)
  reads = 0
  chunk = Infinity

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes.slice()
  }

  readSync(into: Uint8Array, offset: number, length: number, position: number): number {
    this.reads++
    const count = Math.max(0, Math.min(length, this.chunk, this.bytes.length - position))
    into.set(this.bytes.subarray(position, position + count), offset)
    return count
  }

  writeSync(from: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.min(length, this.chunk)
    if (position + count > this.bytes.length) {
      const grown = new Uint8Array(position + count)
      grown.set(this.bytes)
      this.bytes = grown
    }
    this.bytes.set(from.subarray(offset, offset + count), position)
    return count
  }

  sizeSync(): number {
    return this.bytes.length
  }

  syncSync(): void {}
  closeSync(): void {}

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return Promise.resolve(this.readSync(into, offset, length, position))
  }
  write(from: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return Promise.resolve(this.writeSync(from, offset, length, position))
  }
  truncate(length: number): Promise<void> {
    this.bytes = this.bytes.slice(0, length)
    return Promise.resolve()
  }
  punch(offset: number, length: number): Promise<void> {
    this.bytes.fill(0, offset, offset + length)
    return Promise.resolve()
  }
  usage(): Promise<FileUsage> {
    return Promise.resolve({ allocated: this.bytes.length, links: 1 })
  }
  sync(): Promise<void> {
    return Promise.resolve()
  }
  size(): Promise<number> {
    return Promise.resolve(this.sizeSync())
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}

export interface Built {
  file: ArrayFile
  summary: TableSummary
  open(options?: TableReaderOptions): TableReader
}

/** A table of these entries, which must be in order, or of all a cursor has. */
export function build(entries: readonly Entry[], options: Partial<TableWriterOptions> = {}, cursor?: EntryCursor): Built {
  const file = new ArrayFile()
  const writer = new TableWriter(file, { fileNumber: 7, ...options })
  for (const { key, sequence, kind, value } of entries) writer.add(key, 0, key.length, sequence, kind, value, 0, value.length)
  cursor?.first()
  if (cursor !== undefined) writer.addCursor(cursor)
  const summary = writer.finish()
  return { file, summary, open: (readerOptions) => TableReader.openSync(file, summary.number, summary.size, readerOptions) }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const numbered = (i: number): Uint8Array => bytes(String(i).padStart(16, '0'))

/** Pointer entries under decimal keys: 0, 1, 2, ... */
export function pointerEntries(count: number): Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    key: numbered(i),
    sequence: 1000 + ((i * 7919) % count),
    kind: KIND_POINTER,
    value: encodePointer({ fid: 1 + (i % 3), offset: 20 + ((i * 7919) % count) * 100, len: 90 + (i % 50) }),
  }))
}

/** Keys that are hard to order and to compress: tiny alphabets, prefixes of each other, binary, long, decimal. */
export const anyKey: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 5 }).map((a) => Uint8Array.from(a)) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('user:', 'user:0000', ''), fc.nat(300)).map(([p, n]) => bytes(p + String(n))) },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 3, arbitrary: fc.nat(200).map(numbered) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(150, 300), fc.uint8Array({ maxLength: 3 }))
      .map(([n, tail]) => Uint8Array.from([...Array<number>(n).fill(7), ...tail])),
  },
)

const anyPayload: fc.Arbitrary<[number, Uint8Array]> = fc.oneof(
  fc.constant<[number, Uint8Array]>([KIND_TOMBSTONE, new Uint8Array(0)]),
  fc.uint8Array({ maxLength: 60 }).map<[number, Uint8Array]>((value) => [KIND_VALUE, value]),
  fc.nat(2000).map<[number, Uint8Array]>((length) => [KIND_VALUE, new Uint8Array(length).fill(length)]),
  fc.nat(255).map<[number, Uint8Array]>((meta) => [KIND_VALUE | KIND_ATTRIBUTES, Uint8Array.of(meta, meta & 1, 1, 2, 3)]),
  fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.nat(0xffffffff), fc.integer({ min: 1, max: 0xffffffff }))
    .map<[number, Uint8Array]>(([fid, offset, len]) => [KIND_POINTER, encodePointer({ fid, offset, len })]),
)

/** Entries in internal order with distinct sequences, often many versions of one key. */
export function anyTable(maxLength: number): fc.Arbitrary<Entry[]> {
  return fc
    .tuple(
      fc.array(fc.tuple(anyKey, anyPayload, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength }),
      fc.constantFrom(0, 1, 2 ** 24 - 5, 2 ** 32 - 20, 2 ** 48 - 1 - maxLength * 3),
    )
    .map(([list, base]) => {
      let sequence = base
      const entries: Entry[] = []
      for (const [key, [kind, value], versions] of list) {
        for (let v = 0; v < versions; v++) entries.push({ key, kind, value, sequence: sequence++ })
      }
      return entries.sort(compareEntries)
    })
}

/** Small blocks and intervals, so that a few entries cross every boundary. */
export const anyOptions: fc.Arbitrary<Partial<TableWriterOptions>> = fc.record({
  blockSize: fc.constantFrom(1, 64, 200, 4096),
  restartInterval: fc.constantFrom(1, 2, 3, 16),
  bloomBitsPerKey: fc.constantFrom(0, 1, 10),
  compression: fc.constantFrom('none' as const, 'lz4' as const),
})

export function compareEntries(a: Entry, b: Entry): number {
  return compareInternal(a.key, 0, a.key.length, a.sequence, b.key, 0, b.key.length, b.sequence)
}

const latin1 = (array: Uint8Array): string => Buffer.from(array.buffer, array.byteOffset, array.length).toString('latin1')

/** An entry as text: equal for equal entries, and quick to compare. */
export function show(entry: Entry | undefined): string {
  return entry === undefined ? 'none' : `${latin1(entry.key)} @${entry.sequence} kind ${entry.kind}: ${latin1(entry.value)}`
}

/** The cursor's entry as text. */
export function showAt(cursor: EntryScan): string {
  return cursor.valid ? show(entryAt(cursor)) : 'none'
}

/** The cursor's entry, copied. */
export function entryAt(cursor: EntryScan): Entry {
  return {
    key: cursor.keyBytes.slice(cursor.keyStart, cursor.keyEnd),
    sequence: cursor.sequence,
    kind: cursor.kind,
    value: cursor.valueBytes.slice(cursor.valueStart, cursor.valueEnd),
  }
}

export function allForward(cursor: EntryScan): string[] {
  const list: string[] = []
  for (cursor.first(); cursor.valid; cursor.next()) list.push(showAt(cursor))
  return list
}

export function allBackward(cursor: EntryCursor): string[] {
  const list: string[] = []
  for (cursor.last(); cursor.valid; cursor.prev()) list.push(showAt(cursor))
  return list
}

/** Runs a verification to its end. */
export function verify(table: TableReader): { blocks: number; entries: number; bytes: number } {
  const steps = table.verify()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
