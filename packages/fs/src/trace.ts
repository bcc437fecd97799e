/**
 * A file system that writes down what is done to it.
 *
 * Two runs that do the same, in the same order and with the same bytes, have equal hashes: a check for determinism.
 * Calls are noted when they are made, results when they arrive. Buffers are hashed, not kept.
 */
import { crc32c, errnoOf } from '@wk/codec'
import type { FileSystem } from './file-system.js'
import { InterceptedFileSystem } from './intercept.js'
import type { Operation, OperationKind } from './intercept.js'

/** One line of the log. */
export interface TraceEntry {
  /** Number of the call, from 0. */
  readonly index: number
  readonly kind: OperationKind
  readonly path: string
  readonly to?: string
  readonly position?: number
  readonly length?: number
  /** CRC-32C of the bytes of a write. */
  readonly checksum?: number
  /** What came of it: a number, `ok`, or the errno of the failure. Absent while in flight. */
  result?: string
}

export interface TraceOptions {
  /** Beginning of paths to leave out of log and hash, such as a temporary directory. Default none. */
  root?: string
  /** Whether entries are kept; the hash needs none. Default true. */
  keep?: boolean
}

export class TraceFileSystem extends InterceptedFileSystem {
  /** The log, oldest first. Callers may empty it. */
  readonly entries: TraceEntry[] = []
  readonly #root: string
  readonly #keep: boolean
  #count = 0
  #low = 0x811c9dc5
  #high = 0x01000193

  constructor(inner: FileSystem, options: TraceOptions = {}) {
    super(inner, 'trace')
    this.#root = options.root ?? ''
    this.#keep = options.keep ?? true
  }

  /** Calls so far. */
  get count(): number {
    return this.#count
  }

  /** Hash of all calls and results so far, 16 hexadecimal digits. */
  get hash(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0')
  }

  async around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    const entry = this.#begin(operation)
    try {
      const result = await run()
      this.#end(entry, result)
      return result
    } catch (error) {
      this.#fail(entry, error)
      throw error
    }
  }

  aroundSync<T>(operation: Operation, run: () => T): T {
    const entry = this.#begin(operation)
    try {
      const result = run()
      this.#end(entry, result)
      return result
    } catch (error) {
      this.#fail(entry, error)
      throw error
    }
  }

  #begin(operation: Operation): TraceEntry {
    const { kind, to, position, length, bytes } = operation
    const entry: TraceEntry = {
      index: this.#count++,
      kind,
      path: this.#relative(operation.path),
      ...(to === undefined ? {} : { to: this.#relative(to) }),
      ...(position === undefined ? {} : { position }),
      ...(length === undefined ? {} : { length }),
      ...(bytes === undefined ? {} : { checksum: crc32c(bytes) }),
    }
    if (this.#keep) this.entries.push(entry)
    this.#mix(
      `${entry.index} ${kind} ${entry.path} ${entry.to ?? ''} ${position ?? ''} ${length ?? ''} ${entry.checksum ?? ''}`,
    )
    return entry
  }

  #end(entry: TraceEntry, result: unknown): void {
    const told = typeof result === 'number' || typeof result === 'boolean' || Array.isArray(result)
    this.#note(entry, told ? String(result) : 'ok')
  }

  #fail(entry: TraceEntry, error: unknown): void {
    this.#note(entry, errnoOf(error) ?? (error instanceof Error ? error.name : 'failed'))
  }

  #note(entry: TraceEntry, result: string): void {
    entry.result = result
    this.#mix(`${entry.index} ${result}`)
  }

  #relative(path: string): string {
    return path.startsWith(this.#root) ? path.slice(this.#root.length) : path
  }

  /** Two FNV-1a style hashes with different multipliers. */
  #mix(line: string): void {
    for (let index = 0; index < line.length; index++) {
      const unit = line.charCodeAt(index)
      this.#low = Math.imul(this.#low ^ unit, 0x01000193) >>> 0
      this.#high = Math.imul(this.#high ^ unit, 0x5bd1e995) >>> 0
    }
    this.#low = Math.imul(this.#low ^ 10, 0x01000193) >>> 0
  }
}
