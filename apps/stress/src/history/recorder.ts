/**
 * Notes calls in the order in which they are made, each with the versions at its call and at its answer. One for each database.
 *
 * A call takes its place in the history before it is made; one that never answers leaves a hole there, which `events` tells.
 */
import type { DB } from '@wk/db'
import type { HistoryEvent } from './event.js'

export class Recorder {
  readonly #db: DB
  readonly #events: (HistoryEvent | undefined)[] = []
  #ticks = 0
  #values = 0

  constructor(db: DB) {
    this.#db = db
  }

  /** Of the newest write that anybody sees now. */
  get version(): number {
    const snapshot = this.#db.snapshot()
    snapshot.close()
    return snapshot.version
  }

  /** Calls and answers so far: what happened before what, where no version was given in between. */
  tick(): number {
    return ++this.#ticks
  }

  /** A value that was never written before: told apart by its beginning, of about that length. */
  value(length: number): string {
    return `${++this.#values} `.padEnd(length, String.fromCharCode(97 + (this.#values % 26)))
  }

  /** Takes the next place; the function that it returns fills it. */
  begin(): (event: HistoryEvent) => void {
    const at = this.#events.push(undefined) - 1
    return (event) => {
      this.#events[at] = event
    }
  }

  /** The history. Throws where a call never answered. */
  get events(): readonly HistoryEvent[] {
    return this.#events.map((event, at) => {
      if (event === undefined) throw new Error(`call ${at} never answered`)
      return event
    })
  }
}
