/** Records with files of their own, whose names are made eight at a time, beside syncs, seals, failures and a close in any order. */
import { FaultFileSystem, ScheduledFileSystem, type FaultRule } from '@wk/fs'
import { expect, test } from 'vitest'
import type { ValueLog, ValuePointer } from '../src/index.js'
import { RUNS, SEED, mulberry, randomBytes } from './support/bytes.js'
import { newMemory, openLog } from './support/memory-log.js'

interface Staged {
  pointer: ValuePointer
  key: Uint8Array
  version: number
  value: Uint8Array
}

const HOSTED = { durable: null, lock: false } as const
const FAULTS: FaultRule[] = (['create', 'write', 'sync', 'syncDir'] as const).map((operation) => ({ operation, errno: 'EIO' }))

const isRight = (log: ValueLog, { pointer: { fid, offset, len }, key, version, value }: Staged): boolean => Buffer.compare(log.readValueSync(fid, offset, len, key, version), value) === 0

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** One run. Returns whether something failed in it. */
async function run(seed: number): Promise<boolean> {
  const random = mulberry(seed)
  const below = (end: number): number => Math.floor(random() * end)
  const memory = await newMemory()
  const faulty = new FaultFileSystem(memory)
  const log = await openLog(below(2) === 0 ? new ScheduledFileSystem(faulty, seed) : faulty, { ...HOSTED, fileSize: 1 << 20, prepareAhead: 20_000 })
  const kept: Staged[] = []
  const ends = new Set(['1:20'])
  const mayFail = below(2) === 0
  const jobs: Promise<unknown>[] = []
  const failures: unknown[] = []
  const note = (job: Promise<unknown>): void => void jobs.push(job.catch((error: unknown) => failures.push(error)))
  const step = async (): Promise<void> => {
    const choice = random()
    if (choice < 0.55) {
      const one = { pointer: { fid: 0, offset: 0, len: 0 }, key: Buffer.from(`k${kept.length}`), version: kept.length, value: randomBytes(random, below(2) === 0 ? below(3000) : 131_072 + below(400_000)) }
      log.stage(one.key, one.version, 0, 0, 0, one.value, one.pointer)
      kept.push(one)
      ends.add(`${one.pointer.fid}:${one.pointer.offset + one.pointer.len}`)
      if (random() < 0.7) log.endGroup()
      if (random() < 0.7 && !log.writeStagedSync()) note(log.writeStaged())
    } else if (choice < 0.65) log.limitFiles(below(2) === 0 ? 1 << 20 : 300_000, below(600_000), [Infinity, 130_000, 2000, 300_000][below(4)]!)
    else if (choice < 0.75) note(log.sync())
    else if (choice < 0.8) note(log.seal())
    else if (choice < 0.85) await turns()
    else if (choice < 0.95) await Promise.resolve()
    else if (mayFail) faulty.add(FAULTS[below(FAULTS.length)]!)
  }
  for (let steps = 10 + below(40); steps > 0 && failures.length === 0; steps--) {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
    // Marks are ends of records.
    for (const { fid, offset } of [log.writtenPosition(), log.syncedPosition()]) if (fid > 0 && offset > 20) expect(ends, `seed ${seed}`).toContain(`${fid}:${offset}`)
    if (faulty.injected.length === 0) for (const one of kept.slice(-4)) expect(isRight(log, one), `seed ${seed}`).toBe(true)
  }
  const closed = await log.close().catch((error: unknown) => error)
  await Promise.all(jobs)
  await turns()
  expect(memory.openFiles, `seed ${seed}`).toBe(0)
  if (faulty.injected.length > 0) return true
  expect([...failures, ...(closed === undefined ? [] : [closed])], `seed ${seed}`).toEqual([])
  let last = { fid: 0, offset: 0 }
  for (const { pointer } of kept) {
    expect(pointer.fid > last.fid || (pointer.fid === last.fid && pointer.offset > last.offset), `seed ${seed}`).toBe(true)
    last = pointer
  }
  const again = await openLog(memory, HOSTED)
  for (const one of kept) expect(isRight(again, one), `seed ${seed}`).toBe(true)
  expect((await again.verify()).ok, `seed ${seed}`).toBe(true)
  await again.close()
  return false
}

test(`laws 1, 9 and 11: any order of steps, seeds from ${SEED} on (WK_SEED)`, async () => {
  let failed = 0
  for (let seed = SEED; seed < SEED + 40 * RUNS; seed++) if (await run(seed)) failed++
  expect(failed).toBeGreaterThan(5 * RUNS)
  expect(failed).toBeLessThan(30 * RUNS)
})
