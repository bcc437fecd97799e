import { expect, it } from 'vitest'
import { endlessStep, Rng } from '../src/index.js'

it.each([1, 1000, 20_261_128, 20_261_128_002, 2 ** 53 - 1])('the steps of seed %d differ, and each comes out again', (seed) => {
  const steps = Array.from({ length: 400 }, (_, step) => JSON.stringify(endlessStep(seed, step).map(({ key, value }) => [key, value?.length, value?.[0]])))
  expect(new Set(steps).size).toBeGreaterThan(300)
  expect(JSON.stringify(endlessStep(seed, 7).map(({ key, value }) => [key, value?.length, value?.[0]]))).toBe(steps[7])
})

it('neighbouring seeds have other steps', () => {
  expect(endlessStep(20_261_128_001, 0)).not.toEqual(endlessStep(20_261_128_002, 0))
})

it('a seed that a number cannot tell from its neighbours is refused', () => {
  for (const seed of [2 ** 53, -(2 ** 60), Infinity, Number.NaN]) expect(() => new Rng(seed)).toThrow(RangeError)
})
