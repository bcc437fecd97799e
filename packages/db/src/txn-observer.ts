/**
 * Follows an iterator of a transaction and says which ranges it has read: from where it began, or was sought, to the last
 * key that it delivered, or to the end of its range once it met that. What was only fetched ahead does not count.
 */
import { copyBytes } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { IteratorObserver } from './iterator.js'
import type { ReadRange, TxnReads } from './txn-reads.js'

export class TxnObserver implements IteratorObserver {
  readonly #reads: TxnReads
  readonly #range: KeyRange
  readonly #reverse: boolean
  /** Where reading began; `undefined` is the range's own start. */
  #from: Uint8Array | undefined
  #read: ReadRange | undefined

  constructor(reads: TxnReads, range: KeyRange, reverse: boolean) {
    this.#reads = reads
    this.#range = range
    this.#reverse = reverse
  }

  delivered(key: Uint8Array): void {
    this.#extend(this.#reverse ? { gte: copyBytes(key) } : { lte: copyBytes(key) })
  }

  ended(): void {
    const { gt, gte, lt, lte } = this.#range
    this.#extend(this.#reverse ? { gt, gte } : { lt, lte })
  }

  sought(key: Uint8Array): void {
    this.close()
    this.#from = copyBytes(key)
  }

  /** Nothing more will be delivered. */
  close(): void {
    if (this.#read !== undefined) this.#read.done = true
    this.#read = undefined
  }

  #extend(end: KeyRange): void {
    const range = { ...this.#start(), ...end }
    if (this.#read !== undefined) this.#read.range = range
    else {
      this.#read = { range, done: false }
      this.#reads.addRange(this.#read)
    }
  }

  #start(): KeyRange {
    if (this.#from !== undefined) return this.#reverse ? { lte: this.#from } : { gte: this.#from }
    const { gt, gte, lt, lte } = this.#range
    return this.#reverse ? { lt, lte } : { gt, gte }
  }
}
