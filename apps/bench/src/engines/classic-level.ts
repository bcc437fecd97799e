/**
 * classic-level (LevelDB) as an {@link Engine}, with the write buffer and the cache that the others have too: LevelDB's
 * defaults of 4 and 8 MiB would make the comparison easy.
 */
import { createRequire } from 'node:module'
import { ClassicLevel } from 'classic-level'
import { packageVersion } from './package-version.js'
import type { Database, Engine, PutOperation, Scan } from './engine.js'

const MIB = 1024 * 1024
const OPTIONS = { compression: false, writeBufferSize: 64 * MIB, cacheSize: 64 * MIB } as const
const CHUNK = { entries: 256, keys: 1024, bytes: MIB }

/** The engine. */
export const classicLevel: Engine = {
  name: 'classic-level',
  version: packageVersion('classic-level', createRequire(import.meta.url).resolve('classic-level')),
  settings: { ...OPTIONS, 'scan highWaterMarkBytes': CHUNK.bytes },
  durability: 'sync: false (its default): an acknowledged write is with the operating system; survives a crash of the process',
  syncedDurability: 'sync: true at every write',
  unordered: true,
  collection: 'compactRange over all keys',
  async open(dir, { sync }) {
    const level = new ClassicLevel<Uint8Array, Uint8Array>(dir, { keyEncoding: 'view', valueEncoding: 'view', ...OPTIONS })
    await level.open()
    return new ClassicLevelDatabase(level, sync)
  },
}

class ClassicLevelDatabase implements Database {
  private readonly level: ClassicLevel<Uint8Array, Uint8Array>
  private readonly write: { sync: boolean }

  constructor(level: ClassicLevel<Uint8Array, Uint8Array>, sync: boolean) {
    this.level = level
    this.write = { sync }
  }

  putBatch(operations: readonly PutOperation[]): Promise<void> {
    return this.level.batch(operations as PutOperation[], this.write)
  }

  deleteBatch(keys: readonly Uint8Array[]): Promise<void> {
    return this.level.batch(keys.map((key) => ({ type: 'del', key })), this.write)
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.level.put(key, value, this.write)
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.level.get(key)
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return this.level.getSync(key)
  }

  scan(): Scan<readonly [Uint8Array, Uint8Array]> {
    const iterator = this.level.iterator({ highWaterMarkBytes: CHUNK.bytes })
    return { next: () => iterator.nextv(CHUNK.entries), close: () => iterator.close() }
  }

  scanKeys(): Scan<Uint8Array> {
    const iterator = this.level.keys({ highWaterMarkBytes: CHUNK.bytes })
    return { next: () => iterator.nextv(CHUNK.keys), close: () => iterator.close() }
  }

  settle(): Promise<void> {
    return this.level.compactRange(new Uint8Array(0), new Uint8Array(2000).fill(0xff))
  }

  async collect(): Promise<string> {
    await this.settle()
    return 'compactRange over all keys'
  }

  close(): Promise<void> {
    return this.level.close()
  }
}
