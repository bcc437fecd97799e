import { describe, expect, it } from 'vitest'
import { drawHistory, HistoryFailure, HistoryRunner, modelProfile, Rng, shrinkHistory, type Operation } from '../src/index.js'
import { ModelStore, type Fault } from './model-database.js'

const draw = (seed: number, operations = 500): Operation[] => drawHistory(new Rng(seed), modelProfile(operations, 64))

describe('a history', () => {
  it('passes on a database that is right', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const runner = new HistoryRunner(new ModelStore().open)
      await runner.run(draw(seed))
      expect(runner.counts.operations).toBeGreaterThanOrEqual(500)
    }
  })

  it('is the same for the same seed and another for another', () => {
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('holds every kind of operation, maintenance among them', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const kinds = new Set(draw(seed).map((operation) => operation.type))
      for (const kind of ['write', 'get', 'scan', 'seekScan', 'openIterator', 'snapshot', 'gc', 'compact', 'drain'] as const) {
        expect(kinds, `seed ${seed}`).toContain(kind)
      }
    }
  })
})

describe('the runner notices', () => {
  const faults: Fault[] = ['keeps buffers', 'shares values', 'loses a delete', 'limit off by one', 'snapshot moves', 'reverse unsorted', 'partial batch', 'gc resurrects', 'late read', 'seek exclusive', 'open after close']
  for (const fault of faults) {
    it(`a database that ${fault}`, async () => {
      let noticed = 0
      for (let seed = 1; seed <= 5; seed++) {
        const failure = await new HistoryRunner(new ModelStore(fault).open).run(draw(seed)).catch((err: unknown) => err)
        if (failure instanceof HistoryFailure) noticed++
      }
      expect(noticed).toBeGreaterThan(0)
    })
  }
})

it('a failing history is cut down to a few operations', async () => {
  const fails = async (candidate: readonly Operation[]): Promise<boolean> =>
    new HistoryRunner(new ModelStore('loses a delete').open).run(candidate).then(
      () => false,
      () => true,
    )
  const short = await shrinkHistory(draw(3), fails)
  expect(await fails(short)).toBe(true)
  expect(short.length).toBeLessThan(20)
})
