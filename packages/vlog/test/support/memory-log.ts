import { crc32c } from '@wk/codec'
import { readFullySync, writeFullySync, ManualRuntime, MemoryFileSystem, type FileSystem } from '@wk/fs'
import { ValueLog, type ValueLogOptions, type ValuePointer, type VlogEntry } from '../../src/index.js'
import { hex } from './bytes.js'

export const DIR = '/log'

export async function newMemory(): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem()
  await fs.mkdir(DIR)
  return fs
}

export async function openLog(fs: FileSystem, options: ValueLogOptions = {}): Promise<ValueLog> {
  return ValueLog.open(DIR, { fs, runtime: new ManualRuntime({ seed: 7 }), fileSize: 4096, ...options })
}

export function readFile(fs: FileSystem, name: string): Uint8Array {
  const file = fs.openSync(`${DIR}/${name}`, 'read')
  const bytes = new Uint8Array(file.sizeSync())
  readFullySync(file, bytes, 0, bytes.length, 0)
  file.closeSync()
  return bytes
}

/** Puts a durable file in place. */
export async function placeFile(fs: FileSystem, name: string, bytes: Uint8Array): Promise<void> {
  const path = `${DIR}/${name}`
  const names = await fs.list(DIR)
  if (names.includes(name)) await fs.remove(path)
  const file = fs.openSync(path, 'create')
  writeFullySync(file, bytes, 0, bytes.length, 0)
  file.syncSync()
  file.closeSync()
  await fs.syncDir(DIR)
}

export interface Kept {
  entry: VlogEntry
  pointer: ValuePointer
}

export function entryOf(random: () => number, maxValue = 600): Kept['entry'] {
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(random() * 256))
  return {
    key: bytes(Math.floor(random() * 20)),
    value: bytes(Math.floor(random() * maxValue)),
    version: Math.floor(random() * 2 ** 48),
    userMeta: Math.floor(random() * 256),
    expiresAt: random() < 0.5 ? 0 : Math.floor(random() * 2 ** 33),
    meta: random() < 0.8 ? 0 : 4,
  }
}

/** One line that tells everything of an entry: comparing lines is far quicker than comparing arrays element by element. */
export function lineOf({ key, version, meta, userMeta, expiresAt, value }: VlogEntry): string {
  return [hex(key), version, meta, userMeta, expiresAt, value.length, crc32c(value)].join(' ')
}

export async function appendAll(log: ValueLog, entries: Kept['entry'][], groupSize = 3): Promise<Kept[]> {
  const kept: Kept[] = []
  for (let at = 0; at < entries.length; at += groupSize) {
    const group = entries.slice(at, at + groupSize)
    const pointers = await log.append(group)
    group.forEach((entry, i) => kept.push({ entry, pointer: pointers[i]! }))
  }
  return kept
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = []
  for await (const item of items) out.push(item)
  return out
}

export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}
