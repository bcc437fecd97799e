/** How writers are slowed: evenly, at the rate at which space comes back, and never for good. */
import { ManualRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { GcBrake } from '../src/gc-brake.js'

const MB = 1e6

function engaged(): { brake: GcBrake; runtime: ManualRuntime } {
  const runtime = new ManualRuntime()
  const brake = new GcBrake(runtime)
  brake.engage()
  return { brake, runtime }
}

/** Milliseconds that a group waits; 0 if it does not. */
async function waitOf(brake: GcBrake, runtime: ManualRuntime, bytes: number, excess: () => number): Promise<number> {
  const start = runtime.monotonic()
  let end = start
  const wait = brake.wait(bytes, excess)?.then(() => (end = runtime.monotonic()))
  while (wait !== undefined && end === start) {
    expect(runtime.monotonic() - start).toBeLessThan(5000)
    await runtime.advance(1)
  }
  return end - start
}

/** Writes for some seconds at the resting point, 100 MB in each. */
async function learn(brake: GcBrake, runtime: ManualRuntime): Promise<void> {
  for (let i = 0; i < 40; i++) {
    const start = runtime.monotonic()
    await waitOf(brake, runtime, 4 * MB, () => 0.7)
    await runtime.advance(Math.max(0, start + 40 - runtime.monotonic()))
  }
}

describe('the brake', () => {
  it('lets writers go on at 40 MB a second at full excess at first, at eight times of it in the middle, at a third further on', async () => {
    for (const [excess, milliseconds] of [[0, 0], [0.1, 0], [0.5, 12.5], [1, 100], [1.5, 337.5]] as const) {
      const { brake, runtime } = engaged()
      expect(await waitOf(brake, runtime, 4 * MB, () => excess)).toBeCloseTo(milliseconds)
      expect(brake.slowedMs).toBeCloseTo(milliseconds)
      expect(brake.slowdowns).toBe(milliseconds === 0 ? 0 : 1)
    }
  })

  it('lets nobody go on before they are due, even without excess or while the background rests, but after a second, and not once it has stopped', async () => {
    for (const [due, milliseconds] of [[0.5, 0], [30, 30], [5000, 1000]] as const) {
      const runtime = new ManualRuntime()
      const brake = new GcBrake(runtime)
      let isOver = false
      const wait = brake.wait(4 * MB, () => -1, () => due)?.then(() => (isOver = true))
      expect(wait === undefined).toBe(milliseconds === 0)
      while (wait !== undefined && !isOver) await runtime.advance(1)
      expect(runtime.monotonic()).toBeCloseTo(milliseconds)
    }
    const { brake, runtime } = engaged()
    let due = 500
    const wait = brake.wait(4 * MB, () => 0, () => due)
    await runtime.advance(1)
    due = 0
    brake.ease()
    await wait
    expect(runtime.monotonic()).toBe(1)
    brake.stop()
    expect(brake.wait(4 * MB, () => 0, () => 500)).toBeUndefined()
  })

  it('then goes on with what was let through, whatever the excess of one moment', async () => {
    const { brake, runtime } = engaged()
    await learn(brake, runtime)
    const waits: number[] = []
    for (const excess of [0, 0.35, 0.7, 0.95]) waits.push(await waitOf(brake, runtime, 4 * MB, () => excess))
    expect(waits[2]).toBeGreaterThan(30)
    expect(waits[2]).toBeLessThan(45)
    expect(waits[0]).toBeGreaterThan(waits[2]! * 0.4)
    expect(waits[3]).toBeLessThan(waits[2]! * 1.5)
    expect(await waitOf(brake, runtime, 4 * MB, () => 1.5)).toBeGreaterThan(300)
  })

  it.each([1000, 250, 60, 15])('comes to a rate at which %i MB come back a second: waits are alike, space rests', async (rate) => {
    const { brake, runtime } = engaged()
    const full = 26 * MB
    let garbage = 0
    let returned = 0
    const waits: number[] = []
    let most = 0
    // Garbage comes back in steps of 13 MB, as passes end.
    const giveBack = (): void => {
      for (; (returned + 13 * MB) / (rate * 1000) <= runtime.monotonic(); returned += 13 * MB) {
        garbage = Math.max(-full, garbage - 13 * MB)
        brake.ease()
      }
    }
    for (const end = runtime.monotonic() + 20_000; runtime.monotonic() < end; ) {
      const start = runtime.monotonic()
      garbage += 4 * MB
      let isOver = false
      const wait = brake.wait(4 * MB, () => garbage / full)?.then(() => (isOver = true))
      while (wait !== undefined && !isOver) {
        await runtime.advance(1)
        giveBack()
      }
      // Writing takes a while, too.
      await runtime.advance(2)
      giveBack()
      if (runtime.monotonic() > end - 10_000) {
        waits.push(runtime.monotonic() - start)
        most = Math.max(most, garbage / full)
      }
    }
    waits.sort((a, b) => a - b)
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
    expect((4 * MB) / mean / 1000, 'as much is written as comes back').toBeGreaterThan(0.95 * rate)
    expect(most).toBeLessThan(rate < 40 ? 1.8 : 1.25)
    if (rate >= 40) expect(waits[Math.floor(0.99 * waits.length)]! / mean, 'the 99th percentile over the mean').toBeLessThan(2)
  })

  it('learns: what it lets through rises while there is little excess, sinks while there is much, and not below 40 MB a second', async () => {
    const { brake, runtime } = engaged()
    await learn(brake, runtime)
    const at = async (excess: number, seconds: number): Promise<number> => {
      for (const end = runtime.monotonic() + 1000 * seconds; runtime.monotonic() < end; ) {
        await waitOf(brake, runtime, 4 * MB, () => excess)
        await runtime.advance(5)
      }
      return waitOf(brake, runtime, 4 * MB, () => 0.7)
    }
    const before = await at(0.7, 0)
    expect(await at(0.5, 0.5)).toBeLessThan(0.6 * before)
    expect(await at(0.9, 1)).toBeGreaterThan(1.3 * before)
    expect(await at(0.99, 20)).toBeCloseTo(100, 0)
  })

  it('has nobody wait twice for the same bytes', async () => {
    const { brake, runtime } = engaged()
    expect(await waitOf(brake, runtime, 4 * MB, () => 1)).toBe(100)
    expect(await waitOf(brake, runtime, 0.4 * MB, () => 1)).toBe(10)
  })

  it('ends a wait at once that is long enough for a rest of the background', async () => {
    const { brake, runtime } = engaged()
    await learn(brake, runtime)
    let isOver = false
    void brake.wait(4 * MB, () => 0.7)?.then(() => (isOver = true))
    await runtime.advance(12)
    expect(isOver).toBe(false)
    brake.release()
    await runtime.advance(0)
    expect(isOver).toBe(true)
  })

  it('ends a wait as soon as space that came back makes it long enough', async () => {
    const { brake, runtime } = engaged()
    let excess = 2
    const waited = waitOf(brake, runtime, 4 * MB, () => excess)
    await runtime.advance(30)
    excess = 0
    brake.ease()
    expect(await waited).toBeLessThan(40)
  })

  it('asks nothing before there is excess, and little for what was written by then', async () => {
    const { brake, runtime } = engaged()
    for (let i = 0; i < 100; i++) expect(brake.wait(4 * MB, () => -0.1)).toBeUndefined()
    expect(await waitOf(brake, runtime, 1 * MB, () => 1)).toBe(100)
  })

  it('slows on in short rests of the background, less, and not in long ones', async () => {
    const { brake, runtime } = engaged()
    await learn(brake, runtime)
    brake.release()
    expect(await waitOf(brake, runtime, 4 * MB, () => 3)).toBeLessThan(10)
    await runtime.advance(100)
    expect(brake.wait(100 * MB, () => 3)).toBeUndefined()
    brake.engage()
    expect(await waitOf(brake, runtime, 4 * MB, () => 0.7)).toBeGreaterThan(30)
  })

  it('ends every wait soon after the background has begun to rest', async () => {
    const { brake, runtime } = engaged()
    await learn(brake, runtime)
    let isOver = false
    void brake.wait(100 * MB, () => 3)?.then(() => (isOver = true))
    await runtime.advance(1)
    brake.release()
    await runtime.advance(0)
    await runtime.advance(50)
    expect(isOver).toBe(false)
    await runtime.advance(60)
    expect(isOver).toBe(true)
  })

  it('begins anew where there was no excess, or no work, for a while', async () => {
    const { brake, runtime } = engaged()
    const expectNew = async (): Promise<void> => expect(await waitOf(brake, runtime, 4 * MB, () => 0.5)).toBe(12.5)
    await learn(brake, runtime)
    expect(brake.wait(1, () => -1)).toBeUndefined()
    await expectNew()
    await learn(brake, runtime)
    await runtime.advance(1001)
    await expectNew()
  })

  it('lets everybody go when it is stopped', async () => {
    const { brake, runtime } = engaged()
    let isOver = false
    void brake.wait(100 * MB, () => 3)?.then(() => (isOver = true))
    await runtime.advance(1)
    expect(isOver).toBe(false)
    brake.stop()
    await runtime.advance(0)
    expect(isOver).toBe(true)
    expect(brake.wait(100 * MB, () => 3)).toBeUndefined()
  })

  it('ends every wait within a second, whatever is given back', async () => {
    const { brake, runtime } = engaged()
    let isOver = false
    void brake.wait(1000 * MB, () => 50)?.then(() => (isOver = true))
    await runtime.advance(999)
    expect(isOver).toBe(false)
    await runtime.advance(2)
    expect(isOver).toBe(true)
  })

  it('saves up waits shorter than a millisecond', () => {
    const { brake } = engaged()
    let groups = 0
    while (brake.wait(1000, () => 1) === undefined) groups++
    expect(groups).toBe(39)
    brake.stop()
  })
})
