/** Write-ahead logs made by hand: frames of known contents, and the bytes of files to damage. */
import { KIND_VALUE, formatFileName, writeUvarint } from '@wk/codec'
import { MemoryFileSystem, defaultRuntime, readFully, writeFully } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import type { WalFramePrefix } from '../src/log/format.js'
import { readWalOperation } from '../src/log/format.js'
import { readWals, scanWals } from '../src/log/log-reader.js'
import type { WalScan } from '../src/log/log-reader.js'
import { LogWriter } from '../src/log/log-writer.js'
import { OPERATIONS_START } from '../src/write-group.js'
import { text } from './engine-support.js'

export const LOG_DIR = '/log'

export async function logDirectory(): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem()
  await fs.mkdir(LOG_DIR)
  return fs
}

/** A frame of puts; `prefix` says what it promises. */
export function appendFrame(log: LogWriter, firstSequence: number, keys: readonly string[], prefix: Partial<WalFramePrefix> = {}): void {
  const bytes = new Uint8Array(4096)
  let at = OPERATIONS_START
  for (const key of keys) {
    bytes[at++] = KIND_VALUE
    for (const part of [text(key), text(`value of ${key}`)]) {
      at = writeUvarint(bytes, at, part.length)
      bytes.set(part, at)
      at += part.length
    }
  }
  log.appendSync(
    { firstSequence, count: keys.length, walFile: 0, walOffset: 0, dependencyFid: 0, dependencyOffset: 0, ...prefix },
    bytes,
    OPERATIONS_START,
    at,
  )
}

export interface ReadBack {
  scan: WalScan
  /** Keys of the operations before the end, by sequence number. */
  keys: Map<number, string>
}

export async function readBack(fs: FileSystem, numbers: readonly number[], lastSequence = 0): Promise<ReadBack> {
  const options = { fs, dir: LOG_DIR, runtime: defaultRuntime }
  const scan = await scanWals(options, numbers, lastSequence)
  const keys = new Map<number, string>()
  for await (const { prefix, operations } of readWals(options, scan)) {
    for (let i = 0; i < prefix.count; i++) keys.set(prefix.firstSequence + i, Buffer.from(readWalOperation(operations).key).toString())
  }
  return { scan, keys }
}

export async function readFile(fs: FileSystem, path: string): Promise<Uint8Array> {
  const file = await fs.open(path, 'read')
  const bytes = new Uint8Array(await file.size())
  await readFully(file, bytes, 0, bytes.length, 0)
  await file.close()
  return bytes
}

/** Makes `path` hold exactly `bytes`. */
export async function replaceFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  await fs.remove(path).catch(() => undefined)
  const file = await fs.open(path, 'create')
  await writeFully(file, bytes, 0, bytes.length, 0)
  await file.sync()
  await file.close()
}

export function walPath(number: number): string {
  return `${LOG_DIR}/${formatFileName('wal', number)}`
}
