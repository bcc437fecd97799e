/**
 * An open file of the in-memory file system.
 *
 * Guarantees: as {@link File} says; in particular a closed handle refuses everything, close waits for what is in
 * flight, and a sync covers only writes that had taken effect when it was called.
 */
import { checkLength, checkRange, checkSpan, ioErrorOf } from './errno.js'
import type { File, FileUsage } from './file-system.js'
import type { MemoryJournal } from './memory-journal.js'
import type { FileNode } from './memory-node.js'

/** Unit in which room is counted; one of zeros takes none. */
const BLOCK = 4096

export class MemoryFile implements File {
  readonly path: string
  readonly #journal: MemoryJournal
  readonly #node: FileNode
  readonly #writable: boolean
  readonly #lateCopy: boolean
  readonly #onClose: () => void
  readonly #links: () => number
  #pending = 0
  #closed = false
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(journal: MemoryJournal, node: FileNode, path: string, options: { writable: boolean; lateCopy: boolean; onClose: () => void; links: () => number }) {
    this.#journal = journal
    this.#node = node
    this.path = path
    this.#writable = options.writable
    this.#lateCopy = options.lateCopy
    this.#onClose = options.onClose
    this.#links = options.links
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    checkRange(into, offset, length, position)
    return this.#later('read', () => this.#node.content.read(into, offset, length, position))
  }

  readSync(into: Uint8Array, offset: number, length: number, position: number): number {
    checkRange(into, offset, length, position)
    this.#check('read')
    return this.#node.content.read(into, offset, length, position)
  }

  async write(from: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    checkRange(from, offset, length, position)
    this.#checkWritable('write')
    if (this.#lateCopy) return this.#later('write', () => this.#write(from, offset, length, position))
    if (this.#node.synced === undefined) {
      // Only one copy is ever made: straight into the content.
      const written = this.#write(from, offset, length, position)
      return this.#later('write', () => written)
    }
    const bytes = copyOf(from, offset, length)
    return this.#later('write', () => this.#writeKept(bytes, position))
  }

  writeSync(from: Uint8Array, offset: number, length: number, position: number): number {
    checkRange(from, offset, length, position)
    this.#checkWritable('write')
    return this.#write(from, offset, length, position)
  }

  async truncate(length: number): Promise<void> {
    checkLength(length)
    this.#checkWritable('truncate')
    await this.#later('truncate', () => {
      this.#node.truncate(this.#journal.beforeChange({ kind: 'truncate', path: this.path, length }), length)
    })
  }

  async punch(offset: number, length: number): Promise<void> {
    checkSpan(offset, length)
    this.#checkWritable('punch')
    await this.#later('punch', () => {
      if (length > 0) this.#node.punch(this.#journal.beforeChange({ kind: 'punch', path: this.path, position: offset, length }), offset, length)
    })
  }

  async sync(): Promise<void> {
    const covered = this.#journal.order
    await this.#later('sync', () => this.#sync(covered))
  }

  syncSync(): void {
    this.#check('sync')
    this.#sync(this.#journal.order)
  }

  async size(): Promise<number> {
    return this.#later('size', () => this.#node.content.size)
  }

  sizeSync(): number {
    this.#check('size')
    return this.#node.content.size
  }

  async usage(): Promise<FileUsage> {
    return this.#later('usage', () => ({ allocated: this.#node.content.used(BLOCK), links: this.#links() }))
  }

  close(): Promise<void> {
    this.closeSync()
    return (this.#closing ??= this.#idle())
  }

  closeSync(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose()
  }

  async #idle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve))
    else await undefined
  }

  #write(from: Uint8Array, offset: number, length: number, position: number): number {
    // A crashable node keeps the bytes of each unsynced write, so they have to be a copy.
    const crashable = this.#node.synced !== undefined
    return this.#writeKept(crashable ? copyOf(from, offset, length) : from.subarray(offset, offset + length), position)
  }

  #writeKept(bytes: Uint8Array, position: number): number {
    if (bytes.length === 0) return 0
    const { path } = this
    const order = this.#journal.beforeChange({ kind: 'write', path, position, length: bytes.length })
    this.#node.write(order, bytes, position)
    return bytes.length
  }

  #sync(covered: number): void {
    this.#journal.beforeSync({ kind: 'sync', path: this.path }, covered)
    this.#node.sync(covered)
  }

  /** Runs an operation in a later microtask; calls keep their order. */
  async #later<T>(operation: string, run: () => T): Promise<T> {
    this.#check(operation)
    this.#pending++
    try {
      await undefined
      return run()
    } finally {
      this.#pending--
      if (this.#pending === 0) this.#whenIdle?.()
    }
  }

  #check(operation: string): void {
    if (this.#closed) throw ioErrorOf('EBADF', operation, this.path)
  }

  #checkWritable(operation: string): void {
    if (this.#closed || !this.#writable) throw ioErrorOf('EBADF', operation, this.path)
  }
}

/** Never `slice`: on a Buffer that is a view. */
function copyOf(from: Uint8Array, offset: number, length: number): Uint8Array {
  const copy = new Uint8Array(length)
  copy.set(from.subarray(offset, offset + length))
  return copy
}
