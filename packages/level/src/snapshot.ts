/**
 * Explicit snapshots: `abstract-level` counts references and closes, the engine keeps what is seen.
 */
import { AbstractSnapshot } from 'abstract-level'
import type { Snapshot } from '@wk/db'
import { LevelError } from './error-codes.js'

/** The published types leave the constructor out: `options` carries the database that closes the snapshot. */
const Base = AbstractSnapshot as unknown as new (options: object) => AbstractSnapshot

/** What `db.snapshot()` returns. */
export class WkSnapshot extends Base {
  readonly #snapshot: Snapshot

  constructor(snapshot: Snapshot, options: object) {
    super(options)
    this.#snapshot = snapshot
  }

  /** @internal Called once, when nothing uses it any more. */
  async _close(): Promise<void> {
    this.#snapshot.close()
  }

  /** @internal The engine's snapshot; `LEVEL_NOT_SUPPORTED` for one of another kind of database. */
  static of(snapshot: AbstractSnapshot): Snapshot {
    if (!(#snapshot in snapshot)) throw new LevelError('LEVEL_NOT_SUPPORTED', 'The snapshot is one of another kind of database')
    return snapshot.#snapshot
  }
}
