/** What properties and references of a table say of its entries: docs/format.md, "Reference block", "Properties block". */
import { byPlace, isTombstone, type Entry } from './entry.js'
import { Reader, U32 } from './reader.js'

/** An entry with the length of its payload. */
export interface TableEntry extends Entry {
  readonly payloadLength: number
}

/** Figures that properties and manifest keep, counted anew. */
export interface Figures {
  readonly entries: number
  readonly tombstones: number
  readonly expiring: number
  /** From then on a quarter has expired; 0 if fewer ever do. */
  readonly quarter: number
  readonly minSeq: number
  readonly maxSeq: number
  readonly keyBytes: number
  readonly payloadBytes: number
  readonly smallest: string
  readonly largest: string
  /** Per value log: fid, records, bytes. */
  readonly logs: readonly (readonly [fid: number, records: number, bytes: number])[]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0)

export function figuresOf(entries: readonly TableEntry[]): Figures {
  const expiries = entries.map((e) => e.expiresAt).filter((at) => at > 0).sort((a, b) => a - b)
  const seqs = entries.map((e) => e.seq)
  const logs = new Map<number, [number, number, number]>()
  for (const p of pointersOf(entries)) {
    const [, records, bytes] = logs.get(p.fid) ?? [p.fid, 0, 0]
    logs.set(p.fid, [p.fid, records + 1, bytes + p.len])
  }
  return {
    entries: entries.length,
    tombstones: entries.filter(isTombstone).length,
    expiring: expiries.length,
    quarter: expiries[Math.ceil(entries.length / 4) - 1] ?? 0,
    minSeq: Math.min(...seqs),
    maxSeq: Math.max(...seqs),
    keyBytes: sum(entries.map((e) => e.key.length)),
    payloadBytes: sum(entries.map((e) => e.payloadLength)),
    smallest: entries[0]?.key.toString('hex') ?? '',
    largest: entries.at(-1)?.key.toString('hex') ?? '',
    logs: [...logs.values()],
  }
}

const pointersOf = (entries: readonly Entry[]) => entries.flatMap((e) => (e.pointer === undefined ? [] : [e.pointer])).sort((a, b) => byPlace(a, b) || a.len - b.len)

/** The reference block names exactly the records that the entries point to. */
export function checkReferences(contents: Buffer, entries: readonly Entry[], file: string, base: number): void {
  const r = new Reader(contents, file, { base })
  const named: string[] = []
  for (let fid = 0, isFirst = true; r.left > 0; isFirst = false) {
    const delta = r.uvarint(U32)
    r.check(isFirst || delta >= 1, 'fid not ascending')
    fid += delta
    const count = r.uvarint()
    r.check(count >= 1 && count <= r.left / 2, 'number of records')
    for (let i = 0, offset = 0; i < count; i++) {
      offset += r.uvarint(U32)
      named.push(`${fid}:${offset}:${r.uvarint(U32)}`)
    }
  }
  r.check(pointersOf(entries).map((p) => `${p.fid}:${p.offset}:${p.len}`).join() === named.join(), 'references differ from the entries', 0)
}

/** The properties are the figures, and nothing else is there. */
export function checkProperties(contents: Buffer, figures: Figures, blocks: number, keys: number, file: string, base: number): void {
  const r = new Reader(contents, file, { base })
  const fields = new Map<number, Reader>()
  for (let before = 0; r.left > 0; ) {
    const id = r.uvarint()
    r.check(id > before && id <= 13, `property ${id}`)
    before = id
    fields.set(id, r.part(r.uvarint()))
  }
  const field = (id: number): Reader => {
    const found = fields.get(id)
    if (found === undefined) throw r.bad(`no property ${id}`, 0)
    return found
  }
  const numbers: [id: number, truth: number][] = [[1, figures.entries], [2, figures.tombstones], [3, figures.expiring], [4, figures.minSeq], [5, figures.maxSeq], [6, figures.keyBytes], [7, figures.payloadBytes], [11, blocks], [12, keys]]
  if (figures.quarter > 0) numbers.push([13, figures.quarter])
  else r.check(!fields.has(13), 'property 13 without a quarter that expires', 0)
  for (const [id, truth] of numbers) {
    const f = field(id)
    const n = f.uvarint()
    f.check(n === truth, `property ${id} is ${n}, not ${truth}`)
    f.done(`property ${id}`)
  }
  for (const [id, truth] of [[8, figures.smallest], [9, figures.largest]] as const) {
    const f = field(id)
    f.check(f.bytes(f.left).toString('hex') === truth, `property ${id}`)
  }
  const logs = field(10)
  for (const log of figures.logs) for (const truth of log) logs.check(logs.uvarint() === truth, 'property 10')
  logs.done('property 10')
}
