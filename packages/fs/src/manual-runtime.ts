/**
 * A runtime whose clock moves only when told to and whose random numbers follow a seed: for deterministic tests.
 */
import { AbortedError, throwIfAborted } from '@wk/codec'
import { defaultRuntime } from './runtime.js'
import type { Runtime } from './runtime.js'
import { seededRandom } from './seeded-random.js'

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

export interface ManualRuntimeOptions {
  /** Wall clock at the start, in milliseconds since the epoch. Default 1,700,000,000,000. */
  now?: number
  /** Seed of {@link Runtime.random}. Default 0. */
  seed?: number
  /** Milliseconds by which each `yield` moves the clock: keeps loops that wait for time from waiting for ever. Default 0. */
  yieldMs?: number
}

export class ManualRuntime implements Runtime {
  readonly #start: number
  readonly #random: () => number
  readonly #yieldMs: number
  readonly #sleepers: Sleeper[] = []
  #elapsed = 0

  constructor(options: ManualRuntimeOptions = {}) {
    this.#start = options.now ?? 1_700_000_000_000
    this.#random = seededRandom(options.seed ?? 0)
    this.#yieldMs = options.yieldMs ?? 0
  }

  /** Calls of `sleep` that have not ended yet. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  now(): number {
    return this.#start + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  random(): number {
    return this.#random()
  }

  /** A few microtasks long: whatever is ready runs first. */
  async yield(): Promise<void> {
    await settle()
    if (this.#yieldMs > 0) this.#moveTo(this.#elapsed + this.#yieldMs)
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    await new Promise<void>((resolve, reject) => {
      const sleeper: Sleeper = {
        due: this.#elapsed + ms,
        wake: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1)
        reject(new AbortedError(undefined, { cause: signal?.reason }))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.push(sleeper)
    })
  }

  microtask(fn: () => void): void {
    defaultRuntime.microtask(fn)
  }

  /** Moves the clock by `ms` and wakes the sleepers that are due, in order of time; what they start runs in between. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsed + ms
    for (;;) {
      const next = this.#earliest()
      if (next === undefined || next.due > target) break
      this.#moveTo(next.due)
      await settle()
    }
    this.#moveTo(target)
    await settle()
  }

  #earliest(): Sleeper | undefined {
    let earliest: Sleeper | undefined
    for (const sleeper of this.#sleepers) {
      if (earliest === undefined || sleeper.due < earliest.due) earliest = sleeper
    }
    return earliest
  }

  #moveTo(time: number): void {
    if (time > this.#elapsed) this.#elapsed = time
    for (;;) {
      const next = this.#earliest()
      if (next === undefined || next.due > this.#elapsed) return
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1)
      next.wake()
    }
  }
}

/** Long enough for chains of a few awaits to run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 16; turn++) await Promise.resolve()
}
