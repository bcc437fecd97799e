/** Table summaries for the compaction tests, made from entries or from a line of text. */
import { KIND_POINTER, KIND_TOMBSTONE, baseKind, compareBytes, decodePointer } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { bytes, expiryOf } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

/** The summary a writer would give, but for the size of blocks. Requires sorted entries, at least one. */
export function summaryOf(number: number, entries: readonly Entry[], size = entries.length * 100): TableSummary {
  const references = new Map<number, { fid: number; count: number; bytes: number }>()
  for (const { kind, payload } of entries) {
    if (baseKind(kind) !== KIND_POINTER) continue
    const { fid, len } = decodePointer(payload)
    const sum = references.get(fid) ?? { fid, count: 0, bytes: 0 }
    sum.count++
    sum.bytes += len
    references.set(fid, sum)
  }
  const keys = entries.map(({ key }) => key).sort(compareBytes)
  return {
    number,
    size,
    entries: entries.length,
    tombstones: entries.filter(({ kind }) => baseKind(kind) === KIND_TOMBSTONE).length,
    smallestKey: keys[0]!,
    largestKey: keys.at(-1)!,
    smallestSequence: Math.min(...entries.map(({ sequence }) => sequence)),
    largestSequence: Math.max(...entries.map(({ sequence }) => sequence)),
    keyBytes: entries.reduce((sum, { key }) => sum + key.length, 0),
    valueBytes: entries.reduce((sum, { kind, payload }) => sum + (baseKind(kind) === KIND_POINTER ? 0 : payload.length), 0),
    expiring: entries.filter((entry) => expiryOf(entry) !== 0).length,
    expiredQuarterAt: entries.map(expiryOf).filter((time) => time !== 0).sort((a, b) => a - b)[Math.ceil(entries.length / 4) - 1] ?? 0,
    references: [...references.values()].sort((a, b) => a.fid - b.fid),
  }
}

/** A table of `size` bytes from key `smallest` to `largest`, with as many entries of 100 bytes. */
export function table(
  number: number,
  smallest: string,
  largest: string,
  more: Partial<TableSummary> & { size: number } = { size: 1000 },
): TableSummary {
  const entries = more.entries ?? Math.max(1, Math.floor(more.size / 100))
  return {
    number,
    entries,
    tombstones: 0,
    smallestKey: bytes(smallest),
    largestKey: bytes(largest),
    smallestSequence: number * 10,
    largestSequence: number * 10 + 9,
    keyBytes: entries * 20,
    valueBytes: entries * 80,
    expiring: 0,
    expiredQuarterAt: 0,
    references: [],
    ...more,
  }
}

