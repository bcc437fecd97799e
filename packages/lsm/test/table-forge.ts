/** Tables in memory whose data blocks are changed by hand: damaged, or well signed and yet what no writer would write. */
import { TRAILER_LENGTH, crc32cRange, formatFileName, invariant, placeSeed, readU32, writeU32, writeUvarint } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import { TableReader } from '@wk/sstable'
import type { TableSummary, TableWriterOptions } from '@wk/sstable'
import type { Entry } from './iterator-support.js'
import { writeTable } from './job-generator.js'

export const DIR = 'db'

/** A table and its file. */
export interface RawTable {
  readonly summary: TableSummary
  readonly bytes: Uint8Array
}

export async function rawTable(entries: readonly Entry[], options: TableWriterOptions): Promise<RawTable> {
  const fs = await directory()
  const summary = await writeTable(fs, entries, options)
  return { summary, bytes: fileOf(fs, formatFileName('table', summary.number)) }
}

/** A file system of these tables. */
export async function directory(tables: readonly RawTable[] = []): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem({ crashable: false })
  await fs.mkdir(DIR)
  for (const { summary, bytes } of tables) {
    const file = await fs.open(`${DIR}/${formatFileName('table', summary.number)}`, 'create')
    file.writeSync(bytes, 0, bytes.length, 0)
    await file.close()
  }
  return fs
}

export function fileOf(fs: FileSystem, name: string): Uint8Array {
  const file = fs.openSync(`${DIR}/${name}`, 'read')
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0, bytes.length, 0)
  file.closeSync()
  return bytes
}

/** The table with one byte after the other changed. */
export function flipped({ summary, bytes }: RawTable, flips: readonly (readonly [number, number])[]): RawTable {
  const damaged = bytes.slice()
  for (const [at, mask] of flips) damaged[at]! ^= mask
  return { summary, bytes: damaged }
}

/** Where an entry lies in its block: header, trailer, key and payload lie one behind the other. */
interface Place {
  readonly start: number
  /** Of the trailer. */
  readonly trailer: number
  readonly key: number
  readonly payload: number
  readonly end: number
}

/** An uncompressed data block, open to changes. */
export class ForgedBlock {
  readonly bytes: Uint8Array
  readonly entries: readonly Place[]

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    const entries: Place[] = []
    let at = 0
    const uvarint = (): number => {
      let value = 0
      for (let scale = 1; ; scale *= 0x80) {
        const byte = bytes[at++]!
        value += (byte & 0x7f) * scale
        if (byte < 0x80) return value
      }
    }
    while (at < this.restartAt(0)) {
      const start = at
      uvarint()
      const unshared = uvarint()
      const length = uvarint()
      const key = at + TRAILER_LENGTH
      entries.push({ start, trailer: at, key, payload: key + unshared, end: key + unshared + length })
      at = key + unshared + length
    }
    this.entries = entries
  }

  get restartCount(): number {
    return readU32(this.bytes, this.bytes.length - 4)
  }

  /** Where restart point `index` is kept. */
  restartAt(index: number): number {
    return this.bytes.length - 4 - 4 * (this.restartCount - index)
  }

  setRestartCount(count: number): void {
    writeU32(this.bytes, this.bytes.length - 4, count)
  }

  setRestart(index: number, offset: number): void {
    writeU32(this.bytes, this.restartAt(index), offset)
  }

  /** The first entry of this kind behind the first restart run, at a restart point or not. */
  indexOf(kind: number, isRestart = false): number {
    const restarts = new Set(Array.from({ length: this.restartCount }, (_, i) => readU32(this.bytes, this.restartAt(i))))
    const index = this.entries.findIndex(({ start, key }, i) => i > 4 && restarts.has(start) === isRestart && this.bytes[key - 1] === kind)
    invariant(index > 0, 'a block with such an entry')
    return index
  }

  /** The key of an entry. Requires headers of one byte a number. */
  keyAt(index: number): Uint8Array {
    let whole = new Uint8Array(0)
    for (const { start, key, payload } of this.entries.slice(0, index + 1)) whole = Uint8Array.from([...whole.subarray(0, this.bytes[start]), ...this.bytes.subarray(key, payload)])
    return whole
  }

  setKind(index: number, kind: number): void {
    this.bytes[this.entries[index]!.key - 1] = kind
  }

  /** Gives an entry another header, whose length its payload makes good: `header` is told how long that is then. */
  recode(index: number, header: (shared: number, unshared: number, payload: number) => readonly number[]): void {
    const { start, trailer, key, payload, end } = this.entries[index]!
    const shared = this.bytes[start]!
    const more = header(shared, payload - key, 0).length - (trailer - start)
    const encoded = header(shared, payload - key, end - payload - more)
    this.bytes.copyWithin(trailer + more, trailer, end - more)
    this.bytes.set(encoded, start)
  }
}

/** `value` as a varint. */
export function varint(value: number): number[] {
  const bytes = new Uint8Array(8)
  return [...bytes.subarray(0, writeUvarint(bytes, 0, value))]
}

/** Where a data block lies: of the last one by default. */
export async function handleOf(table: RawTable, index?: number): Promise<{ offset: number; length: number }> {
  const { number, size } = table.summary
  const fs = await directory([table])
  const file = fs.openSync(`${DIR}/${formatFileName('table', number)}`, 'read')
  const reader = TableReader.openSync(file, number, size)
  const handle = reader.blockHandle(index ?? reader.dataBlocks - 1)
  file.closeSync()
  return handle
}

/** The table with a change in data block `index`; `isSigned`: with the checksum made right. And where the block begins. */
export async function forged(table: RawTable, index: number, isSigned: boolean, change: (block: ForgedBlock) => void): Promise<RawTable & { offset: number }> {
  const { summary } = table
  const bytes = table.bytes.slice()
  const { offset, length } = await handleOf(table, index)
  change(new ForgedBlock(bytes.subarray(offset, offset + length)))
  if (isSigned) writeU32(bytes, offset + length + 1, crc32cRange(bytes, offset, offset + length + 1, placeSeed(summary.number, offset)))
  return { summary, bytes, offset }
}
