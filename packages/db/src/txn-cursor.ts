/**
 * What an iterator of a transaction walks: the database as of the transaction's snapshot, with the transaction's own
 * writes laid over it. Forward or reverse, as the cursor below it.
 *
 * The writes are those of the moment when the iterator was made.
 */
import { KIND_VALUE, NO_BYTES, compareRanges, isAtOrAfterStart, isAtOrBeforeEnd } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { VisibleCursor } from '@wk/lsm'
import type { CheckedOperation } from './batch.js'
import type { WalkedCursor } from './iterator.js'
import type { SortedWrites } from './txn-writes.js'

/** Own deletions that one move passes at most, as the cursor below does with its own. */
const PATIENCE = 256

export class TxnCursor implements WalkedCursor {
  readonly #base: VisibleCursor
  readonly #writes: SortedWrites
  readonly #range: KeyRange
  /** Unix seconds: own writes with a smaller or equal expiry are not seen. */
  readonly #now: number
  readonly #step: 1 | -1
  /** Index of the next own write. */
  #at = 0

  valid = false
  paused = false
  keyBytes: Uint8Array = NO_BYTES
  keyStart = 0
  keyEnd = 0
  sequence = 0
  kind = 0
  valueBytes: Uint8Array = NO_BYTES
  valueStart = 0
  valueEnd = 0

  /** Takes over `base`, which walks the same range. It starts beside all entries: `first` or `seek` comes next. */
  constructor(base: VisibleCursor, writes: SortedWrites, range: KeyRange, now: number) {
    this.#base = base
    this.#writes = writes
    this.#range = range
    this.#now = now
    this.#step = base.reverse ? -1 : 1
  }

  first(): void {
    this.#base.first()
    this.#at = this.#placeOf((key) => this.#isBeforeRange(key))
    this.#settle()
  }

  seek(userKey: Uint8Array): void {
    this.#base.seek(userKey)
    this.#at = this.#placeOf((key) => this.#isBeforeRange(key) || this.#order(key, userKey) < 0)
    this.#settle()
  }

  next(): void {
    const own = this.#own()
    if (own !== undefined && this.keyBytes === own.key) this.#passOwn(own)
    else this.#base.next()
    this.#settle()
  }

  resume(): void {
    if (this.#base.paused) this.#base.resume()
    this.#settle()
  }

  /** Shows the next entry: an own write hides what the database holds under its key. */
  #settle(): void {
    const base = this.#base
    for (let passed = 0; ; passed++) {
      this.paused = base.paused || passed === PATIENCE
      if (this.paused) {
        this.valid = false
        return
      }
      const own = this.#own()
      if (own === undefined || (base.valid && this.#orderToBase(own) > 0)) {
        this.#showBase()
        return
      }
      if (own.value !== undefined && (own.expiresAt === 0 || own.expiresAt > this.#now)) {
        this.#showOwn(own, own.value)
        return
      }
      this.#passOwn(own)
    }
  }

  #passOwn(own: CheckedOperation): void {
    if (this.#base.valid && this.#orderToBase(own) === 0) this.#base.next()
    this.#at += this.#step
  }

  /** The next own write within the range. */
  #own(): CheckedOperation | undefined {
    const own = this.#writes[this.#at]
    if (own === undefined) return undefined
    const isWithin = this.#step === 1 ? isAtOrBeforeEnd(this.#range, own.key) : isAtOrAfterStart(this.#range, own.key)
    return isWithin ? own : undefined
  }

  #isBeforeRange(key: Uint8Array): boolean {
    return this.#step === 1 ? !isAtOrAfterStart(this.#range, key) : !isAtOrBeforeEnd(this.#range, key)
  }

  /** Index of the first own write, in the cursor's direction, of which `isBefore` does not hold. */
  #placeOf(isBefore: (key: Uint8Array) => boolean): number {
    let low = 0
    let high = this.#writes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      // In reverse the writes that come before lie at the end.
      if (isBefore((this.#writes[middle] as CheckedOperation).key) === (this.#step === 1)) low = middle + 1
      else high = middle
    }
    return this.#step === 1 ? low : low - 1
  }

  /** Negative, zero or positive as `a` comes before, with or after `b` in the cursor's direction. */
  #order(a: Uint8Array, b: Uint8Array): number {
    return this.#step * compareRanges(a, 0, a.length, b, 0, b.length)
  }

  #orderToBase({ key }: CheckedOperation): number {
    const { keyBytes, keyStart, keyEnd } = this.#base
    return this.#step * compareRanges(key, 0, key.length, keyBytes, keyStart, keyEnd)
  }

  #showOwn({ key }: CheckedOperation, value: Uint8Array): void {
    this.valid = true
    this.keyBytes = key
    this.keyStart = 0
    this.keyEnd = key.length
    this.sequence = 0
    this.kind = KIND_VALUE
    this.valueBytes = value
    this.valueStart = 0
    this.valueEnd = value.length
  }

  #showBase(): void {
    const base = this.#base
    this.valid = base.valid
    this.keyBytes = base.keyBytes
    this.keyStart = base.keyStart
    this.keyEnd = base.keyEnd
    this.sequence = base.sequence
    this.kind = base.kind
    this.valueBytes = base.valueBytes
    this.valueStart = base.valueStart
    this.valueEnd = base.valueEnd
  }
}
