/**
 * Staging: operations are encoded into WAL frames as they are called, so that writing a group is one write.
 *
 * A frame is built in a plain pooled buffer (copies in and out of shared memory cost twice as much): room for its
 * header and prefix, then the operations. Header and prefix are put in front of them only when the frame is written,
 * because file offset and promises are known only then. Bytes passed in are copied before the call returns.
 *
 * What it leaves to others: which memtable and WAL a frame belongs to (the tree), writing it (`log/wal.ts`).
 */
import { FRAME_HEADER_LENGTH, NO_BYTES, invariant, writeUvarint } from '@wk/codec'
import { MAX_FRAME_LENGTH, MAX_WAL_PREFIX_LENGTH } from './log/format.js'
import type { LoggedMemtable } from './log/wal.js'

/** Where the operations of a frame begin in its buffer. */
export const OPERATIONS_START = 64

/** Buffers up to this length are kept for the next frames. */
const POOLED_LENGTH = 4 * 1024 * 1024
const POOLED_COUNT = 4
const FIRST_LENGTH = 64 * 1024
const LONG_FRAME = 1024 * 1024
/**
 * Bytes of deferred operations that wait for being written at most: about a thousand, whose records a recovery then looks for
 * in the value log.
 */
const DEFERRED_BYTES = 64 * 1024

/** Key bytes up to this count are copied by a loop: cheaper than `set`. */
const SHORT_COPY = 40

/** Operations on their way to one WAL as one frame. */
export interface StagedFrame {
  readonly target: LoggedMemtable
  readonly firstSequence: number
  count: number
  bytes: Uint8Array
  /** The operations are `bytes[OPERATIONS_START..end)`. */
  end: number
  /** All its operations are deferred: the value log holds them too. */
  isDeferred: boolean
}

/** Frames that are written together, oldest first. Opaque to the host. */
export class WalGroup {
  readonly frames: readonly StagedFrame[]
  /** Sequence number of the first operation. */
  readonly firstSequence: number
  /** Sequence number of the last operation. */
  readonly lastSequence: number
  /** Bytes to write, nearly. */
  readonly bytes: number

  constructor(frames: readonly StagedFrame[]) {
    const first = frames[0]
    const last = frames.at(-1)
    invariant(first !== undefined && last !== undefined, 'a group is not empty')
    this.frames = frames
    this.firstSequence = first.firstSequence
    this.lastSequence = last.firstSequence + last.count - 1
    this.bytes = frames.reduce((sum, frame) => sum + frame.end, 0)
  }
}

export class Staging {
  /** False where there is no WAL: frames then carry no bytes, only their place in the order. */
  readonly #logged: boolean
  readonly #pool: Uint8Array[] = []
  #closed: StagedFrame[] = []
  #open: StagedFrame | undefined
  /** Whether what is staged must be written with the next group. */
  #isDue = false

  constructor(logged: boolean) {
    invariant(OPERATIONS_START >= FRAME_HEADER_LENGTH + MAX_WAL_PREFIX_LENGTH, 'room for header and prefix')
    this.#logged = logged
  }

  /** Whether nothing is staged. */
  get isEmpty(): boolean {
    return this.#open === undefined && this.#closed.length === 0
  }

  /**
   * Adds one operation with sequence number `sequence`, for the memtable (and WAL) `target`. Copies key and payload. A deferred one
   * need not be written with its group.
   */
  add(target: LoggedMemtable, sequence: number, kind: number, key: Uint8Array, value: Uint8Array, valueStart: number, valueEnd: number, deferred: boolean): void {
    let frame = this.#open
    if (frame === undefined) {
      frame = { target, firstSequence: sequence, count: 0, bytes: this.#logged ? this.#buffer() : NO_BYTES, end: OPERATIONS_START, isDeferred: true }
      this.#open = frame
      target.pendingFrames++
    }
    invariant(frame.target === target, 'a frame goes to one WAL')
    frame.count++
    if (!deferred || !this.#logged) {
      frame.isDeferred = false
      this.#isDue = true
    }
    if (!this.#logged) return
    const length = valueEnd - valueStart
    const most = frame.end + 1 + 5 + key.length + 5 + length
    if (most > frame.bytes.length) this.#grow(frame, most)
    const { bytes } = frame
    let at = frame.end
    bytes[at++] = kind
    at = copy(key, 0, key.length, bytes, writeUvarint(bytes, at, key.length))
    frame.end = copy(value, valueStart, valueEnd, bytes, writeUvarint(bytes, at, length))
    if (frame.end > DEFERRED_BYTES) this.#isDue = true
  }

  /** Ends the open frame: what is staged next goes to another one. */
  closeFrame(): void {
    if (this.#open === undefined) return
    this.#closed.push(this.#open)
    this.#open = undefined
    this.#isDue = true
  }

  /** Whether the open frame is long enough to end it at the next boundary between batches: long frames cost copies. */
  get isFrameLong(): boolean {
    return this.#open !== undefined && this.#open.end >= LONG_FRAME
  }

  /** Everything staged since the last call; `undefined` if that is nothing, or, unless `all` is wanted, if it may wait. */
  take(all: boolean): WalGroup | undefined {
    if (!all && !this.#isDue) return undefined
    this.closeFrame()
    if (this.#closed.length === 0) return undefined
    const group = new WalGroup(this.#closed)
    this.#closed = []
    this.#isDue = false
    return group
  }

  /** Takes the buffers of a written group back. They must not be used by anybody any more. */
  recycle(group: WalGroup): void {
    for (const frame of group.frames) {
      if (frame.bytes.length > 0 && frame.bytes.length <= POOLED_LENGTH && this.#pool.length < POOLED_COUNT) this.#pool.push(frame.bytes)
      frame.bytes = NO_BYTES
    }
  }

  #buffer(): Uint8Array {
    return this.#pool.pop() ?? allocate(FIRST_LENGTH)
  }

  #grow(frame: StagedFrame, wanted: number): void {
    invariant(wanted - OPERATIONS_START <= MAX_FRAME_LENGTH - MAX_WAL_PREFIX_LENGTH, 'a frame within its limit')
    const grown = allocate(Math.max(wanted, frame.bytes.length * 2))
    grown.set(frame.bytes.subarray(OPERATIONS_START, frame.end), OPERATIONS_START)
    frame.bytes = grown
  }
}

/** Memory that is not zeroed first, and no `Buffer`: views of one cost twice as much. */
function allocate(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}

function copy(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  const length = end - start
  if (length <= SHORT_COPY) for (let i = 0; i < length; i++) into[at + i] = from[start + i]!
  else into.set(start === 0 && end === from.length ? from : from.subarray(start, end), at)
  return at + length
}
