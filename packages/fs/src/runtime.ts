/**
 * Time, randomness and yielding, injected everywhere so that tests can own them. The only place in the packages that
 * touches the clock, `Math.random` and timers.
 *
 * What is real is taken when this file is loaded: whoever replaces the timers of the process later, as tests of users do, means his own waits, and
 * would find a database that never answers, or a loop that never pauses.
 */
import { throwIfAborted, AbortedError } from '@wk/codec'

export interface Runtime {
  /** Wall clock, milliseconds since the Unix epoch. May jump. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
  /** Uniform in [0, 1). Not for secrets. */
  random(): number
  /** Resolves after the event loop has had a turn for I/O and timers. */
  yield(): Promise<void>
  /** Resolves after `ms` milliseconds; keeps the process alive until then. @throws AbortedError when the signal aborts */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Runs `fn` after the current job, before any I/O. `fn` must not throw. */
  microtask(fn: () => void): void
}

const { setTimeout: startTimer, clearTimeout: stopTimer, setImmediate: onNextTurn, queueMicrotask: afterJob } = globalThis
const { random } = Math
const ticksSinceStart = process.hrtime.bigint
const elapsed = performance.now.bind(performance)
const resolved = Promise.resolve()

/** The real clock, timers and random numbers of the process. */
export const defaultRuntime: Runtime = {
  // Not taken beforehand: it dates what users read (`expiresAt`, `ttl`) and nothing is waited for by it, so one who moves the process's clock moves ours.
  now: () => Date.now(),
  monotonic: elapsed,
  random,
  yield: () => new Promise((resolve) => onNextTurn(resolve)),
  sleep: async (ms, signal) => {
    throwIfAborted(signal)
    await new Promise<void>((resolve, reject) => {
      const timer = startTimer(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      function onAbort(): void {
        stopTimer(timer)
        reject(new AbortedError(undefined, { cause: signal?.reason }))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  },
  // Half the price of `queueMicrotask`, which makes an asynchronous resource each time.
  microtask: (fn) => void resolved.then(fn),
}

/** Throws after the current job, as nobody's rejection: it ends up as an uncaught exception. */
export function throwBeside(error: unknown): void {
  afterJob(() => {
    throw error
  })
}

/** A number that no other call in this process gives, as far as clocks tell apart. */
export function distinctTicks(): bigint {
  return ticksSinceStart()
}

/**
 * Keeps background loops from holding the event loop: `if (slice.due()) await slice.pause()`.
 * Not shared between loops.
 */
export class TimeSlice {
  readonly #runtime: Runtime
  readonly #budget: number
  #start: number

  /** @param budgetMs longest time between two pauses, in milliseconds, as far as the loop asks often enough */
  constructor(runtime: Runtime, budgetMs = 4) {
    this.#runtime = runtime
    this.#budget = budgetMs
    this.#start = runtime.monotonic()
  }

  /** Whether the slice is used up. */
  due(): boolean {
    return this.#runtime.monotonic() - this.#start >= this.#budget
  }

  /** Lets others run, then starts a new slice. */
  async pause(): Promise<void> {
    await this.#runtime.yield()
    this.#start = this.#runtime.monotonic()
  }
}
