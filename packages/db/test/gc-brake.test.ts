/** How writers are slowed: in proportion, for every group, and never for good. */
import { ManualRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { GcBrake } from '../src/gc-brake.js'

const MB = 1e6

/** A brake with a background that gives 1 MB back each 10 ms. */
function busy(): { brake: GcBrake; runtime: ManualRuntime } {
  const runtime = new ManualRuntime()
  const brake = new GcBrake(runtime)
  brake.engage()
  return { brake, runtime }
}

async function giveBack(brake: GcBrake, runtime: ManualRuntime, milliseconds: number): Promise<void> {
  for (let at = 0; at < milliseconds; at += 10) {
    await runtime.advance(10)
    brake.progress(MB)
  }
}

/** Milliseconds that a group waits while the background goes on; 0 if it does not. */
async function waitOf(brake: GcBrake, runtime: ManualRuntime, bytes: number, excess: () => number): Promise<number> {
  const start = runtime.monotonic()
  let end = start
  const wait = brake.wait(bytes, excess)?.then(() => (end = runtime.monotonic()))
  while (wait !== undefined && end === start) {
    expect(runtime.monotonic() - start).toBeLessThan(5000)
    await runtime.advance(1)
    if ((runtime.monotonic() - start) % 10 === 0) brake.progress(MB)
  }
  return end - start
}

describe('the brake', () => {
  it('lets writers go on at the rate of what comes back in the middle, at twice of it near the bound', async () => {
    const { brake, runtime } = busy()
    await giveBack(brake, runtime, 3000)
    expect(await waitOf(brake, runtime, 4 * MB, () => 0.5)).toBeGreaterThan(35)
    expect(await waitOf(brake, runtime, 4 * MB, () => 0.5)).toBeLessThan(46)
    expect(await waitOf(brake, runtime, 4 * MB, () => 0.01)).toBeLessThan(25)
    expect(await waitOf(brake, runtime, 4 * MB, () => 0)).toBe(0)
    expect(await waitOf(brake, runtime, 4 * MB, () => 1)).toBeGreaterThan(150)
    expect(brake.slowdowns).toBe(4)
    expect(brake.slowedMs).toBeGreaterThan(200)
  })

  it('knows the rate from the first moment on, and forgets it slowly where space comes back in lumps', async () => {
    const { brake, runtime } = busy()
    await giveBack(brake, runtime, 50)
    expect(await waitOf(brake, runtime, 4 * MB, () => 0.5)).toBeLessThan(50)
    await giveBack(brake, runtime, 2000)
    await runtime.advance(100)
    expect(await waitOf(brake, runtime, 4 * MB, () => 0.5)).toBeLessThan(60)
  })

  it('ends a wait as soon as space that came back makes it long enough', async () => {
    const { brake, runtime } = busy()
    await giveBack(brake, runtime, 1000)
    let excess = 2
    const waited = waitOf(brake, runtime, 4 * MB, () => excess)
    await runtime.advance(30)
    excess = 0
    expect(await waited).toBeLessThan(60)
  })

  it('lets everybody go when it is released, and nobody waits until it is engaged again', async () => {
    const { brake, runtime } = busy()
    let isOver = false
    void brake.wait(100 * MB, () => 3)?.then(() => (isOver = true))
    await runtime.advance(1)
    expect(isOver).toBe(false)
    brake.release()
    await runtime.advance(0)
    expect(isOver).toBe(true)
    expect(brake.wait(100 * MB, () => 3)).toBeUndefined()
    brake.engage()
    expect(brake.wait(100 * MB, () => 3)).toBeInstanceOf(Promise)
    brake.release()
  })

  it('ends every wait within a second, whatever is given back', async () => {
    const { brake, runtime } = busy()
    let isOver = false
    void brake.wait(1000 * MB, () => 50)?.then(() => (isOver = true))
    await runtime.advance(999)
    expect(isOver).toBe(false)
    await runtime.advance(2)
    expect(isOver).toBe(true)
  })

  it('saves up waits shorter than a millisecond', () => {
    const { brake } = busy()
    let groups = 0
    while (brake.wait(1000, () => 1) === undefined) groups++
    expect(groups).toBe(19)
    brake.release()
  })
})
