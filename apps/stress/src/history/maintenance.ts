/** What a client asks for that changes nothing that is read: collections, flushes, compactions, some of them aborted, and checkpoints, which are opened and read. */
import { WkError } from '@wk/db'
import type { Rng } from '@wk/testkit'
import { drawRange } from './keys.js'
import { pause } from './pause.js'
import { scan } from './scanning.js'
import type { Seat } from './seat.js'

/** The code of the error that a call is refused with; undefined for one that was not. What is no error of ours is thrown on. */
export async function refusalOf(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    if (error instanceof WkError) return error.code
    throw error
  }
}

/** Runs a call, every third with a signal that is aborted some moments later, or before. */
export async function withSignal<T>(rng: Rng, call: (options: { signal?: AbortSignal }) => Promise<T>): Promise<T> {
  if (!rng.chance(0.35)) return call({})
  const controller = new AbortController()
  if (rng.chance(0.1)) controller.abort()
  const answered = call({ signal: controller.signal })
  // Looked at below; without a handler it would be an unhandled rejection until then.
  answered.catch(() => undefined)
  for (let pauses = rng.below(6); pauses > 0; pauses--) await pause(rng)
  controller.abort()
  return answered
}

export async function maintain({ client, db, rng, recorder }: Seat, name: 'gc' | 'flush' | 'compact'): Promise<void> {
  const note = recorder.begin()
  const called = recorder.version
  const begun = recorder.tick()
  let hasSignal = false
  const call = (options: { signal?: AbortSignal }): Promise<unknown> => {
    hasSignal = options.signal !== undefined
    if (name === 'flush') return db.flush()
    if (name === 'compact') return db.compact({ ...(rng.chance(0.5) ? drawRange(rng) : {}), ...options })
    return rng.chance(0.5) ? db.gc({ maxSpaceAmp: rng.pick([1.01, 1.2]), ...options }) : db.runValueLogGC(rng.pick([0.05, 0.5]), options)
  }
  const refused = await withSignal(rng, (options) => refusalOf(() => call(options)))
  note({ kind: 'maintenance', client, name, called, returned: recorder.version, begun, ended: recorder.tick(), hasSignal, refused })
}

/** A copy holds one state of those between the call and its answer. */
export async function checkpoint({ client, db, rng, recorder, openCopy }: Seat): Promise<void> {
  const note = recorder.begin()
  const noteRead = recorder.begin()
  const called = recorder.version
  const begun = recorder.tick()
  const dir = `/copy-${begun}`
  const refused = await refusalOf(() => db.checkpoint(dir))
  const returned = recorder.version
  note({ kind: 'maintenance', client, name: 'checkpoint', called, returned, begun, ended: recorder.tick(), hasSignal: false, refused })
  const copy = await openCopy(dir)
  try {
    noteRead({ kind: 'read', client, by: 'a checkpoint', called, returned, low: called, high: returned, gets: [], scan: await scan(copy, rng) })
  } finally {
    await copy.close()
  }
}
