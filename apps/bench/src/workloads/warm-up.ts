/**
 * Work on a database that is thrown away, before anything is measured, the same for every engine: a process begins with code that is
 * not compiled yet, and a short phase would measure the compiler.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Engine, OpenOptions } from '../engines/engine.js'
import { Meter } from '../measure/meter.js'
import type { TimeSlice } from '../measure/time-slice.js'
import { drain, inFlight, loadBatches, oneByOne, oneByOneSync } from './call-loops.js'
import type { KeySpace } from './key-space.js'
import type { PhaseWork } from './phase-runner.js'

/** Bytes of values, and calls of each kind: a second or two for the slowest engine. */
const BYTES = 24 * 1024 * 1024
const MOST = 20_000
const SINGLE = 3000
const SYNCED = 200
/** All of it is done again until so many milliseconds are over: a fast engine is through in no time, and still half compiled. */
const LEAST = 1500
const QUICK_LEAST = 100
/** And so many times: threads that work in the background have a share of each time only. */
const TIMES = 4
const QUICK_TIMES = 1

/** Does each kind of call in each loop. */
export async function warmUp(engine: Engine, dir: string, space: KeySpace, slice: TimeSlice, quick: boolean, open: OpenOptions): Promise<void> {
  const place = join(dir, 'warm-up')
  const db = await engine.open(place, open)
  const work: PhaseWork = { meter: await Meter.start(slice), figures: {}, space: [], progress: () => {} }
  const most = open.sync ? SYNCED : Math.min(MOST, Math.floor(BYTES / space.valueSize)) / (quick ? 10 : 1)
  const single = Math.min(most, SINGLE)
  const size = space.entrySize
  const put = (i: number): unknown => db.put(space.key(i), space.value(i))
  const get = (i: number): unknown => db.get(space.key(i))
  await untilWarm(quick, async () => {
    await inFlight(work, slice, { total: most, size, call: put }, 256)
    await oneByOne(work, slice, { total: single, size, call: put })
    await loadBatches(work, slice, db, space, most, 500)
    await inFlight(work, slice, { total: most, size, call: get }, 64)
    await oneByOne(work, slice, { total: single, size, call: get })
    if (db.getSync !== undefined) await oneByOneSync(work, slice, { total: most, size, call: (i) => db.getSync?.(space.key(i)) })
    if (db.scan !== undefined) await drain(work, slice, db.scan(), size, () => {})
    if (db.scanKeys !== undefined) await drain(work, slice, db.scanKeys(), size, () => {})
    await db.settle?.()
  })
  await work.meter.stop('call')
  await db.close()
  rmSync(place, { recursive: true, force: true })
}

/** Does some work again and again until the process may count as warm. */
export async function untilWarm(quick: boolean, work: () => Promise<unknown>): Promise<void> {
  const begun = performance.now()
  for (let times = 0; times < (quick ? QUICK_TIMES : TIMES) || performance.now() - begun < (quick ? QUICK_LEAST : LEAST); times++) await work()
}
