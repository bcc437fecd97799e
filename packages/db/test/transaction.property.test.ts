/**
 * Random transactions and plain batches side by side, against a plain map: what each read must be what it would have read
 * if they had run one after the other in the order of their commits, and one that lost must have had a reason.
 * `WK_SEED` is the first seed, `WK_RUNS` the number of runs.
 */
import { MemoryFileSystem } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import type { Transaction } from '../src/index.js'
import { SMALL, text, type Options } from './harness.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 30 : 1))

interface Scan {
  kind: 'scan'
  gte: string
  lt: string
  reverse: boolean
  limit: number
  seek: string | undefined
  entries: string[]
}

type Step = { kind: 'get'; key: string; value: string | undefined } | { kind: 'put'; key: string; value: string | undefined } | Scan

interface Run {
  id: string
  snapshot: number
  steps: Step[]
  /** Version of its commit; undefined while it has none. */
  commit: number | undefined
  lost: boolean
}

const KEYS = Array.from({ length: 16 }, (_, i) => `k${String(i).padStart(2, '0')}`)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function step(txn: Transaction, rng: Rng, run: Run): Promise<void> {
  const key = rng.pick(KEYS)
  const choice = rng.weighted({ get: 4, put: 3, scan: 2, pause: 2 })
  if (choice === 'pause') return turn()
  if (choice === 'get') {
    const step: Step = { kind: 'get', key, value: undefined }
    run.steps.push(step)
    step.value = rng.chance(0.5) ? text(await txn.get(key)) : text((await txn.getMany([key]))[0])
    expect(await txn.has(key)).toBe(step.value !== undefined)
    return
  }
  if (choice === 'put') {
    const value = rng.chance(0.3) ? undefined : `${run.id}-${run.steps.length}${rng.chance(0.3) ? 'x'.repeat(100) : ''}`
    if (value === undefined) txn.del(key)
    else txn.put(key, value)
    run.steps.push({ kind: 'put', key, value })
    return
  }
  const [gte, lt] = [key, rng.pick(KEYS)].sort() as [string, string]
  const seek = rng.chance(0.3) ? KEYS.filter((one) => one >= gte && one < lt)[rng.below(3)] : undefined
  const scan: Scan = { kind: 'scan', gte, lt, reverse: rng.chance(0.5), limit: rng.pick([-1, -1, 0, 1, 3]), seek, entries: [] }
  run.steps.push(scan)
  const iterator = txn.iterator({ gte, lt, reverse: scan.reverse, limit: scan.limit })
  if (seek !== undefined) iterator.seek(seek)
  for (let entry = await iterator.next(); entry !== undefined; entry = await iterator.next()) {
    scan.entries.push(`${text(entry[0])}=${text(entry[1])}`)
    if (rng.chance(0.2)) await turn()
  }
  await iterator.close()
}

async function transact(db: DB, rng: Rng, id: string): Promise<Run> {
  const run: Run = { id, snapshot: 0, steps: [], commit: undefined, lost: false }
  try {
    await db.transaction(
      async (txn) => {
        run.snapshot = txn.version
        for (let i = rng.between(1, 6); i > 0; i--) await step(txn, rng, run)
        if (run.steps.some(({ kind }) => kind === 'put')) txn.put(`m${id}`, id)
      },
      { sync: rng.chance(0.1) },
    )
    run.commit = (await db.getEntry(`m${id}`))?.version
  } catch (err) {
    expect(err).toMatchObject({ code: 'WK_CONFLICT' })
    run.lost = true
  }
  return run
}

async function write(db: DB, rng: Rng, id: string): Promise<Run> {
  const steps: Step[] = Array.from({ length: rng.between(1, 3) }, (_, i) => ({ kind: 'put', key: rng.pick(KEYS), value: rng.chance(0.3) ? undefined : `${id}-${i}` }))
  await db.batch([
    ...steps.map((one) => (one.kind === 'put' && one.value !== undefined ? { type: 'put' as const, key: one.key, value: one.value } : { type: 'del' as const, key: (one as { key: string }).key })),
    { type: 'put', key: `m${id}`, value: id },
  ])
  return { id, snapshot: 0, steps, commit: (await db.getEntry(`m${id}`))?.version, lost: false }
}

function expectedScan(map: Map<string, string>, scan: Scan): string[] {
  let keys = [...map.keys()].filter((key) => key >= scan.gte && key < scan.lt).sort()
  if (scan.reverse) keys.reverse()
  if (scan.seek !== undefined) keys = keys.filter((key) => (scan.reverse ? key <= (scan.seek as string) : key >= (scan.seek as string)))
  return keys.slice(0, scan.limit < 0 ? undefined : scan.limit).map((key) => `${key}=${map.get(key)}`)
}

/** Runs the steps on the map; every read must give what it gave. */
function replay(map: Map<string, string>, run: Run): void {
  for (const one of run.steps) {
    if (one.kind === 'get') expect(one.value, `${run.id} read ${one.key}`).toBe(map.get(one.key))
    else if (one.kind === 'scan') expect(one.entries, `${run.id} scanned`).toEqual(expectedScan(map, one))
    else if (one.value === undefined) map.delete(one.key)
    else map.set(one.key, one.value)
  }
}

/** Whether the reads of a run that lost may have met a commit that came after its snapshot. */
function hadReason(run: Run, committed: Run[]): boolean {
  const newer = committed.filter(({ commit }) => (commit as number) > run.snapshot).flatMap(({ steps }) => steps.flatMap((one) => (one.kind === 'put' ? [one.key] : [])))
  const own = new Set<string>()
  for (const one of run.steps) {
    if (one.kind === 'put') own.add(one.key)
    else if (one.kind === 'get' ? !own.has(one.key) && newer.includes(one.key) : newer.some((key) => key >= one.gte && key < one.lt)) return true
  }
  return false
}

async function check(seed: number): Promise<{ committed: number; lost: number }> {
  const rng = new Rng(seed)
  const options: Options = { ...SMALL, memTableSize: 64 * 1024, l0CompactionTrigger: 2 }
  const db = await DB.open('/db', { ...options, fs: new MemoryFileSystem({ crashable: false }) })
  const runs: Run[] = []
  let count = 0
  const worker = async (): Promise<void> => {
    while (count < 120) {
      const id = String(count++)
      const choice = rng.weighted({ transact: 8, write: 2, flush: 0.3, compact: 0.2, gc: 0.2 })
      if (choice === 'transact') runs.push(await transact(db, rng, id))
      else if (choice === 'write') runs.push(await write(db, rng, id))
      else if (choice === 'flush') await db.flush()
      else if (choice === 'compact') await db.compact()
      else await db.runValueLogGC(0.2).catch((err: unknown) => expect(['WK_NO_REWRITE', 'WK_GC_RUNNING']).toContain((err as { code: string }).code))
    }
  }
  await Promise.all(Array.from({ length: rng.between(2, 6) }, worker))
  const committed = runs.filter(({ commit }) => commit !== undefined).sort((a, b) => (a.commit as number) - (b.commit as number))
  const readers = runs.filter(({ commit, lost }) => commit === undefined && !lost).sort((a, b) => a.snapshot - b.snapshot)
  const map = new Map<string, string>()
  let reader = 0
  for (const run of committed) {
    for (; reader < readers.length && (readers[reader] as Run).snapshot < (run.commit as number); reader++) replay(map, readers[reader] as Run)
    replay(map, run)
  }
  for (; reader < readers.length; reader++) replay(map, readers[reader] as Run)
  const final = (await db.iterator({ gte: 'k', lt: 'l' }).all()).map(([key, value]) => `${text(key)}=${text(value)}`)
  expect(final).toEqual([...map].map(([key, value]) => `${key}=${value}`).sort())
  const lost = runs.filter((run) => run.lost)
  for (const run of lost) expect(hadReason(run, committed), `${run.id} lost without a reason`).toBe(true)
  await db.close()
  return { committed: committed.length, lost: lost.length }
}

describe('transactions are serializable', () => {
  it(`runs ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    const sums = { committed: 0, lost: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      try {
        const { committed, lost } = await check(seed)
        sums.committed += committed
        sums.lost += lost
      } catch (cause) {
        throw new Error(`seed ${seed}: ${String(cause)}\n  replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/transaction.property.test.ts`, { cause })
      }
    }
    if (RUNS < 10) return
    expect(sums.committed).toBeGreaterThan(RUNS * 40)
    expect(sums.lost).toBeGreaterThan(RUNS * 5)
  })
})
