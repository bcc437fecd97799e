/** What the plan says to figures and files that are made up. */
import { describe, expect, it } from 'vitest'
import { allowedGarbage, fileLimitOf, isComing, planStep, pressureOf, strainOf, victimsBeyond, withPassing, type PlanState, type SpaceBounds } from '../src/gc-plan.js'
import type { ValueLogFile } from '../src/gc-victims.js'
import type { SpaceFigures } from '../src/space-figures.js'

const MB = 1e6
const BOUNDS: SpaceBounds = { soft: 1.285, hard: 1.3, allowance: 32 * MB, fileSize: 256 * MB, leastGap: () => undefined }
const WRITTEN = { isBringingOut: false, canBringOut: true, gapBytes: 0, isIdle: false }
const BRINGING = { isBringingOut: true, canBringOut: true, gapBytes: 0, isIdle: false }
const NOTHING_NEW = { isBringingOut: false, canBringOut: false, gapBytes: 0, isIdle: false }

/** 400 MB alive, if nothing else is said, so much garbage that is known and so much that is hidden. */
function figures(known: number, hidden: number, liveBytes = 400 * MB): SpaceFigures {
  const knownLiveBytes = liveBytes + hidden
  const diskBytes = knownLiveBytes + known
  return { diskBytes, tableBytes: MB, referencedBytes: knownLiveBytes, references: Math.round(knownLiveBytes / 16_384), knownLiveBytes, hiddenBytes: hidden, liveBytes, knownSpaceAmp: diskBytes / knownLiveBytes, spaceAmp: diskBytes / liveBytes }
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

  it('counts the log, and the tables of a merge once more, where values are long enough for gaps; a quarter of the garbage allowed at most', () => {
    const now = figures(20 * MB, 10 * MB)
    expect(withPassing(now, 2 * MB, BOUNDS)).toEqual(now)
    const filling = { ...BOUNDS, leastGap: () => 1024 }
    expect(withPassing(now, 2 * MB, filling)).toEqual({ ...now, diskBytes: now.diskBytes + 3 * MB })
    expect(withPassing({ ...now, tableBytes: 20 * MB }, 50 * MB, filling).diskBytes).toBeCloseTo(now.diskBytes + 30 * MB)
    expect(withPassing(now, 2 * MB, { ...BOUNDS, leastGap: () => 20_000 })).toEqual(now)
  })

  it('copies in passes that are small beside the garbage that is allowed', () => {
    const step = planStep(figures(300 * MB, 0), Array.from({ length: 30 }, (_, i) => file(i + 1, 0.6)), BOUNDS, NOTHING_NEW)
    expect(step.kind).toBe('relocate')
    const copied = step.kind === 'relocate' ? step.victims.reduce((sum, { liveBytes }) => sum + liveBytes, 0) : 0
    expect(copied).toBeGreaterThan(5 * MB)
    expect(copied).toBeLessThan(0.1 * 120 * MB)
  })

  it('works between the soft and the hard bound, and lets be what the allowance covers', () => {
    // 114 MB at the soft bound, 120 at the hard one.
    expect(planStep(figures(82 * MB, 35 * MB), [file(1, 0.1)], BOUNDS, WRITTEN).kind).toBe('bring out')
    expect(planStep(figures(117 * MB, 0), [file(1, 0.5)], BOUNDS, NOTHING_NEW).kind).toBe('relocate')
    // Half of 40 MB, and less than the 32 that are let be.
    expect(planStep(figures(20 * MB, 0, 40 * MB), [file(1, 0.5)], BOUNDS, WRITTEN).kind).toBe('rest')
    expect(allowedGarbage(40 * MB, BOUNDS).soft).toBe(32 * MB)
  })

  it('brings nothing out for little, but what waits in files of which tables know nothing yet', () => {
    expect(planStep(figures(115 * MB, 10 * MB), [file(1, 0.5)], BOUNDS, WRITTEN)).toMatchObject({ kind: 'relocate', victims: [{ number: 1 }] })
    const unflushed = [file(1, 0.5, 'unflushed'), file(2, 0.5, 'unflushed')]
    expect(planStep(figures(120 * MB, 2 * MB), unflushed, BOUNDS, WRITTEN)).toMatchObject({ kind: 'bring out', victims: [] })
    expect(planStep(figures(120 * MB, 2 * MB), unflushed.slice(1), BOUNDS, WRITTEN).kind).toBe('rest')
  })

  it('ends the active file with what it brings out if most of that file is garbage', () => {
    expect(planStep(figures(90 * MB, 35 * MB), [file(1, 0.6, 'active')], BOUNDS, WRITTEN)).toMatchObject({ kind: 'bring out', seal: true })
    expect(planStep(figures(90 * MB, 35 * MB), [file(1, 0.4, 'active')], BOUNDS, WRITTEN)).toMatchObject({ kind: 'bring out', seal: false })
  })
})

describe('while gaps are filled', () => {
  // 120 MB of garbage are allowed, 139.2 while gaps are filled.
  const FILLED: SpaceBounds = { ...BOUNDS, leastGap: () => 8192 }
  const left = (gapBytes: number, isBringingOut = false): PlanState => ({ isBringingOut, canBringOut: true, gapBytes: gapBytes * MB, isIdle: false })

  it('hidden garbage is brought out when it is three quarters of the gaps that are left, if that is worth it', () => {
    const kind = (hidden: number, gaps: number): string => planStep(figures((125 - hidden) * MB, hidden * MB), [file(1, 0.5)], FILLED, left(gaps)).kind
    expect([kind(44, 60), kind(46, 60)]).toEqual(['rest', 'bring out'])
    expect([kind(29, 20), kind(31, 20)]).toEqual(['rest', 'bring out'])
    expect(planStep(figures(80 * MB, 45 * MB), [file(1, 0.5)], FILLED, left(60, true)).kind).toBe('rest')
    // What waits for a flush waits on.
    expect(planStep(figures(120 * MB, 2 * MB), [file(1, 0.5, 'unflushed'), file(2, 0.5, 'unflushed')], FILLED, left(60)).kind).toBe('rest')
    expect(planStep(figures(30 * MB, 40 * MB), [], FILLED, left(1)).kind).toBe('rest')
  })

  it('nothing is copied up to 16 % more garbage than allowed', () => {
    const files = [file(1, 0.25), file(2, 0.5)]
    expect(planStep(figures(139 * MB, 0), files, FILLED, left(60)).kind).toBe('rest')
    expect(planStep(figures(140 * MB, 0), files, FILLED, left(60))).toMatchObject({ kind: 'relocate', victims: [{ number: 2 }] })
    expect(planStep(figures(89 * MB, 50 * MB), files, FILLED, left(60))).toMatchObject({ kind: 'bring out', victims: [] })
    expect(planStep(figures(90 * MB, 50 * MB), files, FILLED, left(60))).toMatchObject({ kind: 'bring out', victims: [{ number: 2 }] })
    expect(planStep(figures(121 * MB, 0), files, FILLED, left(0)).kind).toBe('relocate')
  })

  it('once nobody writes any more files are copied down to the middle of the bounds, even those that are nearly all alive', () => {
    const idle: PlanState = { ...NOTHING_NEW, isIdle: true }
    // The soft bound is at 114 MB, the hard one at 120.
    const kind = (garbage: number, state: PlanState): string => planStep(figures(garbage * MB, 0), [file(1, 0.2), file(2, 0.2)], FILLED, state).kind
    expect([kind(116, idle), kind(118, idle), kind(119, NOTHING_NEW), kind(121, NOTHING_NEW)]).toEqual(['rest', 'relocate', 'rest', 'relocate'])
  })

  it('what is beyond that is copied instead of being filled', () => {
    const files = [file(1, 0.25), file(2, 0.5), file(3, 0.5), file(4, 0.5, 'filling')]
    expect(victimsBeyond(figures(139 * MB, 0), files, FILLED)).toEqual([])
    expect(victimsBeyond(figures(140 * MB, 0), files, FILLED)).toMatchObject([{ number: 2 }])
    expect(victimsBeyond(figures(145 * MB, 0), files, FILLED)).toMatchObject([{ number: 2 }, { number: 3 }])
  })

  it('writers are slowed by what is beyond that', () => {
    expect([strainOf(1, 0.2, false), strainOf(1, 0.2, true), strainOf(0, 0.2, true)].map((one) => Math.round(100 * one) / 100)).toEqual([1, 0.2, -0.8])
  })

  it('garbage is brought out from seven tenths of the way to the soft bound on, where values are long enough for gaps', () => {
    // The soft bound is at 114 MB.
    const kind = (garbage: number, state: PlanState, bounds: SpaceBounds, references = 24_000): string => planStep({ ...figures((garbage - 31) * MB, 31 * MB), references }, [file(1, 0.5)], bounds, state).kind
    expect([kind(79, WRITTEN, FILLED), kind(81, WRITTEN, FILLED), kind(81, WRITTEN, FILLED, 100_000), kind(81, WRITTEN, BOUNDS), kind(81, BRINGING, FILLED), kind(81, left(60), FILLED)]).toEqual(['rest', 'bring out', 'rest', 'rest', 'rest', 'rest'])
    expect(planStep(figures(50 * MB, 31 * MB), [file(1, 0.5)], FILLED, WRITTEN)).toMatchObject({ kind: 'bring out', victims: [], seal: false })
    expect(planStep(figures(60 * MB, 25 * MB), [file(1, 0.5)], FILLED, WRITTEN).kind).toBe('rest')
  })

  it('value logs are twice as long, where values are long enough for gaps', () => {
    const end = (references: number, bounds: SpaceBounds): number => Math.round(fileLimitOf({ ...figures(77 * MB, 0), references }, bounds).end) / MB
    expect([end(24_000, FILLED), end(48_000, FILLED), end(50_000, FILLED), end(24_000, BOUNDS), end(0, FILLED)]).toEqual([20, 20, 10, 10, 10])
  })
})

describe('pressure', () => {
  it('is 0 at the soft bound, 1 at the hard one, and negative below', () => {
    const { soft, hard } = allowedGarbage(400 * MB, BOUNDS)
    const at = (garbage: number): number => pressureOf({ diskBytes: 400 * MB + garbage, liveBytes: 400 * MB }, BOUNDS)
    expect([at(0), at(soft), at((soft + hard) / 2), at(hard)].map((pressure) => Math.round(100 * pressure) / 100)).toEqual([-1, 0, 0.5, 1])
  })

  it('a thread gets ready at an eighth of the way', () => {
    expect([isComing(figures(14 * MB, 0), BOUNDS), isComing(figures(10 * MB, 5 * MB), BOUNDS)]).toEqual([false, true])
  })
})

describe('the reason to rest', () => {
  it('is the ratio, or where that is over its bound the garbage that is let be', () => {
    const reason = (disk: number, live: number): string => planStep({ ...figures(0, 0), diskBytes: disk * MB, liveBytes: live * MB, spaceAmp: disk / live, hiddenBytes: 0 }, [], BOUNDS, WRITTEN).reason
    expect(reason(420, 400)).toMatch(/^space amplification 1\.05 is within 1\./)
    expect(reason(10, 1)).toMatch(/^8\.6 MiB of garbage are less than is let be/)
  })
})

describe('values with files of their own', () => {
  const alone = (referenced: number, references: number, live = 400): number => fileLimitOf({ ...figures(0, 0, live * MB), referencedBytes: referenced * MB, references }, BOUNDS).alone

  it('are those much longer than the mean, too long to be written at the call', () => {
    expect(alone(256, 8000)).toBe(8 * 2 ** 20 + 1)
    expect(alone(256, 256)).toBe(16 * MB)
    expect(alone(400, 40)).toBe(160 * MB)
    expect(alone(0, 0)).toBe(Infinity)
  })

  it('are a good part of a file', () => {
    expect(Math.round(alone(32_000, 32_000_000, 32_000) / MB)).toBe(32)
    expect(Math.round(alone(3200, 3_200_000, 3200) / MB)).toBe(25)
  })
})

describe('the size of value logs', () => {
  const mb = (known: number, live: number, bounds = BOUNDS): [number, number] => {
    const { end, waiting } = fileLimitOf(figures(known * MB, 0, live * MB), bounds)
    return [Math.round(end) / MB, waiting / 2 ** 20]
  }

  it('while there is little garbage: a sixteenth of what is alive, or half of what is let be; their syncs wait for each other', () => {
    expect(mb(0, 400)).toEqual([25, 64])
    expect(mb(0, 100)).toEqual([16, 64])
    expect(mb(75, 400)).toEqual([25, 64])
  })

  it('from two thirds of the way to the soft bound on: a twelfth of the garbage allowed, synced at once', () => {
    expect(mb(77, 400)).toEqual([10, 0])
    expect(mb(300, 1200)).toEqual([30, 0])
    // At least 8 MiB, and never more than the option says.
    expect(mb(30, 40)).toEqual([8.388608, 0])
    expect(mb(1000, 40_000, { ...BOUNDS, fileSize: 20 * MB })).toEqual([2500, 64])
    expect(mb(10_000, 40_000, { ...BOUNDS, fileSize: 20 * MB })).toEqual([20, 0])
  })
})
