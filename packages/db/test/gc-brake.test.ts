/** How writers are slowed: in proportion, for every group, and never for good. */
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

describe('the brake', () => {
  it('lets writers go on at 40 MB a second at full excess, at eight times of it in the middle, at a third further on', async () => {
    for (const [excess, milliseconds] of [[0, 0], [0.1, 0], [0.5, 12.5], [1, 100], [1.5, 337.5]] as const) {
      const { brake, runtime } = engaged()
      expect(await waitOf(brake, runtime, 4 * MB, () => excess)).toBeCloseTo(milliseconds)
      expect(brake.slowedMs).toBeCloseTo(milliseconds)
      expect(brake.slowdowns).toBe(milliseconds === 0 ? 0 : 1)
    }
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

  it('asks little for what was written without excess, and later for what was let through', async () => {
    const { brake, runtime } = engaged()
    for (let i = 0; i < 100; i++) expect(brake.wait(4 * MB, () => 0)).toBeUndefined()
    expect(await waitOf(brake, runtime, 4 * MB, () => 1)).toBe(400)
    brake.release()
    expect(brake.wait(4 * MB, () => 1)).toBeUndefined()
    brake.engage()
    expect(await waitOf(brake, runtime, 4 * MB, () => 1)).toBe(200)
  })

  it('lets everybody go when it is released, and nobody waits until it is engaged again', async () => {
    const { brake, runtime } = engaged()
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
    brake.release()
  })
})
