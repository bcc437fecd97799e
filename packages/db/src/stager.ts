/**
 * Stages single operations: decides where a value goes and encodes it there, without an allocation of its own.
 *
 * A value of at least `valueThreshold` bytes is encoded into the value log's buffers and its pointer becomes the
 * entry's payload; a shorter one is the payload itself. Runs inside a `WriteQueue.write`, whose caller has validated
 * everything: a stage call fails only when the database has failed, or fails with it (a long value is written at the call).
 */
import {
  KIND_POINTER,
  KIND_TOMBSTONE,
  KIND_VALUE,
  MAX_UVARINT_LENGTH,
  NO_BYTES,
  POINTER_LENGTH,
  attributesLength,
  kindWithAttributes,
  writeAttributes,
  writePointer,
} from '@wk/codec'
import type { ValuePointer } from '@wk/codec'
import type { LsmTree } from '@wk/lsm'
import { META_COMMIT } from '@wk/vlog'
import type { ValueLog } from '@wk/vlog'

/** Bytes staged in one group after which the value log may go on to its next file. */
const ROTATION_STEP = 256 * 1024

export class Stager {
  readonly #tree: LsmTree
  readonly #vlog: ValueLog | undefined
  readonly #threshold: number
  readonly #pointer: ValuePointer = { fid: 0, offset: 0, len: 0 }
  readonly #payload = new Uint8Array(POINTER_LENGTH + 1 + MAX_UVARINT_LENGTH)
  #sinceRotation = 0
  /** Told the key of every operation, before it is staged. */
  readonly #watchers = new Set<(key: Uint8Array) => void>()

  constructor(tree: LsmTree, vlog: ValueLog | undefined, valueThreshold: number) {
    this.#tree = tree
    this.#vlog = vlog
    this.#threshold = vlog === undefined ? Number.POSITIVE_INFINITY : valueThreshold
  }

  /** Calls `watcher` with the key of each operation that is staged from now on. Returns a function that ends it. */
  watch(watcher: (key: Uint8Array) => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Bytes that the payload of a value will take in the tree. */
  payloadLength(valueLength: number, userMeta: number, expiresAt: number): number {
    return attributesLength(userMeta, expiresAt) + (valueLength >= this.#threshold ? POINTER_LENGTH : valueLength)
  }

  /** Announces an atomic batch: `bytes` are those of its keys and payloads. */
  prepare(operations: number, bytes: number): void {
    this.#tree.prepareBatch(operations, bytes)
  }

  /** `alone`: the operation is no part of a batch, so its record in the value log, if it gets one, says all of it (docs/adr/0014). */
  put(key: Uint8Array, value: Uint8Array, userMeta: number, expiresAt: number, alone = false): void {
    if (this.#watchers.size > 0) this.#tell(key)
    if (value.length >= this.#threshold) this.#putPointer(key, value, userMeta, expiresAt, alone)
    else if (userMeta === 0 && expiresAt === 0) this.#tree.stage(KIND_VALUE, key, value, 0, value.length)
    else {
      const attributes = attributesLength(userMeta, expiresAt)
      const payload = new Uint8Array(attributes + value.length)
      writeAttributes(payload, 0, userMeta, expiresAt)
      payload.set(value, attributes)
      this.#tree.stage(kindWithAttributes(KIND_VALUE, userMeta, expiresAt), key, payload, 0, payload.length)
    }
  }

  del(key: Uint8Array): void {
    if (this.#watchers.size > 0) this.#tell(key)
    this.#tree.stage(KIND_TOMBSTONE, key, NO_BYTES, 0, 0)
  }

  #tell(key: Uint8Array): void {
    for (const watcher of this.#watchers) watcher(key)
  }

  #putPointer(key: Uint8Array, value: Uint8Array, userMeta: number, expiresAt: number, alone: boolean): void {
    const vlog = this.#vlog as ValueLog
    const pointer = this.#pointer
    vlog.stage(key, this.#tree.nextSequence(), alone ? META_COMMIT : 0, userMeta, expiresAt, value, pointer)
    writePointer(this.#payload, 0, pointer.fid, pointer.offset, pointer.len)
    const end = writeAttributes(this.#payload, POINTER_LENGTH, userMeta, expiresAt)
    // Recovery looks for no records in gaps: what lies there the WAL says.
    this.#tree.stage(kindWithAttributes(KIND_POINTER, userMeta, expiresAt), key, this.#payload, 0, end, alone && !vlog.gaps.isFilling)
    this.#sinceRotation += pointer.len
    if (this.#sinceRotation >= ROTATION_STEP) {
      this.#sinceRotation = 0
      vlog.endGroup()
    }
  }
}
