/**
 * What is known about a table as a whole: the summary that goes into the manifest, and the properties block.
 *
 * The properties block is a list of fields, ascending by id: id (uvarint), length (uvarint), that many bytes. Ids that
 * a reader does not know are skipped, so that later releases may add some. Numbers are one uvarint each.
 *
 * | id | field                | id | field                                                    |
 * |----|----------------------|----|----------------------------------------------------------|
 * | 1  | entries              | 7  | payload bytes                                            |
 * | 2  | tombstones           | 8  | smallest user key                                        |
 * | 3  | entries with expiry  | 9  | largest user key                                         |
 * | 4  | smallest sequence    | 10 | references: for each file fid, count, bytes, uvarints    |
 * | 5  | largest sequence     | 11 | data blocks                                              |
 * | 6  | user key bytes       | 12 | distinct user keys                                       |
 * |    |                      | 13 | when a quarter of the entries has expired; absent if fewer ever do |
 */
import { ByteReader, ByteWriter, MAX_KEY_LENGTH, MAX_SEQUENCE, compareBytes, formatFileName } from '@wk/codec'
import type { ReferenceSummary } from './reference-list.js'

/** A finished table as plain data: what the manifest keeps of it. */
export interface TableSummary {
  /** File number. */
  number: number
  /** File size in bytes. */
  size: number
  /** Entries, tombstones and older versions included. */
  entries: number
  tombstones: number
  /** User keys; equal if there is only one. The summary's own copies. */
  smallestKey: Uint8Array
  largestKey: Uint8Array
  smallestSequence: number
  largestSequence: number
  /** Sum of the lengths of the user keys. */
  keyBytes: number
  /** Sum of the lengths of the payloads: values that are in the table, and 12 bytes and more for each pointer. */
  valueBytes: number
  /** Entries that have an expiry. */
  expiring: number
  /** From when on a quarter of the entries has expired, Unix seconds; 0 if fewer than that ever do. */
  expiredQuarterAt: number
  /** References into the value log, by ascending file. */
  references: ReferenceSummary[]
}

/** The summary's fields that are in the file itself, and some that only the reader needs. */
export interface TableProperties extends Omit<TableSummary, 'number' | 'size'> {
  dataBlocks: number
  /** Distinct user keys. */
  distinctKeys: number
}

const SMALLEST_KEY = 8
const LARGEST_KEY = 9
const REFERENCES = 10
const EXPIRED_QUARTER = 13
const NUMBERS = [
  [1, 'entries'],
  [2, 'tombstones'],
  [3, 'expiring'],
  [4, 'smallestSequence'],
  [5, 'largestSequence'],
  [6, 'keyBytes'],
  [7, 'valueBytes'],
  [11, 'dataBlocks'],
  [12, 'distinctKeys'],
] as const

/** The properties block. */
export function encodeProperties(properties: TableProperties): Uint8Array {
  const fields = new Map<number, Uint8Array>()
  for (const [id, name] of NUMBERS) fields.set(id, new ByteWriter(8).uvarint(properties[name]).toBytes())
  fields.set(SMALLEST_KEY, properties.smallestKey)
  fields.set(LARGEST_KEY, properties.largestKey)
  if (properties.expiredQuarterAt > 0) fields.set(EXPIRED_QUARTER, new ByteWriter(8).uvarint(properties.expiredQuarterAt).toBytes())
  const references = new ByteWriter()
  for (const { fid, count, bytes } of properties.references) references.uvarint(fid).uvarint(count).uvarint(bytes)
  fields.set(REFERENCES, references.toBytes())
  const writer = new ByteWriter()
  for (const [id, bytes] of [...fields].sort(([a], [b]) => a - b)) writer.uvarint(id).lengthPrefixed(bytes)
  return writer.toBytes()
}

/** Takes a properties block apart. Throws `CorruptionError` when it is malformed, lacks a field or contradicts itself. */
export function decodeProperties(bytes: Uint8Array, length: number, table: number, offset: number): TableProperties {
  const file = formatFileName('table', table)
  const reader = new ByteReader(bytes, { end: length, file, baseOffset: offset })
  const fields = new Map<number, Uint8Array>()
  let previous = 0
  while (reader.remaining > 0) {
    const id = reader.uvarint()
    if (id <= previous) throw reader.corrupt('properties out of order')
    previous = id
    fields.set(id, reader.view(reader.uvarint()))
  }
  const field = (id: number): Uint8Array => {
    const value = fields.get(id)
    if (value === undefined) throw reader.corrupt(`property ${id} is missing`)
    return value
  }
  const number = (id: number): number => {
    const inner = new ByteReader(field(id), { file, baseOffset: offset })
    const value = inner.uvarint()
    inner.expectEnd()
    return value
  }
  const numbers = Object.fromEntries(NUMBERS.map(([id, name]) => [name, number(id)])) as Record<(typeof NUMBERS)[number][1], number>
  const properties: TableProperties = {
    ...numbers,
    expiredQuarterAt: fields.has(EXPIRED_QUARTER) ? number(EXPIRED_QUARTER) : 0,
    smallestKey: field(SMALLEST_KEY).slice(),
    largestKey: field(LARGEST_KEY).slice(),
    references: decodeSummaries(field(REFERENCES), file, offset),
  }
  if (!isConsistent(properties)) throw reader.corrupt('properties contradict each other')
  return properties
}

function decodeSummaries(bytes: Uint8Array, file: string, offset: number): ReferenceSummary[] {
  const reader = new ByteReader(bytes, { file, baseOffset: offset })
  const list: ReferenceSummary[] = []
  let previous = -1
  while (reader.remaining > 0) {
    const summary = { fid: reader.uvarint(0xffff_ffff), count: reader.uvarint(), bytes: reader.uvarint() }
    if (summary.fid <= previous || summary.count === 0) throw reader.corrupt('reference sums out of order')
    previous = summary.fid
    list.push(summary)
  }
  return list
}

function isConsistent(p: TableProperties): boolean {
  if (p.entries < 1 || p.dataBlocks < 1 || p.distinctKeys < 1 || p.distinctKeys > p.entries || p.dataBlocks > p.entries) return false
  if (p.tombstones + p.expiring > p.entries || p.smallestSequence > p.largestSequence || p.largestSequence > MAX_SEQUENCE) return false
  if (p.expiredQuarterAt > 0 && p.expiring < p.entries / 4) return false
  if (p.smallestKey.length > MAX_KEY_LENGTH || p.largestKey.length > MAX_KEY_LENGTH) return false
  return compareBytes(p.smallestKey, p.largestKey) <= 0
}
