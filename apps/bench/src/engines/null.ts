/**
 * The engine that does nothing: every call is answered at once. What it "reaches" is what the harness itself costs, per operation
 * and per phase; no engine can come out faster than that.
 */
import type { Database, Engine } from './engine.js'

const DONE = Promise.resolve()

/** The engine. */
export const nullEngine: Engine = {
  name: 'null',
  version: '0',
  settings: {},
  durability: 'keeps nothing: its figures are the cost of the harness',
  syncedDurability: 'keeps nothing',
  collection: null,
  forgets: true,
  async open() {
    return new NullDatabase()
  },
}

class NullDatabase implements Database {
  putBatch(): Promise<void> {
    return DONE
  }

  deleteBatch(): Promise<void> {
    return DONE
  }

  put(): Promise<void> {
    return DONE
  }

  get(): undefined {
    return undefined
  }

  getSync(): undefined {
    return undefined
  }

  close(): Promise<void> {
    return DONE
  }
}
