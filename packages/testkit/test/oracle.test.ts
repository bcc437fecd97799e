import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CrashOracle, type Bounds, type Change, type Model } from '../src/index.js'

const put = (key: string, text: string): Change => ({ key, value: Buffer.from(text) })
const del = (key: string): Change => ({ key, value: undefined })
const visible = (entries: Record<string, string>): Map<string, Uint8Array> => new Map(Object.entries(entries).map(([key, text]) => [key, Buffer.from(text)]))
const asMap = (model: Model): Map<string, Uint8Array> => new Map(model.entries())

function oracleOf(steps: Change[][], must: number): { oracle: CrashOracle; bounds: Bounds } {
  const oracle = new CrashOracle()
  for (const changes of steps) oracle.record(changes)
  if (must > 0) oracle.acknowledge(must, true)
  return { oracle, bounds: oracle.bounds(false) }
}

describe('bounds', () => {
  it('an acknowledgement counts for a dead process, only a durable one for lost power', () => {
    const oracle = new CrashOracle()
    for (let i = 0; i < 5; i++) oracle.record([put('k', String(i))])
    oracle.acknowledge(2, true)
    oracle.acknowledge(4, false)
    expect(oracle.bounds(true)).toEqual({ must: 4, may: 5 })
    expect(oracle.bounds(false)).toEqual({ must: 2, may: 5 })
  })

  it('knows three states of a key', () => {
    const { oracle, bounds } = oracleOf([[put('a', '1')], [put('b', '1')], [del('b')], [put('a', '2')]], 2)
    expect(oracle.keyState('zzz', bounds)).toEqual({ state: 'absent' })
    expect(oracle.keyState('a', bounds)).toMatchObject({ state: 'maybe' })
    expect(oracle.keyState('b', { must: 3, may: 4 })).toEqual({ state: 'absent' })
    expect(oracle.keyState('a', { must: 4, may: 4 })).toMatchObject({ state: 'present' })
  })
})

describe('the oracle accepts every prefix between the bounds and nothing else', () => {
  const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.integer({ min: 0, max: 1e9 }), { nil: undefined }))
  const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 30 })
  const toChanges = (step: [string, number | undefined][]): Change[] => step.map(([key, number]) => (number === undefined ? del(key) : put(key, String(number))))

  it('property', () => {
    fc.assert(
      fc.property(steps, fc.nat(30), fc.nat(30), (drawn, must, other) => {
        const all = drawn.map(toChanges)
        const { oracle, bounds } = oracleOf(all, Math.min(must, all.length))
        const n = Math.min(other, all.length)
        const verdict = oracle.check(asMap(oracle.modelAfter(n)), bounds)
        if (n >= bounds.must) expect(verdict.ok).toBe(true)
        if (!verdict.ok) expect(n).toBeLessThan(bounds.must)
        const stranger = asMap(oracle.modelAfter(n)).set('never written', Buffer.from('x'))
        expect(oracle.check(stranger, bounds).ok).toBe(false)
      }),
    )
  })
})

describe('the oracle refuses', () => {
  it('a lost acknowledged write', () => {
    const { oracle, bounds } = oracleOf([[put('a', '1')], [put('b', '1')]], 2)
    expect(oracle.check(visible({ a: '1' }), bounds)).toMatchObject({ ok: false, law: 1 })
  })
  it('a deleted key that comes back', () => {
    const { oracle, bounds } = oracleOf([[put('a', '1')], [del('a')]], 2)
    expect(oracle.check(visible({ a: '1' }), bounds)).toMatchObject({ ok: false, law: 4 })
  })
  it('half a batch', () => {
    const { oracle, bounds } = oracleOf([[put('a', '1')], [put('b', '2'), put('c', '3')]], 1)
    expect(oracle.check(visible({ a: '1', b: '2' }), bounds)).toMatchObject({ ok: false, law: 2 })
    expect(oracle.check(visible({ a: '1', b: '2', c: '3' }), bounds)).toEqual({ ok: true, steps: 2 })
  })
  it('a later write without an earlier one', () => {
    const { oracle, bounds } = oracleOf([[put('a', '1')], [put('b', '2')], [put('c', '3')]], 0)
    expect(oracle.check(visible({ a: '1', c: '3' }), bounds)).toMatchObject({ ok: false, law: 1 })
  })
  it('an old value of an acknowledged overwrite', () => {
    const { oracle, bounds } = oracleOf([[put('a', '1')], [put('a', '2')]], 2)
    expect(oracle.check(visible({ a: '1' }), bounds)).toMatchObject({ ok: false, law: 1 })
  })
})
