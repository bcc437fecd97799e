import { describe, expect, it } from 'vitest'
import { measureGarbage, pickVictims, spaceAmplification, type GcFileInfo } from '../src/index.js'

function file(fid: number, payload: number, discardBytes: number, more: Partial<GcFileInfo> = {}): GcFileInfo {
  return { fid, size: payload + 20, validEnd: payload + 20, sealed: true, discardBytes, ...more }
}

const fids = (files: GcFileInfo[], discardRatio: number): number[] =>
  pickVictims(files, { discardRatio }).map((candidate) => candidate.file.fid)

describe('picker', () => {
  it('ranks all files by dead ratio, not by dead bytes', () => {
    expect(fids([file(1, 1000, 500), file(2, 100, 90), file(3, 1000, 700), file(4, 100, 10)], 0.5)).toEqual([2, 3, 1])
  })

  it('one big file under the ratio hides no other (badger #2334)', () => {
    expect(fids([file(1, 1_000_000, 400_000), file(2, 100, 60)], 0.5)).toEqual([2])
  })

  it('skips the active and retired files instead of giving up', () => {
    const files = [file(1, 100, 99, { retired: true }), file(2, 100, 60), file(3, 100, 100, { sealed: false })]
    expect(fids(files, 0.5)).toEqual([2])
  })

  it('takes a file exactly at the ratio', () => {
    expect(fids([file(1, 100, 50)], 0.5)).toEqual([1])
    expect(fids([file(1, 100, 49)], 0.5)).toEqual([])
  })

  it('breaks ties by dead bytes, then by age', () => {
    expect(fids([file(3, 100, 60), file(1, 100, 60), file(2, 200, 120)], 0.5)).toEqual([2, 1, 3])
  })

  it('a file without any record holds nothing that could be reclaimed', () => {
    expect(fids([file(1, 0, 0)], 0.01)).toEqual([])
  })

  it('a supplied figure goes before the live bytes of the log, and these before its discard statistics', () => {
    const candidate = file(1, 100, 10, { liveBytes: 40 })
    expect(measureGarbage(candidate, () => 5).deadBytes).toBe(95)
    expect(measureGarbage(candidate, () => undefined).deadBytes).toBe(60)
    expect(measureGarbage(file(1, 100, 10)).deadBytes).toBe(10)
  })

  it('figures that cannot be right are clamped', () => {
    expect(measureGarbage(file(1, 100, 500)).deadRatio).toBe(1)
    expect(measureGarbage(file(1, 100, 0), () => 500).deadRatio).toBe(0)
  })

  it('ranks files found damaged last', () => {
    const candidates = pickVictims([file(1, 100, 90), file(2, 100, 60)], { discardRatio: 0.5, last: new Set([1]) })
    expect(candidates.map((candidate) => candidate.file.fid)).toEqual([2, 1])
  })

  it('space amplification counts garbage and what waits for readers', () => {
    expect(spaceAmplification([])).toBe(1)
    expect(spaceAmplification([file(1, 80, 50)])).toBe(2)
    expect(spaceAmplification([file(1, 80, 0), file(2, 80, 0, { retired: true })])).toBe(2)
  })
})
