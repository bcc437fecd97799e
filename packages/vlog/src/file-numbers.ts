/**
 * The one counter of file numbers, for every kind of file of a log. Numbers never come back (law 11).
 */
import { NotSupportedError } from '@wk/codec'
import { MAX_FID } from './format.js'

export class FileNumbers {
  #next: number

  /** `next`: the first one to give out. */
  constructor(next: number) {
    this.#next = next
  }

  get next(): number {
    return this.#next
  }

  /** How many are left. */
  get left(): number {
    return MAX_FID + 1 - this.#next
  }

  /** @throws NotSupportedError when all are used up */
  take(): number {
    if (this.left <= 0) throw new NotSupportedError('the value log has used up its file numbers')
    return this.#next++
  }
}
