/**
 * Random histories: put, overwrite, delete, collect with writes placed inside the pass, reopen, crash. After each step
 * that could lose something, every key must read its last value.
 */

import { AbortedError, GcRunningError, NoRewriteError } from '@wk/codec'
import { GarbageCollector } from '../collector.js'
import { shortValueOf, valueOf } from './bytes.js'
import type { PointerHostStore } from './host.js'
import { ModelledHost } from './model.js'
import { Choices } from './random.js'
import { scheduleIndex, scheduleValueLog, type AwaitHook } from './scheduled.js'

const KEYS = Array.from({ length: 14 }, (_, n) => `key-${n}`)
const RATIOS = [0.05, 0.3, 0.5, 0.8]

export class History {
  readonly #store: PointerHostStore
  readonly #choices: Choices
  #model: ModelledHost
  #version = 0
  #step = 'start'

  private constructor(store: PointerHostStore, seed: number, model: ModelledHost) {
    this.#store = store
    this.#choices = new Choices(seed)
    this.#model = model
  }

  /** Plays one history on a fresh store. Throws `ConformanceError` with the step that broke. */
  static async play(store: PointerHostStore, seed: number, steps: number): Promise<void> {
    const history = new History(store, seed, new ModelledHost(await store.open()))
    for (let step = 0; step < steps; step++) await history.#play(step)
    history.#step = 'after the last step'
    await history.#reopen()
    await history.#model.host.close()
  }

  async #play(step: number): Promise<void> {
    this.#step = `step ${step}`
    const kind = this.#choices.below(20)
    if (kind < 12) return this.#write()
    if (kind < 14) return this.#writeMany()
    if (kind < 17) return this.#collect()
    if (kind < 18) return this.#collectAborted()
    if (kind < 19) return this.#reopen()
    return this.#crash()
  }

  #key(): string {
    // A few keys are written most of the time: files with much garbage, and some that hold one old survivor.
    return KEYS[this.#choices.oneIn(3) ? this.#choices.below(KEYS.length) : this.#choices.below(4)] ?? 'key-0'
  }

  #write(): Promise<void> {
    const key = this.#key()
    if (this.#choices.oneIn(4)) return this.#model.delete(key)
    // A store may keep short ones elsewhere than in the log.
    const version = ++this.#version
    return this.#model.put(key, this.#choices.oneIn(5) ? shortValueOf(key, version) : valueOf(key, version))
  }

  async #writeMany(): Promise<void> {
    for (let count = 0; count < 10; count++) await this.#write()
  }

  /** A pass with writes inside: waited for at the await point, or still under way while the pass goes on. */
  async #collect(): Promise<void> {
    const hook: AwaitHook = async () => {
      if (!this.#choices.oneIn(6)) return
      const write = this.#write()
      if (this.#choices.oneIn(2)) await write
    }
    await ignoreNothingToDo(this.#startPass(hook))
    await this.#model.settle()
    await this.#verify()
  }

  async #collectAborted(): Promise<void> {
    const abort = new AbortController()
    let left = this.#choices.below(12)
    const hook: AwaitHook = async () => {
      if (left-- === 0) abort.abort()
    }
    await ignoreNothingToDo(this.#startPass(hook, abort.signal))
    await this.#verify()
  }

  /** Through the host's own parts, with `hook` at every await; a host without parts gets the writes beside its call. */
  async #startPass(hook: AwaitHook, signal?: AbortSignal): Promise<unknown> {
    const discardRatio = RATIOS[this.#choices.below(RATIOS.length)] ?? 0.5
    const { host } = this.#model
    if (host.parts !== undefined) {
      const vlog = scheduleValueLog(host.parts.vlog, hook)
      const index = scheduleIndex(host.parts.index, hook)
      const options = { discardRatio, signal, sealActive: this.#choices.oneIn(3), liveBytes: host.parts.liveBytes }
      return new GarbageCollector({ vlog, index }).run(options)
    }
    const pass = host.collect(signal === undefined ? { discardRatio } : { discardRatio, signal })
    // The pass is awaited below; until then its failure must not count as unhandled.
    pass.catch(() => undefined)
    for (let point = 0; point < 12; point++) await hook('beside')
    return pass
  }

  async #reopen(): Promise<void> {
    await this.#model.settle()
    await this.#model.host.close()
    await this.#openAgain()
  }

  /** A crash, most often in the middle of a pass that stops at one of its await points and never goes on. */
  async #crash(): Promise<void> {
    if (this.#store.crash === undefined) return this.#reopen()
    if (this.#model.host.parts !== undefined && !this.#choices.oneIn(4)) await this.#freezePass()
    await this.#model.settle()
    await this.#model.host.flush?.()
    await this.#store.crash()
    await this.#openAgain()
  }

  async #freezePass(): Promise<void> {
    let left = this.#choices.below(40)
    await new Promise<void>((frozen, failed) => {
      const hook: AwaitHook = () => {
        if (left-- !== 0) return Promise.resolve()
        frozen()
        return new Promise<never>(() => undefined)
      }
      ignoreNothingToDo(this.#startPass(hook)).then(frozen, failed)
    })
  }

  async #openAgain(): Promise<void> {
    this.#model = new ModelledHost(await this.#store.open(), this.#model.expected)
    await this.#verify()
  }

  async #verify(): Promise<void> {
    await this.#model.verify(KEYS, this.#step)
    await this.#model.verifyAccounts(this.#step)
  }
}

/** Ends well also when there was nothing to collect, the caller aborted it, or the host's own pass runs. */
export async function ignoreNothingToDo(pass: Promise<unknown>): Promise<void> {
  try {
    await pass
  } catch (error) {
    if (error instanceof NoRewriteError || error instanceof AbortedError || error instanceof GcRunningError) return
    throw error
  }
}
