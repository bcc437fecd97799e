/**
 * A point-in-time view of the database. What it sees stays readable until it is closed; an old snapshot keeps old
 * versions (and the value logs they point into) on disk.
 */
import { ClosedError, InvalidArgumentError } from '@wk/codec'

export interface SnapshotSource {
  readonly sequence: number
  release(): void
}

export class Snapshot {
  readonly #source: SnapshotSource
  readonly #onClose: (snapshot: Snapshot) => void
  #open = true

  /** @internal Snapshots come from `db.snapshot()`. */
  constructor(source: SnapshotSource, onClose: (snapshot: Snapshot) => void) {
    this.#source = source
    this.#onClose = onClose
  }

  /** Version of the newest write that it sees. */
  get version(): number {
    return this.#source.sequence
  }

  /** Gives up what it holds on to. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#source.release()
    this.#onClose(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  /** @internal The sequence number to read at. Throws `WK_CLOSED` after `close()`, `WK_INVALID_ARGUMENT` for one that is not among `own`. */
  static sequenceOf(snapshot: unknown, own: ReadonlySet<Snapshot>): number {
    if (typeof snapshot !== 'object' || snapshot === null || !(#open in snapshot)) throw new InvalidArgumentError('snapshot must come from db.snapshot()')
    if (!snapshot.#open) throw new ClosedError('the snapshot is closed')
    if (!own.has(snapshot)) throw new InvalidArgumentError('the snapshot is one of another database')
    return snapshot.#source.sequence
  }
}
