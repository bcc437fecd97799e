/** How the gaps that are left are spread over the time until the next ones are there. */
import { ManualRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { GapPace } from '../src/gap-pace.js'

const MB = 1e6

/** Rounds in which bringing garbage out takes 80 ms and opening gaps 40. */
async function learnt(): Promise<{ pace: GapPace; runtime: ManualRuntime }> {
  const runtime = new ManualRuntime()
  const pace = new GapPace(runtime)
  for (let round = 0; round < 20; round++) {
    pace.beginOut()
    await runtime.advance(80)
    pace.endOut(true)
    pace.beginOpening()
    await runtime.advance(40)
    pace.endOpening(true)
  }
  return { pace, runtime }
}

/** Milliseconds until a group of `bytes` is due. */
function waitOf(pace: GapPace, runtime: ManualRuntime, bytes: number, gapBytes: number): number {
  pace.note(bytes, gapBytes)
  return Math.max(0, pace.due - runtime.monotonic())
}

describe('the pace of writers', () => {
  it('holds nobody up while no gaps are on their way', async () => {
    const { pace, runtime } = await learnt()
    expect(pace.areNextDue).toBe(false)
    expect(waitOf(pace, runtime, 40 * MB, 5 * MB)).toBe(0)
  })

  it('makes gaps last until the next ones are there, and what writing takes is part of it', async () => {
    const { pace, runtime } = await learnt()
    const start = runtime.monotonic()
    pace.note(4 * MB, 0)
    pace.beginOut()
    let gaps = 60 * MB
    let longest = 0
    let isOpening = false
    while (runtime.monotonic() - start < 120) {
      await runtime.advance(3)
      gaps -= 4 * MB
      const wait = waitOf(pace, runtime, 4 * MB, gaps)
      longest = Math.max(longest, wait)
      await runtime.advance(wait)
      if (isOpening || runtime.monotonic() - start < 80) continue
      isOpening = true
      pace.endOut(true)
      pace.beginOpening()
    }
    // Fifteen groups, a fifteenth of 120 ms for each, and the last ones a little longer.
    expect(longest).toBeLessThan(20)
    expect(gaps).toBeGreaterThanOrEqual(0)
    expect(gaps).toBeLessThan(20 * MB)
  })

  it('lets go when the next gaps are there, or none come any more', async () => {
    const { pace, runtime } = await learnt()
    pace.note(4 * MB, 100 * MB)
    pace.beginOpening()
    expect(waitOf(pace, runtime, 4 * MB, 8 * MB)).toBeGreaterThan(10)
    pace.endOpening(true)
    expect(pace.due).toBe(runtime.monotonic())
    pace.beginOpening()
    pace.note(4 * MB, 8 * MB)
    pace.endOpening(false)
    expect(pace.due, 'nor when none came').toBe(runtime.monotonic())
  })

  it('holds nobody up for longer than the next gaps take, whatever was written at once, nor at all where there is room', async () => {
    const { pace, runtime } = await learnt()
    pace.beginOut()
    expect(waitOf(pace, runtime, 64 * MB, 2 * MB)).toBeLessThanOrEqual(125)
    expect(waitOf(pace, runtime, 4096, 2 * MB)).toBeLessThanOrEqual(125)
    const idle = await learnt()
    idle.pace.beginOut()
    expect(waitOf(idle.pace, idle.runtime, 64 * MB, Infinity)).toBe(0)
  })

  it('has one group at a time wait where hardly any are left, for as long as the next ones take, however late they are', async () => {
    const { pace, runtime } = await learnt()
    pace.note(4 * MB, 0)
    pace.beginOpening()
    const wait = waitOf(pace, runtime, 4 * MB, 0)
    expect(wait).toBeGreaterThan(5)
    expect(wait).toBeLessThan(45)
    await runtime.advance(500)
    expect(waitOf(pace, runtime, 4 * MB, 0)).toBeLessThan(15)
  })
})
