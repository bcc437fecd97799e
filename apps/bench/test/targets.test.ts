import { describe, expect, it } from 'vitest'
import { renderTables } from '../src/report/table.js'
import { boundOf, checkTargets } from '../src/report/target-check.js'
import { TARGETS } from '../src/report/targets.js'
import { WORKLOADS } from '../src/workloads/catalog.js'
import { engineResult, phaseResult, runReport } from './sample-report.js'

const KV = runReport(
  [
    engineResult('wk', [phaseResult('1 KiB load', 1), phaseResult('1 KiB get-sync', 1)]),
    engineResult('classic-level', [phaseResult('1 KiB load', 4), phaseResult('1 KiB get-sync', 1.2)]),
    engineResult('lmdb', [phaseResult('1 KiB load', 2)], 'lost a value'),
  ],
  'kv',
)

describe('targets', () => {
  it('are met or missed by the ratio of the rates', () => {
    const checked = checkTargets(KV).map(({ target, value, met }) => [target.phase, target.rival, value, boundOf(target), met])
    expect(checked).toEqual([
      ['1 KiB load', 'classic-level', 4, '≥ 3', true],
      ['1 KiB get-sync', 'classic-level', 1.2, '≥ 1.5', false],
    ])
  })

  it('are left out for an engine that failed, and for what did not run', () => {
    expect(checkTargets(KV).some(({ target }) => target.rival === 'lmdb' || target.phase === '1 KiB put')).toBe(false)
  })

  it('stand beside the figures', () => {
    const text = renderTables(KV, false)
    expect(text).toContain('4.00x (≥ 3) ✓')
    expect(text).toContain('1.20x (≥ 1.5) ✗')
    expect(text).toContain('targets: 1 of 2 met')
  })

  it('of figures and of latencies are upper bounds', () => {
    const slow = { of: 'put', count: 10, mean: 1, p50: 1, p99: 250, max: 300 }
    const report = runReport(
      [
        engineResult('wk', [
          phaseResult('16 KiB zipfian overwrite', 1, { figures: { 'space amp, worst': 1.5 }, latency: slow }),
          phaseResult('16 KiB zipfian after', 30, { figures: { 'space amp, last': 1.2, 'written per user byte': 2.3 } }),
        ]),
        engineResult('wk-gc-off', [phaseResult('16 KiB zipfian overwrite', 0.9)]),
      ],
      'churn',
    )
    expect(checkTargets(report).map(({ met, value }) => [Math.round(value * 100) / 100, met])).toEqual([
      [1.5, false],
      [1.2, true],
      [2.3, true],
      [0.9, true],
      [2.5, false],
    ])
    expect(renderTables(report, false)).toContain('½ min later')
  })

  it('hold for copies alone as for the engine as it comes', () => {
    const phases = (amp: number) => [
      phaseResult('16 KiB uniform overwrite', 1, { figures: { 'space amp, worst': amp } }),
      phaseResult('16 KiB uniform after', 30, { figures: { 'space amp, last': 1.2, 'written per user byte': 2.8 } }),
    ]
    const report = runReport([engineResult('wk', phases(1.3)), engineResult('wk-copies', phases(1.5)), engineResult('wk-gc-off', phases(6))], 'churn')
    const outcomes = (engine: string) => checkTargets(report).filter(({ target }) => target.engine === engine).map(({ target: { measure, phase, most, least, rival }, met }) => [phase, measure, most, least, rival, met])
    // Space at worst and later, bytes written, rate and latency.
    expect(outcomes('wk').map((one) => one.at(-1))).toEqual([true, true, false, true, true])
    expect(outcomes('wk-copies').map((one) => one.at(-1))).toEqual([false, true, false, true, true])
    expect(outcomes('wk-copies').map((one) => one.slice(0, -1))).toEqual(outcomes('wk').map((one) => one.slice(0, -1)))
    expect(renderTables(report, false)).toContain('wk-copies')
  })

  it('name only workloads, engines and bounds that there are', () => {
    for (const workload of Object.values(WORKLOADS)) {
      for (const { engine, rival, least, most } of TARGETS[workload.name]) {
        expect(workload.engines).toContain(engine)
        if (rival !== undefined) expect(workload.engines).toContain(rival)
        expect(least === undefined).not.toBe(most === undefined)
      }
    }
  })
})
