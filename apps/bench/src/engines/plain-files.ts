/**
 * One file per value, as an {@link Engine}: what people do who use no store at all. The key is the path, so the main job's tree of
 * files comes to lie there as it was; there is no batch, no order, no check of what comes back.
 *
 * Writes are synchronous: of Node's ways to write many small files that is the fastest.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Database, Engine, PutOperation, Scan } from './engine.js'

const CHUNK = { entries: 256, keys: 1024, bytes: 1024 * 1024 }

/** The engine. */
export const plainFiles: Engine = {
  name: 'files',
  version: process.version,
  settings: { batches: 'writeFileSync, one after another' },
  durability: 'no sync: a written file is with the operating system; survives a crash of the process, but a file may be half written',
  syncedDurability: null,
  collection: null,
  async open(dir) {
    mkdirSync(dir, { recursive: true })
    return new PlainFiles(dir)
  },
}

class PlainFiles implements Database {
  private readonly dir: string
  private readonly folders = new Set<string>()

  constructor(dir: string) {
    this.dir = dir
  }

  async putBatch(operations: readonly PutOperation[]): Promise<void> {
    for (const { key, value } of operations) writeFileSync(this.place(key), value)
  }

  async deleteBatch(keys: readonly Uint8Array[]): Promise<void> {
    for (const key of keys) rmSync(this.path(key), { force: true })
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return writeFile(this.place(key), value)
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.path(key))
    } catch (error) {
      return absent(error)
    }
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    try {
      return readFileSync(this.path(key))
    } catch (error) {
      return absent(error)
    }
  }

  scan(): Scan<readonly [Uint8Array, Uint8Array]> {
    return this.chunked(CHUNK.entries, (key) => {
      const value = this.getSync(key)
      return value === undefined ? undefined : ([key, value] as const)
    }, ([key, value]) => key.length + value.length)
  }

  scanKeys(): Scan<Uint8Array> {
    return this.chunked(CHUNK.keys, (key) => key, (key) => key.length)
  }

  async close(): Promise<void> {}

  private path(key: Uint8Array): string {
    return join(this.dir, Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString())
  }

  /** The path, with its folder made: once, then remembered. */
  private place(key: Uint8Array): string {
    const path = this.path(key)
    const folder = dirname(path)
    if (!this.folders.has(folder)) {
      mkdirSync(folder, { recursive: true })
      this.folders.add(folder)
    }
    return path
  }

  /** Folders have their own order; that of whole paths needs all of them first. */
  private sortedKeys(): Uint8Array[] {
    const keys: Buffer[] = []
    const walk = (folder: string): void => {
      for (const entry of readdirSync(join(this.dir, folder), { withFileTypes: true })) {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`
        if (entry.isDirectory()) walk(path)
        else keys.push(Buffer.from(path))
      }
    }
    walk('')
    return keys.sort((a, b) => Buffer.compare(a, b))
  }

  private chunked<T>(most: number, take: (key: Uint8Array) => T | undefined, sizeOf: (item: T) => number): Scan<T> {
    let keys: Uint8Array[] | undefined
    let at = 0
    return {
      next: () => {
        keys ??= this.sortedKeys()
        const chunk: T[] = []
        for (let bytes = 0; at < keys.length && chunk.length < most && bytes < CHUNK.bytes; ) {
          const item = take(keys[at++]!)
          if (item === undefined) continue
          chunk.push(item)
          bytes += sizeOf(item)
        }
        return chunk
      },
      close: () => {},
    }
  }
}

function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
