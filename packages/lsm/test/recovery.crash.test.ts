/** Laws 1, 2 and 11: a crash before every mutating operation, what survives, and that recovery is idempotent. */
import { MemoryFileSystem, ScheduledFileSystem } from '@wk/fs'
import type { CrashPolicy, FileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { PlainEngine } from '../src/index.js'
import type { PlainWrite } from '../src/index.js'
import { DIR, History, dump, sameState, smallOptions, text } from './engine-support.js'

interface CrashPoint {
  index: number
  clone: MemoryFileSystem
  called: number
  acknowledged: number
  durable: number
}

/** A deterministic workload that crosses rotation, flush, compaction, reopening and a manifest's life. */
async function runWorkload(fs: FileSystem, history: History): Promise<void> {
  let engine = await PlainEngine.open(DIR, smallOptions(fs))
  const write = (writes: PlainWrite[], sync: boolean): Promise<void> => {
    const batch = history.call(writes)
    return engine.batch(writes, { sync }).then(() => history.acknowledge(batch, sync))
  }
  for (let i = 0; i < 110; i++) {
    const key = text(`key ${String((i * 37) % 29).padStart(3, '0')}`)
    const value = text(`${i}:${'v'.repeat((i * 613) % 4500)}`)
    const sync = i % 7 === 3
    const writes: PlainWrite[] = i % 5 === 4 ? [{ type: 'del', key }, { type: 'put', key: text(`batch ${i % 3}`), value }] : [{ type: 'put', key, value }]
    const written = write(writes, sync)
    if (i % 3 === 0 || sync) await written
    if (i === 40) {
      const called = history.called
      await engine.flush()
      history.acknowledge(called, true)
    }
    if (i === 60 || i === 90) {
      const called = history.called
      await engine.close()
      history.acknowledge(called, true)
      engine = await PlainEngine.open(DIR, smallOptions(fs))
    }
    if (i === 75) await engine.compact()
  }
  const called = history.called
  await engine.sync()
  history.acknowledge(called, true)
  await engine.close()
}

/** `around` may wrap the file system that crashes. */
async function crashPoints(
  policy: CrashPolicy,
  seed: number,
  history: History,
  around: (fs: MemoryFileSystem) => FileSystem = (fs) => fs,
): Promise<CrashPoint[]> {
  const points: CrashPoint[] = []
  const fs = new MemoryFileSystem()
  const take = (index: number): void => {
    const { called, acknowledged, durable } = history
    points.push({ index, clone: fs.crashClone(policy, seed + index), called, acknowledged, durable })
  }
  fs.onMutatingOperation = take
  await runWorkload(around(fs), history)
  fs.onMutatingOperation = undefined
  take(fs.opCount)
  return points
}

async function check(point: CrashPoint, policy: CrashPolicy, history: History): Promise<void> {
  const where = `policy ${policy}, before operation ${point.index}; replay: WK_SEED=${process.env['WK_SEED'] ?? 1} npx vitest run recovery.crash`
  const least = policy === 'P1' ? point.acknowledged : point.durable
  let engine = await PlainEngine.open(DIR, smallOptions(point.clone))
  const state = dump(engine)
  expect(history.find(state, least, point.called), where).toBeGreaterThanOrEqual(0)
  // Again, after a crash that keeps only what is durable: the same state, and it takes writes.
  engine = await PlainEngine.open(DIR, smallOptions(point.clone.crashClone('P0')))
  expect(sameState(dump(engine), state), `${where}, second recovery`).toBe(true)
  await engine.put(text('new'), text('write'), { sync: true })
  await engine.close()
}

const SEED = Number(process.env['WK_SEED'] ?? 1) * 1_000_003

describe('a crash before every mutating operation', () => {
  for (const [policy, stride] of [['P0', 1], ['P1', 1], ['P2', 1], ['P3', 1], ['P4', 5], ['P5', 5]] as const) {
    test(`leaves an ordered prefix with everything durable: ${policy}`, async () => {
      const history = new History()
      const points = await crashPoints(policy, SEED, history)
      expect(points.length).toBeGreaterThan(150)
      for (const point of points) if (point.index % stride === 0) await check(point, policy, history)
    })
  }
})

test('the order in which operations complete does not matter', async () => {
  for (const [seed, policy] of [[SEED, 'P0'], [SEED + 1, 'P3'], [SEED + 2, 'P1']] as const) {
    const history = new History()
    const points = await crashPoints(policy, seed, history, (fs) => new ScheduledFileSystem(fs, seed))
    for (const point of points) if (point.index % 6 === seed % 6) await check(point, policy, history)
  }
})

test('a crash during recovery, at every operation of it, changes nothing', async () => {
  const history = new History()
  const points = await crashPoints('P3', SEED, history)
  let states = 0
  for (const point of points.filter(({ index }) => index % 19 === 7)) {
    const plain = await PlainEngine.open(DIR, smallOptions(point.clone.crashClone('P1')))
    const expected = dump(plain)
    const clones: MemoryFileSystem[] = []
    const { clone } = point
    clone.onMutatingOperation = (index) => void clones.push(clone.crashClone('P0'), clone.crashClone('P3', index), clone.crashClone('P1'))
    await PlainEngine.open(DIR, smallOptions(clone))
    clone.onMutatingOperation = undefined
    for (const again of clones) {
      const engine = await PlainEngine.open(DIR, smallOptions(again))
      expect(sameState(dump(engine), expected), `crash at ${point.index}, then in recovery`).toBe(true)
      states++
    }
  }
  expect(states).toBeGreaterThan(100)
})
