/** `MANIFEST-NNNNNN`, `CURRENT` and `LOCK`: docs/format.md, chapters of these names. */
import { byPlace, SEQ_MAX } from './entry.js'
import type { Frame } from './frame.js'
import { checkLogHeader, framesOf } from './log-file.js'
import type { Figures } from './properties.js'
import { check, Reader, U32 } from './reader.js'

export interface NamedTable extends Figures {
  readonly level: number
  readonly number: number
  readonly size: number
}

/** What all edits say together. */
export interface Version {
  readonly tables: Map<number, NamedTable>
  nextFile: number
  logNumber: number
  lastSequence: number
  promise: { fid: number; offset: number }
  unflushed: { fid: number; offset: number }
  dropped: number | undefined
  clean: { fid: number; size: number } | undefined
  edits: number
  seals: number
  /** Bytes behind the last frame. */
  tail: number
}

export function decodeCurrent(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  check(bytes.length <= 64 && /^MANIFEST-(\d{6}|[1-9]\d{6,})\n$/.test(text), 'CURRENT', 0, 'no name of a manifest')
  return text.slice(0, -1)
}

export function checkLock(bytes: Buffer): void {
  check(bytes.length <= 160 && /^(\d+ \S+ \S+ (native|socket|pidfile)\n)?$/.test(bytes.toString('latin1')), 'LOCK', 0, `text ${bytes.toString('latin1')}`)
}

export function decodeManifest(bytes: Buffer, number: number, file: string): Version {
  checkLogHeader(bytes, 'WKMF', number, file)
  const { frames, behind, end } = framesOf(bytes, number, file)
  check(behind.length === 0, file, end, 'valid frames behind the end')
  const nowhere = { fid: 0, offset: 0 }
  const v: Version = { tables: new Map(), nextFile: 0, logNumber: 0, lastSequence: 0, promise: nowhere, unflushed: nowhere, dropped: undefined, clean: undefined, edits: 0, seals: 0, tail: bytes.length - end }
  for (const frame of frames) applyFrame(v, frame, file)
  check(v.edits > 0, file, 16, 'no first edit')
  check(v.clean === undefined || v.tail === 0, file, end, 'bytes behind a clean close')
  const tables = [...v.tables.values()].sort((a, b) => a.level - b.level || (a.smallest < b.smallest ? -1 : 1))
  for (const [i, t] of tables.entries()) {
    const before = tables[i - 1]
    check(t.level === 0 || before === undefined || before.level !== t.level || before.largest < t.smallest, file, 0, `table ${t.number} shares keys with another of its level`)
  }
  return v
}

function applyFrame(v: Version, { at, payload }: Frame, file: string): void {
  const r = new Reader(payload, file, { base: at + 8 })
  r.check(v.clean === undefined, 'frame behind a clean close')
  if (payload[0] === 9) {
    r.u8()
    r.check(r.uvarint() === at, 'offset of a seal')
    r.done('the seal')
    v.seals++
    return
  }
  const added: NamedTable[] = []
  let isBase = false
  const up = (before: number, max?: number): number => {
    const n = r.uvarint(max)
    r.check(n >= before, `${n} after ${before}`)
    return n
  }
  while (r.left > 0) {
    const tag = r.u8()
    if (tag === 1) isBase = true
    else if (tag === 2) v.nextFile = up(v.nextFile)
    else if (tag === 3) v.logNumber = up(v.logNumber)
    else if (tag === 4) v.lastSequence = up(v.lastSequence, SEQ_MAX)
    else if (tag === 5) {
      const promise = { fid: r.uvarint(U32), offset: r.uvarint() }
      if (byPlace(promise, v.promise) > 0) v.promise = promise
    } else if (tag === 6) added.push(decodeNamedTable(r))
    else if (tag === 7) {
      const level = r.u8()
      const number = r.uvarint()
      r.check(v.tables.get(number)?.level === level, `removes table ${number}, which is not there`)
      v.tables.delete(number)
    } else if (tag === 8) v.clean = { fid: r.uvarint(U32), size: r.uvarint() }
    else if (tag === 10) v.dropped = Math.max(v.dropped ?? 0, r.uvarint(SEQ_MAX))
    else if (tag === 11) v.unflushed = { fid: r.uvarint(U32), offset: r.uvarint(U32) }
    else throw r.bad(`tag ${tag}`)
  }
  r.check(isBase === (at === 16), 'base not in the first frame, or elsewhere')
  // Removals count before additions: a table that changes its level is removed and added in one edit.
  for (const t of added) {
    r.check(!v.tables.has(t.number), `adds table ${t.number} twice`)
    v.tables.set(t.number, t)
  }
  v.edits++
}

function decodeNamedTable(r: Reader): NamedTable {
  const [level, number, size, entries, tombstones, expiring] = [r.u8(), r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()]
  r.check(level < 32 && number >= 1 && entries >= 1 && tombstones <= entries && expiring <= entries, 'table')
  const quarter = expiring > 0 ? r.uvarint() : 0
  const [smallest, largest] = [r.bytes(r.uvarint()), r.bytes(r.uvarint())]
  r.check(Buffer.compare(smallest, largest) <= 0, 'keys of a table')
  const [minSeq, maxSeq, keyBytes, payloadBytes] = [r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()]
  const logs: (readonly [number, number, number])[] = []
  for (let left = r.uvarint(), fid = 0; left > 0; left--) {
    const delta = r.uvarint()
    r.check(logs.length === 0 || delta >= 1, 'fid not ascending')
    fid += delta
    logs.push([fid, r.uvarint(), r.uvarint()])
  }
  return { level, number, size, entries, tombstones, expiring, quarter, minSeq, maxSeq, keyBytes, payloadBytes, smallest: smallest.toString('hex'), largest: largest.toString('hex'), logs }
}
