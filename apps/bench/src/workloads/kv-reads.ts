/** The reading half of the key-value workload: a batched load, and, after everything has settled, gets and scans of what it left. */
import type { Database, Eventual } from '../engines/engine.js'
import { Random } from '../input/random.js'
import { drain, inFlight, loadBatches, oneByOne, oneByOneSync } from './call-loops.js'
import { MismatchError } from './expectation.js'
import { KEY_LENGTH, type KeySpace } from './key-space.js'
import type { KvSize } from './kv-sizes.js'
import type { PhaseWork } from './phase-runner.js'
import { checkValue, verifyAll } from './verification.js'
import type { WorkloadContext } from './workload.js'

const GETS_AT_ONCE = 64

type Value = Uint8Array | undefined
type Body = (work: PhaseWork) => Promise<void>

/** Runs it on an empty database. Resolves with the engine's counters. */
export async function runReads(context: WorkloadContext, size: KvSize, space: KeySpace, db: Database, dir: string): Promise<Record<string, number> | null> {
  const { runner, slice, engine } = context
  const { load, reads, singleReads } = size
  const phase = (name: string, title: string, sample: string, total: number, body: Body): Promise<void> =>
    runner.run({ name: `${size.label} ${name}`, title: `${size.label}: ${title}`, sample, total, writes: name === 'load' }, dir, () => load * space.entrySize, body)
  await phase('load', 'load, batches', 'batch', load, (work) => loadBatches(work, slice, db, space, load, size.batch))
  await db.settle?.()
  if (engine.forgets !== true) await verifyAll(db, space, load, slice)
  const keys = space.keys(load)
  const random = new Random(context.seed + 7)
  const picks = Uint32Array.from({ length: Math.max(reads, singleReads) }, () => random.below(load))
  const { entrySize } = space
  const getSync = db.getSync?.bind(db)
  if (getSync !== undefined) {
    const check = engine.forgets === true ? undefined : (i: number, value: Value): void => checkValue(space, picks[i]!, value)
    await phase('get-sync', 'getSync at random', 'get', reads, (work) =>
      oneByOneSync(work, slice, { total: reads, size: entrySize, call: (i) => getSync(keys[picks[i]!]!), check }),
    )
  }
  const call = (i: number): Eventual<Value> => db.get(keys[picks[i]!]!)
  const check = engine.forgets === true ? undefined : (i: number, value: Value): void => glance(space, picks[i]!, value)
  await phase('get', 'get, one after another', 'get', singleReads, (work) => oneByOne(work, slice, { total: singleReads, size: entrySize, call, check }))
  await phase('get-64', 'get, 64 in flight', 'get', reads, async (work) => {
    await inFlight(work, slice, { total: reads, size: entrySize, call, check }, GETS_AT_ONCE)
  })
  const order = [...keys.keys()].sort((a, b) => Buffer.compare(keys[a]!, keys[b]!))
  if (db.scan !== undefined) await phase('scan', 'scan', 'chunk', load, (work) => scanAll(context, work, db, space, keys, order))
  if (db.scanKeys !== undefined) await phase('scan-keys', 'scan, keys only', 'chunk', load * size.keyScans, (work) => scanKeys(context, work, db, size))
  return db.stats?.() ?? null
}

/** Only the length and the last byte are looked at: a full comparison would count as time of the engine here. */
function glance(space: KeySpace, index: number, value: Value): void {
  const last = space.valueSize - 1
  if (value?.length !== space.valueSize || value[last] !== space.value(index)[last]) throw new MismatchError(`value ${index} is not what was written`)
}

async function scanAll(
  { slice }: WorkloadContext,
  work: PhaseWork,
  db: Database,
  space: KeySpace,
  keys: readonly Uint8Array[],
  order: readonly number[],
): Promise<void> {
  let at = 0
  const seen = await drain(work, slice, db.scan!(), space.entrySize, ([key, value]) => {
    const index = order[at++]
    if (index === undefined || Buffer.compare(key, keys[index]!) !== 0) throw new MismatchError(`entry ${at - 1} of the scan has the wrong key`)
    checkValue(space, index, value)
  })
  checkCount(seen, keys.length)
}

async function scanKeys({ slice }: WorkloadContext, work: PhaseWork, db: Database, size: KvSize): Promise<void> {
  for (let i = 0; i < size.keyScans; i++) {
    const seen = await drain(work, slice, db.scanKeys!(), KEY_LENGTH, (key) => {
      if (key.length !== KEY_LENGTH) throw new MismatchError('a key of the scan has the wrong length')
    })
    checkCount(seen, size.load)
  }
}

function checkCount(seen: number, expected: number): void {
  if (seen !== expected) throw new MismatchError(`the scan ended after ${seen} of ${expected} entries`)
}
