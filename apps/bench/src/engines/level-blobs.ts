/** `examples/level-blobs` as an {@link Engine}: LevelDB holds keys and pointers, our value log the values, our collector the space. */
import { createRequire } from 'node:module'
import { LevelBlobs } from '@wk/examples/level-blobs'
import { DISCARD_RATIO, passOf } from './blob-host.js'
import { packageVersion } from './package-version.js'
import type { Database, Engine, PutOperation } from './engine.js'

/** The engine. It has no scan: the example has none. */
export const levelBlobs: Engine = {
  name: 'level-blobs',
  version: packageVersion('classic-level', createRequire(import.meta.url).resolve('classic-level')),
  settings: { 'pointers in': 'classic-level with its defaults', batches: 'puts in one turn, one batch of pointers' },
  durability: 'values and pointers are with the operating system; survives a crash of the process',
  syncedDurability: null,
  collection: `collect({ discardRatio: ${DISCARD_RATIO} }), the article's algorithm, again and again`,
  async open(dir) {
    return new LevelBlobsDatabase(await LevelBlobs.open(dir))
  },
}

class LevelBlobsDatabase implements Database {
  private readonly store: LevelBlobs
  readonly collectPass: () => Promise<boolean>

  constructor(store: LevelBlobs) {
    this.store = store
    this.collectPass = passOf(store)
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

  async collect(): Promise<string> {
    let passes = 0
    while (await this.collectPass()) passes++
    return `${passes} passes`
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
