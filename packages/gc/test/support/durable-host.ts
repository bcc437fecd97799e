/**
 * A host whose index is durable: a map, and a journal of its changes in the same file system as the value log.
 *
 * Changes wait in memory until `flush`, which syncs the value log, then writes and syncs the journal: so the journal
 * never names bytes that are not durable. A crash keeps a prefix of the changes that is at least as long as the last flush.
 */
import {
  FRAME_HEADER_LENGTH,
  POINTER_LENGTH,
  decodePointer,
  encodePointer,
  readFrame,
  samePointer,
  writeFrameHeader,
  type ValuePointer,
} from '@wk/codec'
import { readFully, writeFully, type File, type FileSystem, type Runtime } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { GarbageCollector, readCurrent, type PointerIndex, type PointerMove } from '../../src/index.js'
import type { LiveBytesAccounts, PointerHost, PointerHostParts } from '../../src/testing.js'
import { bytesOf, textOf } from './map-index.js'

interface Change {
  readonly key: string
  readonly pointer: ValuePointer | undefined
}

export interface DurableHostOptions {
  readonly fs: FileSystem
  readonly dir: string
  readonly fileSize?: number
  readonly runtime?: Runtime
}

const MAX_CHANGE = 1 << 20

export class DurableHost implements PointerHost, PointerIndex {
  readonly vlog: ValueLog
  readonly gc: GarbageCollector
  readonly parts: PointerHostParts
  /** Live bytes of each file, kept with every change. */
  readonly live = new Map<number, number>()
  readonly #map = new Map<string, ValuePointer>()
  readonly #journal: File
  #journalEnd: number
  #waiting: Change[] = []
  #flushing: Promise<void> = Promise.resolve()

  private constructor(vlog: ValueLog, journal: File, journalEnd: number, runtime?: Runtime) {
    this.vlog = vlog
    this.#journal = journal
    this.#journalEnd = journalEnd
    this.parts = { vlog, index: this, liveBytes: (fid) => this.live.get(fid) ?? 0 }
    this.gc = new GarbageCollector({ vlog, index: this, ...(runtime === undefined ? {} : { runtime }) })
  }

  static async open({ fs, dir, fileSize = 4096, runtime }: DurableHostOptions): Promise<DurableHost> {
    await fs.mkdir(`${dir}/index`)
    const vlog = await ValueLog.open(`${dir}/values`, { fs, fileSize, ...(runtime === undefined ? {} : { runtime }) })
    const name = `${dir}/index/journal`
    if ((await fs.list(`${dir}/index`)).length === 0) {
      const created = await fs.open(name, 'create')
      await created.sync()
      await created.close()
      await fs.syncDir(`${dir}/index`)
    }
    const journal = await fs.open(name, 'update')
    const bytes = new Uint8Array(await journal.size())
    await readFully(journal, bytes, 0, bytes.length, 0)
    const changes: Change[] = []
    let end = 0
    for (;;) {
      const length = readFrame(bytes, end, bytes.length, 1, end, MAX_CHANGE)
      if (length === -1) break
      changes.push(decodeChange(bytes.subarray(end + FRAME_HEADER_LENGTH, end + FRAME_HEADER_LENGTH + length)))
      end += FRAME_HEADER_LENGTH + length
    }
    await journal.truncate(end)
    await journal.sync()
    const host = new DurableHost(vlog, journal, end, runtime)
    for (const change of changes) host.#apply(change)
    return host
  }

  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    const [pointer] = await this.vlog.append([{ key, value }])
    this.setPointer(key, pointer)
  }

  setPointer(key: Uint8Array, pointer: ValuePointer | undefined): void {
    this.#replace({ key: textOf(key), pointer })
  }

  async delete(key: Uint8Array): Promise<void> {
    this.#replace({ key: textOf(key), pointer: undefined })
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const entry = await readCurrent(() => this.#map.get(textOf(key)), (pointer) => this.vlog.read(pointer))
    return entry?.value
  }

  /** One flush at a time; covers every change made before the call. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flushNow())
    return this.#flushing
  }

  collect(options: { discardRatio: number; signal?: AbortSignal }): ReturnType<PointerHost['collect']> {
    return this.gc.run({ ...options, liveBytes: (fid) => this.live.get(fid) ?? 0 })
  }

  lookup(keys: readonly Uint8Array[]): (ValuePointer | undefined)[] {
    return keys.map((key) => this.#map.get(textOf(key)))
  }

  async compareAndSwap(moves: readonly PointerMove[]): Promise<boolean[]> {
    const won = moves.map(({ key, from, to }) => {
      const current = this.#map.get(textOf(key))
      if (current === undefined || !samePointer(current, from)) return false
      this.#waiting.push({ key: textOf(key), pointer: to })
      this.#apply({ key: textOf(key), pointer: to })
      return true
    })
    await this.flush()
    return won
  }

  async accounting(): Promise<LiveBytesAccounts> {
    const sealed = this.vlog.files().filter((file) => file.sealed)
    const recounted = await this.gc.recount()
    return { accounted: new Map(sealed.map(({ fid }) => [fid, this.live.get(fid) ?? 0])), recounted }
  }

  entries(): Map<string, ValuePointer> {
    return this.#map
  }

  async close(): Promise<void> {
    await this.flush()
    await this.vlog.close()
    await this.#journal.close()
  }

  #replace(change: Change): void {
    const old = this.#map.get(change.key)
    this.#waiting.push(change)
    this.#apply(change)
    if (old !== undefined) this.vlog.discard(old)
  }

  #apply({ key, pointer }: Change): void {
    const old = this.#map.get(key)
    if (old !== undefined) this.live.set(old.fid, (this.live.get(old.fid) ?? 0) - old.len)
    if (pointer === undefined) this.#map.delete(key)
    else this.#map.set(key, pointer)
    if (pointer !== undefined) this.live.set(pointer.fid, (this.live.get(pointer.fid) ?? 0) + pointer.len)
  }

  async #flushNow(): Promise<void> {
    const changes = this.#waiting
    this.#waiting = []
    await this.vlog.sync()
    for (const change of changes) {
      const payload = encodeChange(change)
      const frame = new Uint8Array(FRAME_HEADER_LENGTH + payload.length)
      frame.set(payload, FRAME_HEADER_LENGTH)
      writeFrameHeader(frame, 0, payload.length, 1, this.#journalEnd)
      await writeFully(this.#journal, frame, 0, frame.length, this.#journalEnd)
      this.#journalEnd += frame.length
    }
    await this.#journal.sync()
  }
}

function encodeChange({ key, pointer }: Change): Uint8Array {
  const name = bytesOf(key)
  const encoded = new Uint8Array(1 + POINTER_LENGTH + name.length)
  if (pointer !== undefined) {
    encoded[0] = 1
    encoded.set(encodePointer(pointer), 1)
  }
  encoded.set(name, 1 + POINTER_LENGTH)
  return encoded
}

function decodeChange(payload: Uint8Array): Change {
  const key = textOf(payload.subarray(1 + POINTER_LENGTH))
  return { key, pointer: payload[0] === 1 ? decodePointer(payload, 1) : undefined }
}
