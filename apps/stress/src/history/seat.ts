/** What a client of a history works on: the database that all share, its own randomness, and who notes what it does. */
import type { DB } from '@wk/db'
import type { Rng } from '@wk/testkit'
import type { Recorder } from './recorder.js'

export interface Seat {
  readonly client: number
  readonly db: DB
  readonly rng: Rng
  readonly recorder: Recorder
  /** Opens a checkpoint. */
  readonly openCopy: (dir: string) => Promise<DB>
}
