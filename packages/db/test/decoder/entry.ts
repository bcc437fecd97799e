/** Operations and entries: docs/format.md, "Keys, payloads, pointers". */
import type { Reader } from './reader.js'

export const SEQ_MAX = 2 ** 48 - 1

export interface Pointer {
  readonly fid: number
  readonly len: number
  readonly offset: number
}

/** What kind and payload say. Neither value nor pointer: a tombstone. */
export interface Payload {
  readonly kind: number
  readonly value: Buffer | undefined
  readonly pointer: Pointer | undefined
  readonly userMeta: number
  readonly expiresAt: number
}

export interface Entry extends Payload {
  readonly key: Buffer
  readonly seq: number
}

const KINDS = new Set([0, 1, 2, 5, 6])

export function decodePayload(kind: number, r: Reader): Payload {
  r.check(KINDS.has(kind), `kind ${kind}`)
  const isPointer = (kind & 3) === 2
  const pointer = isPointer ? { fid: r.u32(), len: r.u32(), offset: r.u32() } : undefined
  const [userMeta, expiresAt] = (kind & 4) === 0 ? [0, 0] : [r.u8(), r.uvarint()]
  const value = (kind & 3) === 1 ? r.bytes(r.left) : undefined
  r.done('the payload')
  return { kind, value, pointer, userMeta, expiresAt }
}

export const isTombstone = (e: Payload): boolean => e.value === undefined && e.pointer === undefined

/** Order of internal keys. */
export const order = (a: { key: Buffer; seq: number }, b: { key: Buffer; seq: number }): number => Buffer.compare(a.key, b.key) || b.seq - a.seq

export const byPlace = (a: { fid: number; offset: number }, b: { fid: number; offset: number }): number => a.fid - b.fid || a.offset - b.offset
