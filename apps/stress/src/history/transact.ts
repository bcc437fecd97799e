/**
 * A transaction of a client: reads, iterators and writes in any order, with pauses in which others write.
 *
 * One that writes ends with a marker under a key of its own, which nobody else writes or clears: the version of the marker is where the transaction
 * stands among all other writes.
 */
import { textOf } from '@wk/testkit'
import type { Transaction } from '@wk/db'
import type { TransactionCall, TransactionStep } from './event.js'
import { drawKey, drawLength, END } from './keys.js'
import { refusalOf } from './maintenance.js'
import { pause } from './pause.js'
import { scan } from './scanning.js'
import type { Seat } from './seat.js'

/** Thrown by a transaction that changes its mind. */
class GivenUp extends Error {}

export async function transact(seat: Seat): Promise<void> {
  const { client, db, rng, recorder } = seat
  const note = recorder.begin()
  const called = recorder.version
  const marker = `${END}${String(recorder.tick()).padStart(6, '0')}`
  const steps: TransactionStep[] = []
  let began = 0
  let ready = 0
  let outcome: TransactionCall['outcome'] = 'committed'
  let wrote = false
  const run = db.transaction(
    async (txn) => {
      began = txn.version
      for (let left = rng.between(1, 6); left > 0; left--) {
        steps.push(await step(seat, txn))
        await pause(rng)
      }
      if (rng.chance(0.05)) throw new GivenUp('given up')
      wrote = steps.some((one) => 'put' in one)
      if (wrote) {
        const put = [marker, recorder.value(8)] as const
        txn.put(...put)
        steps.push({ put })
      }
      ready = recorder.version
    },
    { sync: rng.chance(0.1) },
  )
  try {
    const refused = await refusalOf(() => run)
    if (refused === 'WK_CONFLICT') outcome = 'conflict'
    else if (refused !== undefined) throw new Error(`a transaction was refused with ${refused}`)
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error
    outcome = 'given up'
  }
  const returned = recorder.version
  const entry = wrote ? await db.getEntry(marker) : undefined
  if (wrote && (entry === undefined) === (outcome === 'committed')) throw new Error(`a transaction of client ${client} that was ${outcome} left ${entry === undefined ? 'no' : 'a'} marker`)
  note({ kind: 'transaction', client, called, returned, began, ready, version: entry?.version, outcome, steps })
}

async function step({ rng, recorder }: Seat, txn: Transaction): Promise<TransactionStep> {
  const key = drawKey(rng)
  switch (rng.weighted({ get: 4, put: 4, del: 1, scan: 1 })) {
    case 'get': {
      const value = await txn.get(key)
      return { get: [key, value === undefined ? undefined : textOf(value)] }
    }
    case 'put': {
      const put = [key, recorder.value(drawLength(rng))] as const
      txn.put(...put)
      return { put }
    }
    case 'del':
      txn.del(key)
      return { put: [key, undefined] }
    default:
      return { scan: await scan(txn, rng) }
  }
}
