/**
 * One history: a database on the simulated file system, whose operations complete in a drawn order, and some clients at once.
 *
 * Everything follows from the seed, so the same seed gives the same history.
 */
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import { MemoryFileSystem, ScheduledFileSystem } from '@wk/fs'
import { drawOptions, EAGER, FEW_RUNS, Rng, SMALLEST, withGaps, withHoles } from '@wk/testkit'
import { SleepingRuntime } from '../sleeping-runtime.js'
import { runClient } from './client.js'
import type { HistoryEvent } from './event.js'
import { Recorder } from './recorder.js'
import { scan } from './scanning.js'

/** A history, and how often the database did what it should be disturbed by. */
export interface RecordedHistory {
  readonly events: readonly HistoryEvent[]
  readonly collected: number
}

/** Options small enough that a history crosses flush, compaction and collection; half of them drawn. */
function drawHistoryOptions(rng: Rng): BoundedOptions {
  const small = rng.pick([SMALLEST, EAGER])
  switch (rng.weighted({ drawn: 4, small: 1, runs: 1, holes: 1, gaps: 1 })) {
    case 'drawn':
      return drawOptions(rng)
    case 'runs':
      return { ...small, mostRuns: FEW_RUNS }
    case 'holes':
      return withHoles(small)
    case 'gaps':
      return withGaps(small)
    default:
      return small
  }
}

/** Runs one. Rejects where a call fails that must not, or does not answer. */
export async function recordHistory(seed: number, number: number): Promise<RecordedHistory> {
  const rng = Rng.of(seed, number)
  const fs = new ScheduledFileSystem(new MemoryFileSystem({ crashable: false }), rng.next())
  const options = drawHistoryOptions(rng)
  const open = (dir: string) => openBounded(dir, { ...options, fs, runtime: new SleepingRuntime(number) })
  const db = await open('/db')
  const recorder = new Recorder(db)
  const clients = Array.from({ length: rng.between(2, 8) }, (_, client) => ({ client, db, rng: new Rng(rng.next()), recorder, openCopy: open }))
  const calls = rng.between(40, 160)
  await Promise.all(clients.map((seat) => runClient(seat, calls)))
  // Once more, whole, after all.
  const note = recorder.begin()
  const called = recorder.version
  note({ kind: 'read', client: 0, by: 'the last look', called, returned: called, low: called, high: called, gets: [], scan: await scan(db, rng) })
  const { gcFilesCollected } = db.stats()
  await db.close()
  return { events: recorder.events, collected: gcFilesCollected }
}
