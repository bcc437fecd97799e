/**
 * A file system that lets asynchronous operations that are in flight together take effect in a seeded order.
 *
 * Finds code that relies on an order the system does not promise, such as a sync that is issued before the write it
 * should cover has completed. Guarantees: equal seeds and equal calls give equal orders; an operation alone in flight
 * goes ahead; a close comes after what was in flight on its path; synchronous operations pass at once.
 */
import type { FileSystem } from './file-system.js'
import { InterceptedFileSystem } from './intercept.js'
import type { Operation } from './intercept.js'
import { defaultRuntime } from './runtime.js'
import { seededRandom } from './seeded-random.js'

interface Waiting {
  readonly path: string
  /** Hands the operation to the file system below, at once. */
  readonly start: () => void
}

export class ScheduledFileSystem extends InterceptedFileSystem {
  readonly #random: () => number
  #waiting: Waiting[] = []
  #pumping = false

  constructor(inner: FileSystem, seed: number) {
    super(inner, 'scheduled')
    this.#random = seededRandom(seed)
  }

  async around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    if (operation.kind === 'close') {
      this.#startAll(operation.path)
      return run()
    }
    return new Promise<T>((resolve) => {
      this.#waiting.push({ path: operation.path, start: () => resolve(run()) })
      if (this.#pumping) return
      this.#pumping = true
      defaultRuntime.microtask(() => this.#pump())
    })
  }

  aroundSync<T>(operation: Operation, run: () => T): T {
    if (operation.kind === 'close') this.#startAll(operation.path)
    return run()
  }

  /** The file below waits with its close for what it has been given, not for what is still here. */
  #startAll(path: string): void {
    const starting = this.#waiting.filter((waiting) => waiting.path === path)
    this.#waiting = this.#waiting.filter((waiting) => waiting.path !== path)
    for (const waiting of starting) waiting.start()
  }

  /** Starts one waiting operation, chosen by the seed, and comes back for the next some microtasks later. */
  #pump(): void {
    const chosen = Math.floor(this.#random() * this.#waiting.length)
    for (const waiting of this.#waiting.splice(chosen, 1)) waiting.start()
    let delay = Math.floor(this.#random() * 8)
    const next = (): void => {
      if (delay-- > 0) defaultRuntime.microtask(next)
      else if (this.#waiting.length > 0) this.#pump()
      else this.#pumping = false
    }
    next()
  }
}
