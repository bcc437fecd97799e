/**
 * The WebAssembly module that does what is done for each entry of a table (`kernel/`), its memory, and the numbers that it leaves there.
 *
 * An instance serves one merge, filter or reference block at a time. Some that are idle are kept for the next ones of their thread, unless they have grown
 * large: their memory is given back to nobody as long as they live.
 */
import { runInThisContext } from 'node:vm'
import { NotSupportedError, invariant } from '@wk/codec'
import { TABLE_KERNEL } from './table-kernel-code.js'
import { TABLE_KERNEL_SCRIPT } from './table-kernel-script.js'

/** What a kernel stops for. `kernel/merge.ts` has the same list, and says what each means. */
export const EVENT = { DONE: 0, MORE: 1, JUDGE: 2, BOUND: 3, TABLE: 4, ENTRY: 5, INDEX: 6, BLOCK: 7, FETCH: 8, DAMAGE: 9 } as const

/** Places of the numbers that a kernel leaves, in the order in which it writes them. */
export const NUMBER = {
  /** The current entry: its source, where it lies, and whether its key is another than that of the one before. */
  SOURCE: 0,
  KEY: 1,
  KEY_LENGTH: 2,
  SEQUENCE: 3,
  KIND: 4,
  VALUE: 5,
  VALUE_LENGTH: 6,
  IS_NEW_KEY: 7,
  NEWER_SEQUENCE: 8,
  DAMAGE: 9,
  /** Of all sources. */
  ENTRIES_READ: 10,
  SHADOWED: 11,
  SHADOWED_TOMBSTONES: 12,
  LOSSES: 13,
  LOSS_COUNT: 14,
  /** The finished block. */
  BLOCK: 15,
  BLOCK_LENGTH: 16,
  BLOCK_VALUE_BYTES: 17,
  /** The entry that was added last. */
  LAST_KEY: 18,
  LAST_KEY_LENGTH: 19,
  LAST_SEQUENCE: 20,
  HASHES: 21,
  HASH_COUNT: 22,
  REFERENCES: 23,
  REFERENCE_COUNT: 24,
  /** Of the table so far. */
  ENTRIES: 25,
  TOMBSTONES: 26,
  DISTINCT_KEYS: 27,
  KEY_BYTES: 28,
  VALUE_BYTES: 29,
  LARGEST_SEQUENCE: 31,
  SMALLEST_SEQUENCE: 30,
} as const
const NUMBERS = 32

/** What is wrong, by its code. */
const DAMAGES: readonly string[] = [
  '',
  'entry longer than its block',
  'restart point inside an entry',
  'restart point with a shared prefix',
  'entry that shares more than there is',
  'malformed entry header',
  'key over its limit',
  'restart point behind the entries',
  '',
  'the entries of a table are out of order',
  'a table entry of unknown kind',
  'a table entry that deletes and has a value',
  'a table entry with a cut value pointer',
]
const NO_MEMORY = 8

/** Instances that are kept: one that merges, and one that finishes the table of that. */
const MAX_IDLE = 2
/** Memory of an instance that is kept, at most. */
const MAX_IDLE_MEMORY = 8 << 20

interface Exports {
  memory: { readonly buffer: ArrayBuffer }
  controlAt(): number
  begin(sources: number, blockSize: number, restartInterval: number, bitsPerKey: number, dropsOlder: number, showsPointers: number): number
  placeFor(source: number, length: number): number
  open(source: number, entriesEnd: number, restartCount: number): void
  end(source: number): void
  beginTable(size: number, mayCut: number): void
  setBase(bytes: number): void
  cut(): void
  boundFor(length: number): number
  unbound(): void
  run(verdict: number): number
  beginFilter(length: number, hashesAtOnce: number): number
  hashesFor(count: number): number
  addToFilter(count: number, probes: number): void
  beginReferences(count: number): number
  sortReferences(): number
  encodeReferences(isFirst: number): number
  encodedLength(): number
  groupsAt(): number
  groupCount(): number
}

/** The types of Node 20 know the global only by name. */
interface Compiler {
  Module: new (code: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}

/** Makes an instance, in the way that works here. Found once a thread. */
let make: (() => Exports) | undefined
const idle: TableKernel[] = []

/** An instance; undefined where there is no WebAssembly, or too little address space: it takes 10 GiB of that for each instance, of which it uses little. */
function makeCompiled(): Exports | undefined {
  const { WebAssembly } = globalThis as { WebAssembly?: Compiler }
  if (WebAssembly === undefined) return undefined
  try {
    const module = new WebAssembly.Module(Buffer.from(TABLE_KERNEL, 'base64'))
    const first = new WebAssembly.Instance(module).exports as Exports
    make = () => new WebAssembly.Instance(module).exports as Exports
    return first
  } catch {
    return undefined
  }
}

/** The same from the script, which is slower. */
function makeFromScript(): Exports {
  make = runInThisContext(TABLE_KERNEL_SCRIPT) as () => Exports
  return make()
}

function instantiate(): Exports {
  if (make === undefined) return makeCompiled() ?? makeFromScript()
  try {
    return make()
  } catch {
    // There was address space for some.
    return makeFromScript()
  }
}

/** Takes the script in any case, or what works. For tests. */
export function preferScript(isPreferred: boolean): void {
  idle.length = 0
  make = undefined
  if (isPreferred) makeFromScript()
}

export class TableKernel {
  readonly calls: Omit<Exports, 'memory' | 'controlAt' | 'begin' | 'run'>
  readonly #exports: Exports
  /** All memory. Another array after a call during which it grew. */
  bytes: Uint8Array
  #numbers: Float64Array
  readonly #memory: Exports['memory']
  readonly #numbersAt: number

  private constructor() {
    const exports = instantiate()
    this.calls = exports
    this.#exports = exports
    this.#memory = exports.memory
    this.#numbersAt = exports.controlAt() >>> 0
    this.bytes = new Uint8Array(this.#memory.buffer)
    this.#numbers = new Float64Array(this.#memory.buffer, this.#numbersAt, NUMBERS)
  }

  /** An instance that nobody else uses until it is released. */
  static acquire(): TableKernel {
    return idle.pop() ?? new TableKernel()
  }

  /** Gives the instance back. */
  release(): void {
    this.#refresh()
    if (this.bytes.length <= MAX_IDLE_MEMORY && idle.length < MAX_IDLE) idle.push(this)
  }

  /** Begins a merge of so many sources. @throws NotSupportedError if there is no memory */
  begin(sources: number, blockSize: number, restartInterval: number, bitsPerKey: number, dropsOlder: boolean, showsPointers: boolean): void {
    const begun = this.#exports.begin(sources, blockSize, restartInterval, bitsPerKey, dropsOlder ? 1 : 0, showsPointers ? 1 : 0)
    this.#refresh()
    if (begun === 0) throw noMemory()
  }

  /** After each call that may have made memory grow. */
  #refresh(): void {
    const { buffer } = this.#memory
    if (buffer === this.bytes.buffer) return
    this.bytes = new Uint8Array(buffer)
    this.#numbers = new Float64Array(buffer, this.#numbersAt, NUMBERS)
  }

  /** A number of {@link NUMBER}. */
  number(place: number): number {
    return this.#numbers[place]!
  }

  /** Goes on until something is needed, which it returns. */
  run(verdict: number): number {
    const event = this.#exports.run(verdict)
    this.#refresh()
    return event
  }

  /** A place that a call made. @throws NotSupportedError if it could not */
  place(made: number): number {
    this.#refresh()
    if (made === 0) throw noMemory()
    return made >>> 0
  }

  /** Copies `from[0..length)` to a place that a call made. */
  put(made: number, from: Uint8Array, length: number): void {
    const place = this.place(made)
    this.bytes.set(from.length === length ? from : from.subarray(0, length), place)
  }

  /** Copies numbers of 32 bits to a place that a call made. */
  putWords(made: number, from: Uint32Array): void {
    this.put(made, new Uint8Array(from.buffer, from.byteOffset, from.byteLength), from.byteLength)
  }

  /** A view, good until the next call. */
  view(start: number, length: number): Uint8Array {
    return this.bytes.subarray(start, start + length)
  }

  /** `count` numbers of 32 bits; a view, good until the next call. */
  words(start: number, count: number): Uint32Array {
    return new Uint32Array(this.bytes.buffer, start, count)
  }

  /** `count` numbers of 64 bits; a view, good until the next call. */
  doubles(start: number, count: number): Float64Array {
    return new Float64Array(this.bytes.buffer, start, count)
  }

  /** What is wrong with the current entry. @throws NotSupportedError if it is only that there was no memory */
  damage(): string {
    const code = this.number(NUMBER.DAMAGE)
    if (code === NO_MEMORY) throw noMemory()
    const message = DAMAGES[code]
    invariant(message !== undefined, 'a known damage')
    return message
  }
}

function noMemory(): NotSupportedError {
  return new NotSupportedError('no memory to write a table: a value is too long for what this process can have')
}
