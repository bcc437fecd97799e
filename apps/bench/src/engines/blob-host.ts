/** What the two hosts of `examples/` have in common: values in a value log, and a collection that has to be called. */
import type { Database, PutOperation } from './engine.js'

/** A value-log file is collected if at least this share of it is garbage: what the article advises. */
export const DISCARD_RATIO = 0.5

/** A store of `examples/`. */
export interface BlobStore {
  put(key: Uint8Array, value: Uint8Array): Promise<void>
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  delete(key: Uint8Array): Promise<void>
  collect(options: { discardRatio: number }): Promise<unknown>
  close(): Promise<void>
}

/** A host as a {@link Database}: batches are calls of one turn. */
export class BlobDatabase<Store extends BlobStore> implements Database {
  protected readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  async putBatch(operations: readonly PutOperation[]): Promise<void> {
    await Promise.all(operations.map(({ key, value }) => this.store.put(key, value)))
  }

  async deleteBatch(keys: readonly Uint8Array[]): Promise<void> {
    await Promise.all(keys.map((key) => this.store.delete(key)))
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.store.put(key, value)
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.store.get(key)
  }

  /** A pass: false if no file was worth it. */
  async collectPass(): Promise<boolean> {
    try {
      await this.store.collect({ discardRatio: DISCARD_RATIO })
      return true
    } catch (error) {
      if ((error as { code?: string }).code !== 'WK_NO_REWRITE') throw error
      return false
    }
  }

  async collect(): Promise<string> {
    let passes = 0
    while (await this.collectPass()) passes++
    return `${passes} passes`
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
