/**
 * What the suite believes the host holds: a plain map, and comparisons that say what differs without printing values.
 */

import { bytesOf, textOf } from './bytes.js'
import type { LiveBytesAccounts, PointerHost } from './host.js'

/** Thrown by every check of the suite. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError'
}

export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceError(message)
}

/** Writes go through it to host and map alike, one at a time, in call order. */
export class ModelledHost {
  /** Key to expected value, both as text. Kept across reopening. */
  readonly expected: Map<string, string>
  readonly host: PointerHost
  #last: Promise<void> = Promise.resolve()

  constructor(host: PointerHost, expected = new Map<string, string>()) {
    this.host = host
    this.expected = expected
  }

  /** Resolves when the write and all earlier ones are done. */
  put(key: string, value: string): Promise<void> {
    return this.#enqueue(async () => {
      await this.host.put(bytesOf(key), bytesOf(value))
      this.expected.set(key, value)
    })
  }

  delete(key: string): Promise<void> {
    return this.#enqueue(async () => {
      await this.host.delete(bytesOf(key))
      this.expected.delete(key)
    })
  }

  /** Waits for every write called so far; throws the first failure. */
  settle(): Promise<void> {
    return this.#last
  }

  /** Every key of `keys` reads as expected. Requires: no write under way. */
  async verify(keys: readonly string[], when: string): Promise<void> {
    for (const key of keys) {
      const found = await this.host.get(bytesOf(key))
      const expected = this.expected.get(key)
      if (expected === undefined) check(found === undefined, `${when}: deleted key ${key} reads a value`)
      else check(found !== undefined, `${when}: key ${key} is lost`)
      check(found === undefined || textOf(found) === expected, `${when}: key ${key} reads another value`)
    }
  }

  /** Accounted live bytes equal recounted ones, file by file. */
  async verifyAccounts(when: string): Promise<void> {
    const accounts: LiveBytesAccounts | undefined = await this.host.accounting?.()
    if (accounts === undefined) return
    for (const fid of new Set([...accounts.accounted.keys(), ...accounts.recounted.keys()])) {
      const accounted = accounts.accounted.get(fid)
      const recounted = accounts.recounted.get(fid)
      check(
        accounted === recounted,
        `${when}: file ${fid} has ${recounted} live bytes, ${accounted} are accounted for`,
      )
    }
  }

  #enqueue(write: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(write)
    // Whoever placed the write may not wait for it; settle() does, and tells.
    this.#last.catch(() => undefined)
    return this.#last
  }
}
