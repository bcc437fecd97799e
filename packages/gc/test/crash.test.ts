/**
 * A crash before every change that a pass makes to the disk, under policies P0 to P3, with writes at its await points:
 * the store opens, holds every durable write, a prefix of the later ones and nothing else, and one more pass
 * leaves no file behind that nothing points to.
 */
import { NoRewriteError } from '@wk/codec'
import { ManualRuntime, MemoryFileSystem, type CrashPolicy } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { GarbageCollector } from '../src/index.js'
import { scheduleIndex, scheduleValueLog } from '../src/testing.js'
import { DurableHost } from './support/durable-host.js'
import { bytesOf, textOf } from './support/map-index.js'

const DIR = '/store'
const KEYS = Array.from({ length: 12 }, (_, n) => `k${n}`)

/** A change of the model: a key and its value, or none. */
type Change = readonly [string, string | undefined]

/** The writes of a run: the state that is durable, and what came after it. */
class Oracle {
  durable = new Map<string, string>()
  later: Change[] = []

  /** Everything so far is durable. */
  flushed(count: number): void {
    for (const change of this.later.splice(0, count)) applyTo(this.durable, change)
  }

  /** Every state a crash now may leave. */
  states(): Map<string, string>[] {
    const states = [new Map(this.durable)]
    for (const change of this.later) {
      const next = new Map(states.at(-1))
      applyTo(next, change)
      states.push(next)
    }
    return states
  }
}

function applyTo(state: Map<string, string>, [key, value]: Change): void {
  if (value === undefined) state.delete(key)
  else state.set(key, value)
}

class Run {
  readonly fs = new MemoryFileSystem()
  readonly oracle = new Oracle()
  readonly images: { fs: MemoryFileSystem; readonly states: Map<string, string>[]; readonly before: string }[] = []
  /** No clock and no randomness but the seed: a failing case fails again. */
  readonly runtime: ManualRuntime
  host!: DurableHost
  #version = 0

  constructor(seed: number) {
    this.runtime = new ManualRuntime({ seed })
  }

  async write(key: string, isDelete = false): Promise<void> {
    const value = isDelete ? undefined : `${key} version ${++this.#version} `.padEnd(300 + (this.#version % 7) * 40, 'x')
    if (value === undefined) await this.host.delete(bytesOf(key))
    else await this.host.put(bytesOf(key), bytesOf(value))
    this.oracle.later.push([key, value])
  }

  async flush(): Promise<void> {
    const count = this.oracle.later.length
    await this.host.flush()
    this.oracle.flushed(count)
  }

  /** From now on the moment before each change is kept. */
  record(policy: CrashPolicy, seed: number): void {
    this.fs.onMutatingOperation = (index, operation) => {
      const image = this.fs.crashClone(policy, seed + index)
      this.images.push({ fs: image, states: this.oracle.states(), before: `${index} ${operation.kind} ${operation.path}` })
    }
  }
}

async function collectToTheEnd(host: DurableHost): Promise<void> {
  try {
    for (;;) await host.collect({ discardRatio: 0.001 })
  } catch (error) {
    if (!(error instanceof NoRewriteError)) throw error
  }
}

async function contents(host: DurableHost): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const key of KEYS) {
    const value = await host.get(bytesOf(key))
    if (value !== undefined) found.set(key, textOf(value))
  }
  return found
}

async function checkImage(image: Run['images'][number]): Promise<void> {
  const first = await DurableHost.open({ fs: image.fs, dir: DIR, runtime: new ManualRuntime() })
  const state = await contents(first)
  expect(image.states, `crash before ${image.before}`).toContainEqual(state)
  // And killed again before it wrote anything of its own.
  image.fs = image.fs.crashClone('P1')

  const second = await DurableHost.open({ fs: image.fs, dir: DIR, runtime: new ManualRuntime() })
  expect(await contents(second)).toEqual(state)
  await second.vlog.seal()
  await collectToTheEnd(second)
  expect(await contents(second)).toEqual(state)
  const referenced = new Set([...second.entries().values()].map(({ fid }) => fid))
  // One without records is nothing to collect: opening removes it once a higher one is there.
  for (const { fid, sealed, validEnd } of second.vlog.files()) if (sealed && validEnd > 20) expect(referenced).toContain(fid)
  // The highest number stays until a higher one is there, so that numbers never come back: one more write.
  await second.put(bytesOf('one more'), bytesOf('x'.repeat(100)))
  const wanted = second.vlog.files().map(({ fid }) => `${String(fid).padStart(6, '0')}.vlog`)
  await second.close()
  const names = (await image.fs.list(`${DIR}/values`)).filter((name) => /\.(vlog|rlog|tmp)$/.test(name))
  expect(names, `orphans after a crash before ${image.before}`).toEqual(wanted)
  const third = await DurableHost.open({ fs: image.fs, dir: DIR, runtime: new ManualRuntime() })
  expect(third.vlog.files().filter(({ validEnd }) => validEnd <= 20)).toEqual([])
  await third.close()
}

describe.each(['P0', 'P1', 'P2', 'P3'] as const)('a crash at every change of a pass, policy %s', (policy) => {
  it.each([1, 2])('seed %i', async (seed) => {
    const run = new Run(seed)
    run.host = await DurableHost.open({ fs: run.fs, dir: DIR, runtime: run.runtime })
    for (let round = 0; round < 3; round++) for (const key of KEYS) await run.write(key)
    await run.write('k3', true)
    await run.flush()
    // Not durable when the pass begins: it must not give up what only a lost write made garbage.
    await run.write('k5')
    await run.write('k7', true)

    run.record(policy, seed * 1000)
    let points = 0
    const hook = async (): Promise<void> => {
      if (++points % 5 !== 0) return
      const key = KEYS[(points * seed) % KEYS.length] ?? 'k0'
      await run.write(key, points % 15 === 0)
      if (points % 20 === 0) await run.flush()
    }
    const gc = new GarbageCollector({
      vlog: scheduleValueLog(run.host.vlog, hook),
      index: scheduleIndex(run.host, hook),
      runtime: run.runtime,
    })
    await gc.run({ discardRatio: 0.2, liveBytes: run.host.parts.liveBytes })
    expect(await contents(run.host)).toEqual(run.oracle.states().at(-1))
    run.fs.onMutatingOperation = undefined
    run.images.push({ fs: run.fs.crashClone(policy, seed), states: run.oracle.states(), before: 'nothing: at the end' })

    expect(run.images.length).toBeGreaterThan(30)
    for (const image of run.images) await checkImage(image)
  })
})

it.each(['P0', 'P3'] as const)('garbage is not given up before the write that made it is durable (%s)', async (policy) => {
  const run = new Run(1)
  run.host = await DurableHost.open({ fs: run.fs, dir: DIR, runtime: run.runtime })
  for (const key of KEYS) await run.write(key)
  await run.flush()
  await run.host.vlog.seal()
  for (const key of KEYS) await run.write(key, key === 'k4')
  run.record(policy, 1)
  await run.host.collect({ discardRatio: 0.9 })
  expect(run.images.length).toBeGreaterThan(5)
  run.images.push({ fs: run.fs.crashClone(policy, 1), states: run.oracle.states(), before: 'nothing: at the end' })
  for (const image of run.images) await checkImage(image)
})
