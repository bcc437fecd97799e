/**
 * Key-value work on made-up data: 16-byte random keys with values of 1 KiB and 16 KiB.
 *
 * Each way of writing starts with an empty database, so that none pays the debt of another. Reads come after everything has
 * settled (flushed, compacted, read once). What was written is read back and compared.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../engines/engine.js'
import { KeySpace } from './key-space.js'
import { runReads } from './kv-reads.js'
import { kvSizes, type KvSize } from './kv-sizes.js'
import type { PhaseWork } from './phase-runner.js'
import { verifyAll } from './verification.js'
import { inFlight, oneByOne } from './call-loops.js'
import { warmUp } from './warm-up.js'
import type { Workload, WorkloadContext } from './workload.js'

const PUTS_AT_ONCE = 256

/** The workload. */
export const kv: Workload = {
  name: 'kv',
  summary: 'made-up values of 1 KiB and 16 KiB: loads, puts, synced puts, gets, scans, with the targets beside the ratios',
  parts: ['1k-puts', '1k-synced', '1k-reads', '16k-puts', '16k-reads'],
  defaultEngines: ['wk', 'classic-level', 'lmdb', 'rocksdb-blobs'],
  engines: ['wk', 'classic-level', 'lmdb', 'rocksdb', 'rocksdb-blobs', 'level-blobs', 'lmdb-blobs', 'null'],
  rounds: 3,
  budgetSeconds: 900,
  diskBytes: (_, quick) => (quick ? 50e6 : 1e9),
  async run(context) {
    const [label = '', kind = ''] = context.part.split('-')
    const size = kvSizes(context.quick)[label]
    if (size === undefined) throw new RangeError(`no part ${context.part}`)
    const { engine } = context
    if (kind === 'synced' && engine.syncedDurability === null) return null
    const space = new KeySpace(size.valueSize, context.seed)
    await warmUp(engine, context.dir, space, context.slice, context.quick, { sync: kind === 'synced' })
    if (kind === 'reads') return inFresh(context, false, (db, dir) => runReads(context, size, space, db, dir))
    await (kind === 'synced' ? runSynced(context, size, space) : runPuts(context, size, space))
    return null
  },
}

async function runPuts(context: WorkloadContext, size: KvSize, space: KeySpace): Promise<void> {
  await puts(context, size, space, false, 'put-256', 'put, 256 in flight', size.load, PUTS_AT_ONCE)
  await puts(context, size, space, false, 'put', 'put, one after another', size.puts, 1)
}

async function runSynced(context: WorkloadContext, size: KvSize, space: KeySpace): Promise<void> {
  for (const [width, count] of size.synced) {
    await puts(context, size, space, true, `synced-${width}`, `synced put, ${width} in flight`, count, width)
  }
}

/** Puts into an empty database, read back afterwards. */
function puts(
  context: WorkloadContext,
  size: KvSize,
  space: KeySpace,
  sync: boolean,
  name: string,
  title: string,
  count: number,
  width: number,
): Promise<void> {
  const { runner, slice } = context
  const keys = space.keys(count)
  return inFresh(context, sync, async (db, dir) => {
    const call = (i: number): unknown => db.put(keys[i]!, space.value(i))
    const body = async (work: PhaseWork): Promise<void> => {
      const calls = { total: count, size: space.entrySize, call }
      if (width === 1) await oneByOne(work, slice, calls)
      else await inFlight(work, slice, calls, width)
    }
    const phase = { name: `${size.label} ${name}`, title: `${size.label}: ${title}`, sample: 'put', total: count, writes: true }
    await runner.run(phase, dir, () => count * space.entrySize, body)
    if (context.engine.forgets !== true) await verifyAll(db, space, count, slice)
  })
}

/** Opens an empty database, lets `work` use it, and removes it. */
async function inFresh<T>({ engine, dir }: WorkloadContext, sync: boolean, work: (db: Database, dir: string) => Promise<T>): Promise<T> {
  const place = join(dir, 'kv')
  rmSync(place, { recursive: true, force: true })
  const db = await engine.open(place, { sync })
  try {
    return await work(db, place)
  } finally {
    await db.close()
    rmSync(place, { recursive: true, force: true })
  }
}
