/**
 * What a history is made of: operations as plain data, small enough to print. Bytes of values are described, not
 * held; `valueBytes` makes them. Everything the runner does follows from the list, so a list can be cut down and rerun.
 */
import type { KeyText, ModelRange } from './model.js'

/** A value by size and seed. */
export interface ValueSpec {
  readonly size: number
  readonly seed: number
}

/** Where a read looks: now, or in an open snapshot. */
interface ReadPlace {
  readonly snapshot?: number
}

/** One write inside a batch; `value` undefined deletes. */
export interface WriteSpec {
  readonly key: KeyText
  readonly value: ValueSpec | undefined
}

/** How a write is issued: with `sync`, and whether the history waits for it before it goes on. */
interface WritePlace {
  readonly sync: boolean
  readonly awaited: boolean
}

/** One step of a history. */
export type Operation =
  | ({ readonly type: 'write'; readonly writes: readonly WriteSpec[]; readonly batch: boolean } & WritePlace)
  | { readonly type: 'clear'; readonly range: ModelRange }
  | ({ readonly type: 'get'; readonly key: KeyText; readonly how: 'get' | 'getSync' | 'has'; readonly awaited: boolean } & ReadPlace)
  | ({ readonly type: 'getMany'; readonly keys: readonly KeyText[]; readonly awaited: boolean } & ReadPlace)
  | ({ readonly type: 'scan'; readonly what: 'iterator' | 'keys' | 'values'; readonly range: ModelRange; readonly chunk: number } & ReadPlace)
  | ({ readonly type: 'seekScan'; readonly range: ModelRange; readonly before: number; readonly target: KeyText; readonly chunk: number } & ReadPlace)
  | ({ readonly type: 'openIterator'; readonly id: number; readonly range: ModelRange } & ReadPlace)
  | { readonly type: 'stepIterator'; readonly id: number; readonly count: number }
  | { readonly type: 'closeIterator'; readonly id: number }
  | { readonly type: 'snapshot'; readonly id: number }
  | { readonly type: 'closeSnapshot'; readonly id: number }
  | { readonly type: 'drain' }
  | { readonly type: 'flush' }
  | { readonly type: 'compact' }
  | { readonly type: 'sync' }
  | { readonly type: 'gc'; readonly ratio: number }
  | { readonly type: 'reopen' }
  | { readonly type: 'compareAll' }
  | { readonly type: 'verify' }

/** The bytes a value description stands for: each size and seed gives other bytes; half of them compress. */
export function valueBytes(spec: ValueSpec): Uint8Array {
  const out = new Uint8Array(spec.size)
  let state = (Math.imul(spec.seed, 0x9e3779b1) ^ Math.imul(spec.size, 0x85ebca6b)) >>> 0 || 1
  const step = (spec.seed & 1) === 0 ? 1 : 8
  for (let i = 0; i < spec.size; i++) {
    if (i % step === 0) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
    }
    out[i] = state >>> 8
  }
  return out
}

/** One operation on one line, for failure reports. */
export function describe(operation: Operation): string {
  return JSON.stringify(operation, (_, value: unknown) => (typeof value === 'string' && value.length > 40 ? `${value.slice(0, 40)}…(${value.length})` : value))
}
