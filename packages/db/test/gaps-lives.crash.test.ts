/**
 * One database through many crashes, each life of which goes on where the last one was lost: with the same keys and lengths, so that versions that were
 * lost are given again, and records lie where lost ones lay, but with other values. What was lost must not come back. `WK_SEED` is the first seed, `WK_RUNS` the number of databases.
 */
import { MemoryFileSystem, type CrashPolicy } from '@wk/fs'
import { CrashOracle, readAll, Rng, SMALLEST, valueBytes, withGaps, writeStep, type Change } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openBounded } from '../src/testing.js'
import { keep, large } from './harness.js'
import { placeOf } from './value-place.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 4 : 1))
const LIVES = 30
const KEYS = 40
/** Writes of one life at most. */
const STEPS = 60

const open = (fs: MemoryFileSystem): Promise<DB> => openBounded('/db', { ...withGaps(SMALLEST), fs, workers: 0 })

/** Step `n` of a life: key and length follow from the seed and `n` alone. */
function stepOf(seed: number, n: number, life: number): Change[] {
  const rng = Rng.of(seed, n)
  const put = (): Change => ({ key: `k${rng.below(KEYS)}`, value: rng.chance(0.92) ? valueBytes({ size: rng.pick([300, 450, 600]), seed: n * 1000 + life }) : undefined })
  return rng.chance(0.1) ? [put(), put()] : [put()]
}

interface Life {
  readonly fs: MemoryFileSystem
  /** Steps of all lives that it begins with. */
  readonly survived: number
  readonly visible: ReadonlyMap<string, Uint8Array>
}

/** Lives on from `before` and crashes somewhere. Returns what is left, and how much was written into gaps. */
async function liveOn(before: Life, seed: number, life: number, policy: CrashPolicy): Promise<{ after: Life; filled: number }> {
  const rng = Rng.of(seed + 1_000_000, life)
  const oracle = new CrashOracle()
  oracle.durable(oracle.record([...before.visible].map(([key, value]) => ({ key, value }))))
  const { fs } = before
  let crashed: { fs: MemoryFileSystem; bounds: ReturnType<CrashOracle['bounds']> } | undefined
  let countdown = rng.below(40)
  let isArmed = false
  fs.onMutatingOperation = () => {
    if (!isArmed || crashed !== undefined || countdown-- > 0) return
    crashed = { fs: fs.crashClone(policy, life), bounds: oracle.bounds(policy === 'P1') }
  }
  const db = await open(fs)
  // What is recovered is not all durable after a killed process.
  await db.sync()
  isArmed = rng.chance(0.1)
  if (rng.chance(0.7)) await db.compact()
  isArmed ||= rng.chance(0.7)
  for (let n = 0; n < STEPS && crashed === undefined; n++) {
    const step = oracle.record(stepOf(seed, before.survived + n, life))
    const sync = rng.chance(0.05)
    await writeStep(db, stepOf(seed, before.survived + n, life), { sync })
    oracle.acknowledge(step, sync)
    if (rng.chance(0.04)) await db.compact()
    if (n === 20) isArmed = true
  }
  const filled = db.stats().gcBytesFilled
  crashed ??= { fs: fs.crashClone(policy, life), bounds: oracle.bounds(policy === 'P1') }
  fs.onMutatingOperation = undefined
  await db.close()
  const again = await open(crashed.fs)
  const visible = await readAll(again)
  const verdict = oracle.check(visible, crashed.bounds)
  if (!verdict.ok) throw new Error(`law ${verdict.law}: ${verdict.message}`)
  expect((await again.verify()).problems).toEqual([])
  const left = crashed.fs.crashClone('P1')
  await again.close()
  return { after: { fs: left, survived: before.survived + Math.max(0, verdict.steps - 1), visible }, filled }
}

describe.each(['P1', 'P2', 'P3', 'P4'] as const)('lives under %s', (policy) => {
  it(`laws 1 and 4: what was lost does not come back: databases ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    let filled = 0
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      let state: Life = { fs: new MemoryFileSystem(), survived: 0, visible: new Map() }
      for (let life = 1; life <= LIVES; life++) {
        const lived = await liveOn(state, seed, life, policy).catch((cause: unknown) => {
          throw new Error(`seed ${seed}, life ${life}: ${String(cause)}\n  replay: WK_SEED=${seed} npx vitest run packages/db/test/gaps-lives.crash.test.ts -t ${policy}`, { cause })
        })
        state = lived.after
        filled += lived.filled
      }
    }
    if (process.env.WK_SEED === undefined) expect(filled).toBeGreaterThan(10_000)
  }, 30_000 * (RUNS + 2))
})

async function overwrite(fs: MemoryFileSystem, path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, 'update')
  await file.write(bytes, 0, bytes.length, at)
  await file.sync()
  await file.close()
}

it('laws 1 and 4: the whole record of a lost write behind a torn one is not taken for the write of a next life in its place', async () => {
  const fs = new MemoryFileSystem()
  const db = keep(await open(fs))
  const length = 450
  for (let i = 10; i < 38; i++) await db.put(`k${i}`, large(length, i))
  for (let i = 10; i < 38; i += 2) await db.put(`k${i}`, large(length, 50 + i))
  for (let i = 11; i < 24; i += 4) await db.del(`k${i}`)
  await db.compact()
  for (let i = 10; db.stats().gcBytesFilled === 0; i++) await db.put(`x${i}`, large(length, 100 + i))
  await db.sync()
  await db.put('y1', large(length, 201))
  await db.put('y2', large(length, 202))
  const first = (await placeOf(fs, large(length, 201)))!
  const other = (await placeOf(fs, large(length, 202)))!
  const from = first.at + length + 4
  expect(other.path).toBe(first.path)
  expect(other.at - from, 'they lie in one gap').toBeLessThan(40)
  // Of all that was not synced the device kept the second record alone.
  const record = other.file.subarray(from, other.at + length + 4)
  const image = fs.crashClone('P0')
  await overwrite(image, other.path, from, record)
  const next = keep(await open(image))
  expect(await next.has('y1')).toBe(false)
  expect(await next.has('y2')).toBe(false)
  await next.compact()
  await next.put('y1', large(length, 301))
  await next.put('y2', large(length, 302))
  const { path, at } = (await placeOf(image, large(length, 302)))!
  expect({ path, at }, 'it lies where the lost one lay').toEqual({ path: other.path, at: other.at })
  // This time the second record is what did not get there.
  const again = image.crashClone('P1')
  await overwrite(again, path, from, record)
  const last = keep(await open(again))
  expect(await last.get('y1')).toEqual(large(length, 301))
  expect(await last.get('y2')).toBeUndefined()
})
