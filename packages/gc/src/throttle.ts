/**
 * Bytes per second: a token bucket over the runtime's clock and sleep.
 *
 * A request is never refused or split: it may run the bucket into debt, and then waits until the debt is paid. So
 * the rate holds on average for requests of any size, and every wait ends.
 */

import { InvalidArgumentError, checkFunction, checkWork, hasMethods, throwIfAborted } from '@wk/codec'
import type { Runtime } from '@wk/fs'

/** The bucket holds this part of a second's bytes: how far a pass may run ahead after it idled. */
const BURST_SECONDS = 0.1
/** One sleep is never longer: a slow rate may be raised meanwhile, and what is waited for may be gone. */
const MAX_SLEEP_MS = 1000

export class Throttle {
  readonly #runtime: Runtime
  readonly #checkOpen: () => void
  #rate: number
  #tokens: number
  #filledAt: number

  /**
   * `bytesPerSecond` undefined: no limit. `checkOpen` is called after each second of waiting; what it throws ends the wait.
   * Throws `InvalidArgumentError` unless the rate is a positive number, and the runtime one.
   */
  constructor(bytesPerSecond: number | undefined, runtime: Runtime, checkOpen: () => void = () => undefined) {
    if (!hasMethods(runtime, 'monotonic', 'sleep')) throw new InvalidArgumentError('runtime must be a Runtime')
    checkFunction('checkOpen', checkOpen)
    this.#runtime = runtime
    this.#checkOpen = checkOpen
    this.#rate = checkedRate(bytesPerSecond)
    this.#tokens = this.#rate * BURST_SECONDS
    this.#filledAt = runtime.monotonic()
  }

  /** Takes effect with the next request. */
  setRate(bytesPerSecond: number | undefined): void {
    this.#rate = checkedRate(bytesPerSecond)
    this.#tokens = Math.min(this.#tokens, this.#rate * BURST_SECONDS)
  }

  /** Resolves when `bytes` more may be read or written. Throws `AbortedError` as soon as the signal is aborted, `InvalidArgumentError` for what is no number of bytes. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (!Number.isFinite(bytes) || bytes < 0) throw new InvalidArgumentError('bytes must be a number from 0')
    checkWork({ signal })
    throwIfAborted(signal)
    if (!Number.isFinite(this.#rate)) return
    this.#refill()
    this.#tokens -= bytes
    while (this.#tokens < 0) {
      const wait = (-this.#tokens / this.#rate) * 1000
      await this.#runtime.sleep(Math.min(MAX_SLEEP_MS, Math.max(1, wait)), signal)
      this.#checkOpen()
      this.#refill()
    }
  }

  #refill(): void {
    const now = this.#runtime.monotonic()
    const earned = (Math.max(0, now - this.#filledAt) / 1000) * this.#rate
    this.#filledAt = now
    this.#tokens = Math.min(this.#rate * BURST_SECONDS, this.#tokens + earned)
  }
}

function checkedRate(bytesPerSecond: number | undefined): number {
  if (bytesPerSecond === undefined) return Number.POSITIVE_INFINITY
  if (typeof bytesPerSecond === 'number' && bytesPerSecond > 0) return bytesPerSecond
  throw new InvalidArgumentError('bytesPerSecond must be a positive number')
}
