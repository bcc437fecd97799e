/** What the plan says to figures and files that are made up. */
import { describe, expect, it } from 'vitest'
import { planStep, type SpaceBounds } from '../src/gc-plan.js'
import type { ValueLogFile } from '../src/gc-victims.js'
import type { SpaceFigures } from '../src/space-figures.js'

const MB = 1e6
const BOUNDS: SpaceBounds = { soft: 1.285, hard: 1.3, allowance: 32 * MB, fileSize: 256 * MB }
const WRITTEN = { isBringingOut: false, canBringOut: true }
const BRINGING = { isBringingOut: true, canBringOut: true }
const NOTHING_NEW = { isBringingOut: false, canBringOut: false }

/** 400 MB alive, so much garbage that is known and so much that is hidden. */
function figures(known: number, hidden: number): SpaceFigures {
  const liveBytes = 400 * MB
  const knownLiveBytes = liveBytes + hidden
  const diskBytes = knownLiveBytes + known
  return { diskBytes, tableBytes: MB, referencedBytes: knownLiveBytes, knownLiveBytes, hiddenBytes: hidden, liveBytes, knownSpaceAmp: diskBytes / knownLiveBytes, spaceAmp: diskBytes / liveBytes }
}

function file(number: number, deadRatio: number, state: ValueLogFile['state'] = 'collectable'): ValueLogFile {
  const recordBytes = 10 * MB
  return { number, relocated: false, generation: 0, logical: [number], runs: 0, size: recordBytes, recordBytes, liveBytes: recordBytes * (1 - deadRatio), liveRecords: 600, deadRatio, age: 50 - number, state }
}

describe('the plan', () => {
  it('rests below the soft bound, and brings hidden garbage out above it', () => {
    expect(planStep(figures(40 * MB, 10 * MB), [file(1, 0.5)], BOUNDS, WRITTEN).kind).toBe('rest')
    expect(planStep(figures(40 * MB, 35 * MB), [file(1, 0.5)], BOUNDS, WRITTEN).kind).toBe('rest')
    expect(planStep(figures(90 * MB, 35 * MB), [file(1, 0.1)], BOUNDS, WRITTEN)).toMatchObject({ kind: 'bring out', victims: [] })
    expect(planStep(figures(90 * MB, 35 * MB), [file(1, 0.1)], BOUNDS, NOTHING_NEW).kind).toBe('rest')
    expect(planStep(figures(90 * MB, 35 * MB), [file(1, 0.1)], BOUNDS, BRINGING).kind).toBe('rest')
  })

  it('takes files that hold clearly more garbage than the average, while hidden garbage comes out, and others only when nothing is to come', () => {
    const files = [file(1, 0.25), file(2, 0.5), file(3, 0.5, 'moving'), file(4, 0.5, 'unflushed')]
    expect(planStep(figures(95 * MB, 40 * MB), files, BOUNDS, WRITTEN)).toMatchObject({ kind: 'bring out', victims: [{ number: 2 }] })
    expect(planStep(figures(95 * MB, 40 * MB), files, BOUNDS, BRINGING)).toMatchObject({ kind: 'relocate', victims: [{ number: 2 }] })
    const poor = [file(1, 0.25), file(3, 0.5, 'moving')]
    expect(planStep(figures(125 * MB, 10 * MB), poor, BOUNDS, BRINGING).kind).toBe('rest')
    expect(planStep(figures(125 * MB, 10 * MB), poor, BOUNDS, NOTHING_NEW)).toMatchObject({ kind: 'relocate', victims: [{ number: 1 }] })
  })

  it('finds victims where nearly everything is garbage', () => {
    expect(planStep(figures(3600 * MB, 0), [file(1, 0.92), file(2, 0.9)], BOUNDS, BRINGING)).toMatchObject({ kind: 'relocate', victims: [{ number: 1 }] })
  })

  it('copies in passes that are small beside the garbage that is allowed', () => {
    const step = planStep(figures(300 * MB, 0), Array.from({ length: 30 }, (_, i) => file(i + 1, 0.6)), BOUNDS, NOTHING_NEW)
    expect(step.kind).toBe('relocate')
    const copied = step.kind === 'relocate' ? step.victims.reduce((sum, { liveBytes }) => sum + liveBytes, 0) : 0
    expect(copied).toBeGreaterThan(5 * MB)
    expect(copied).toBeLessThan(0.1 * 120 * MB)
  })
})
