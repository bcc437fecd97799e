/** Calls an engine's collection again and again while other work goes on, as an application has to whose engine does not do it by itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../engines/engine.js'

/** Milliseconds between two passes when the last one found nothing. */
const PAUSE = 100

/** Nothing happens for an engine without {@link Database.collectPass}. */
export class CollectionLoop {
  private readonly db: Database
  private stopping = false
  private running: Promise<void> = Promise.resolve()

  constructor(db: Database) {
    this.db = db
  }

  start(): void {
    this.running = this.run()
    // Whoever stops the loop learns of it; until then it is no unhandled rejection.
    this.running.catch(() => {})
  }

  /** Waits for the pass at work. Rejects if a pass failed. */
  async stop(): Promise<void> {
    this.stopping = true
    await this.running
  }

  private async run(): Promise<void> {
    while (!this.stopping && this.db.collectPass !== undefined) {
      if (!(await this.db.collectPass())) await sleep(PAUSE)
    }
  }
}
