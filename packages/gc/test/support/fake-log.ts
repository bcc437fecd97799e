/**
 * A value log in memory that is stricter than the real one: it knows what is synced and refuses what a real crash
 * or a real reader would only punish later.
 */
import { CorruptionError, type ValuePointer } from '@wk/codec'
import type { GcAppend, GcFileInfo, GcRecord, GcValueLog } from '../../src/index.js'

const HEADER = 20

interface FakeFile {
  records: { pointer: ValuePointer; entry: GcRecord }[]
  end: number
  sealed: boolean
  discardBytes: number
  damagedAt?: number
  /** What reading fails with there. Default: a `CorruptionError`. */
  failure?: Error
}

export class FakeLog implements GcValueLog {
  readonly calls: string[] = []
  readonly retired: number[] = []
  readonly discarded: ValuePointer[] = []
  failNext: Partial<Record<'append' | 'sync' | 'retire', Error>> = {}
  readonly #files = new Map<number, FakeFile>()
  readonly #fileSize: number
  #active = 0
  #unsynced = new Set<string>()

  constructor(fileSize = 1000) {
    this.#fileSize = fileSize
  }

  files(): GcFileInfo[] {
    return [...this.#files].map(([fid, file]) => ({
      fid,
      size: file.end,
      validEnd: file.end,
      sealed: file.sealed,
      discardBytes: file.discardBytes,
    }))
  }

  async append(entries: readonly GcAppend[]): Promise<ValuePointer[]> {
    this.calls.push('append')
    await this.#step('append')
    return entries.map((entry) => this.#appendOne(entry))
  }

  #appendOne(entry: GcAppend): ValuePointer {
    let file = this.#files.get(this.#active)
    if (file === undefined || file.sealed) {
      file = { records: [], end: HEADER, sealed: false, discardBytes: 0 }
      this.#files.set(++this.#active, file)
    }
    const len = 9 + entry.key.length + entry.value.length
    const pointer = { fid: this.#active, offset: file.end, len }
    const copy = { ...entry, key: entry.key.slice(), value: entry.value.slice() }
    file.records.push({ pointer, entry: copy })
    file.end += len
    if (file.end >= this.#fileSize) file.sealed = true
    this.#unsynced.add(placeOf(pointer))
    return pointer
  }

  async sync(): Promise<void> {
    this.calls.push('sync')
    const covered = [...this.#unsynced]
    await this.#step('sync')
    for (const place of covered) this.#unsynced.delete(place)
  }

  async seal(): Promise<void> {
    const file = this.#files.get(this.#active)
    if (file !== undefined) file.sealed = true
  }

  isSynced(pointer: ValuePointer): boolean {
    return !this.#unsynced.has(placeOf(pointer))
  }

  discard(pointer: ValuePointer): void {
    this.discarded.push(pointer)
    const file = this.#files.get(pointer.fid)
    if (file !== undefined) file.discardBytes += pointer.len
  }

  setDiscarded(fid: number, _records: number, bytes: number): void {
    const file = this.#files.get(fid)
    if (file !== undefined) file.discardBytes = bytes
  }

  async retire(fid: number): Promise<void> {
    this.calls.push(`retire ${fid}`)
    await this.#step('retire')
    this.retired.push(fid)
    this.#files.delete(fid)
  }

  async *iterate(fid: number): AsyncGenerator<{ entry: GcRecord; pointer: ValuePointer }> {
    const file = this.#files.get(fid)
    if (file === undefined) throw new CorruptionError('no such file')
    for (const [at, record] of file.records.entries()) {
      await Promise.resolve()
      if (at === file.damagedAt) throw file.failure ?? new CorruptionError('damaged', { file: `${fid}`, offset: record.pointer.offset })
      yield record
    }
  }

  read(pointer: ValuePointer): Uint8Array {
    const found = this.#files.get(pointer.fid)?.records.find((record) => record.pointer.offset === pointer.offset)
    if (found === undefined) throw new CorruptionError('dangling pointer')
    return found.entry.value
  }

  damage(fid: number, record: number, failure?: Error): void {
    const file = this.#files.get(fid)
    if (file !== undefined) Object.assign(file, { damagedAt: record, failure })
  }

  async #step(operation: 'append' | 'sync' | 'retire'): Promise<void> {
    await Promise.resolve()
    const failure = this.failNext[operation]
    if (failure === undefined) return
    delete this.failNext[operation]
    throw failure
  }
}

function placeOf(pointer: ValuePointer): string {
  return `${pointer.fid}:${pointer.offset}`
}
