/**
 * One client: a fibre that makes drawn calls on a database that others use, and notes what it called and what it was answered.
 *
 * Reads, plain writes and `clear()` are here; transactions and maintenance have files of their own. Now and then it does not wait for an answer before
 * it goes on. What is thrown but for the errors that may be ends the history.
 */
import type { Snapshot } from '@wk/db'
import { textOf } from '@wk/testkit'
import type { Change, Read } from './event.js'
import { drawKey, drawLength, drawRange } from './keys.js'
import { checkpoint, maintain, refusalOf, withSignal } from './maintenance.js'
import { pause } from './pause.js'
import { scan } from './scanning.js'
import type { Seat } from './seat.js'
import { transact } from './transact.js'

/** How often each call is made, against the others. */
const CALLS = { put: 14, del: 4, batch: 5, get: 10, getSync: 6, getMany: 5, scan: 8, snapshot: 6, transaction: 16, clear: 1, gc: 2, flush: 2, compact: 1, checkpoint: 0.3 }

/** Makes so many calls, and resolves when all are answered. */
export async function runClient(seat: Seat, calls: number): Promise<void> {
  const { rng } = seat
  const running: Promise<void>[] = []
  for (let call = 0; call < calls; call++) {
    const answered = callOf(seat, rng.weighted(CALLS))
    // A rejection is looked at in the end; without a handler it would be an unhandled one until then.
    answered.catch(() => undefined)
    running.push(answered)
    if (rng.chance(0.7)) await answered
    await pause(rng)
  }
  await Promise.all(running)
}

function callOf(seat: Seat, name: keyof typeof CALLS): Promise<void> {
  const { rng, recorder } = seat
  const put = (): Change => [drawKey(rng), recorder.value(drawLength(rng))]
  switch (name) {
    case 'put':
      return write(seat, [put()])
    case 'del':
      return write(seat, [[drawKey(rng), undefined]])
    case 'batch':
      return write(seat, Array.from({ length: rng.between(2, 6) }, () => (rng.chance(0.8) ? put() : [drawKey(rng), undefined])))
    case 'get':
    case 'getSync':
    case 'getMany':
      return read(seat, name, async () => ({ gets: await gets(seat, name, undefined), scan: undefined }))
    case 'scan':
      return read(seat, 'an iterator', async () => ({ gets: [], scan: await scan(seat.db, rng) }))
    case 'snapshot':
      return readSnapshot(seat)
    case 'transaction':
      return transact(seat)
    case 'clear':
      return clear(seat)
    case 'checkpoint':
      return checkpoint(seat)
    default:
      return maintain(seat, name)
  }
}

async function write({ client, db, rng, recorder }: Seat, changes: readonly Change[]): Promise<void> {
  const note = recorder.begin()
  const called = recorder.version
  const options = { sync: rng.chance(0.1) }
  const [one] = changes
  let answered: Promise<void>
  if (changes.length > 1 || one === undefined) answered = db.batch(changes.map(([key, value]) => (value === undefined ? { type: 'del', key } : { type: 'put', key, value })), options)
  else answered = one[1] === undefined ? db.del(one[0], options) : db.put(one[0], one[1], options)
  const { version } = recorder
  await answered
  note({ kind: 'write', client, called, returned: recorder.version, version, changes })
}

/** Reads begin in the turn of their call, and show what was there then. */
async function read({ client, recorder }: Seat, by: string, answer: () => Promise<Pick<Read, 'gets' | 'scan'>>): Promise<void> {
  const note = recorder.begin()
  const called = recorder.version
  const answered = await answer()
  note({ kind: 'read', client, by, called, returned: recorder.version, low: called, high: called, ...answered })
}

async function gets({ db, rng }: Seat, how: 'get' | 'getSync' | 'getMany', snapshot: Snapshot | undefined): Promise<Change[]> {
  const options = snapshot === undefined ? {} : { snapshot }
  const keys = how === 'getMany' ? Array.from({ length: rng.between(1, 8) }, () => drawKey(rng)) : [drawKey(rng)]
  const [first = ''] = keys
  const values = how === 'getMany' ? await db.getMany(keys, options) : [how === 'get' ? await db.get(first, options) : db.getSync(first, options)]
  return keys.map((key, i): Change => {
    const value = values[i]
    return [key, value === undefined ? undefined : textOf(value)]
  })
}

/** Looks several times at one snapshot, while others write; each look is a read of the same version. */
async function readSnapshot(seat: Seat): Promise<void> {
  const { client, db, rng, recorder } = seat
  const called = recorder.version
  const snapshot = db.snapshot()
  try {
    for (let looks = rng.between(1, 5); looks > 0; looks--) {
      const note = recorder.begin()
      const begun = recorder.version
      const how = rng.pick(['get', 'getSync', 'getMany', 'scan'] as const)
      const seen = how === 'scan' ? { gets: [], scan: await scan(db, rng, { snapshot }) } : { gets: await gets(seat, how, snapshot), scan: undefined }
      note({ kind: 'read', client, by: `a snapshot's ${how}`, called: begun, returned: recorder.version, low: called, high: called, ...seen })
      await pause(rng)
    }
  } finally {
    snapshot.close()
  }
}

async function clear({ client, db, rng, recorder }: Seat): Promise<void> {
  const note = recorder.begin()
  const called = recorder.version
  const range = drawRange(rng)
  const refused = await withSignal(rng, (signal) => refusalOf(() => db.clear({ ...range, ...signal })))
  if (refused !== undefined && refused !== 'WK_ABORTED') throw new Error(`clear was refused with ${refused}`)
  note({ kind: 'clear', client, called, returned: recorder.version, ...range, aborted: refused !== undefined })
}
