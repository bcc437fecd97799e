import type { EngineResult, PhaseResult, RunReport } from '../src/report/result.js'

/** A phase of 1,000 operations. */
export function phaseResult(name: string, seconds: number, change: Partial<PhaseResult> = {}): PhaseResult {
  return {
    name,
    title: `${name} of <values>`,
    operations: 1000,
    bytes: 4_000_000,
    seconds,
    cpuSeconds: seconds / 2,
    latency: { of: 'put', count: 1000, mean: 10, p50: 9, p99: 100, max: 250 },
    loopDelay: { p99: 1, max: 12 },
    written: { handed: 6_000_000, dirtied: 8_000_000 },
    wallSeconds: seconds * 2,
    writes: name === 'load',
    diskBytes: 5_000_000,
    liveBytes: 4_000_000,
    note: null,
    ...change,
  }
}

/** An engine that ran. */
export function engineResult(name: EngineResult['engine'], phases: PhaseResult[], failure: string | null = null): EngineResult {
  return {
    engine: name,
    version: '1.0.0',
    durability: 'unsynced & equal',
    syncedDurability: null,
    collection: null,
    settings: { sync: false },
    phases,
    userBytesWritten: 4_000_000,
    bytesHanded: 6_000_000,
    bytesDirtied: 8_000_000,
    residentBefore: 50e6,
    residentPeak: 150e6,
    anonymousPeak: 100e6,
    wallSeconds: 3,
    stats: null,
    failure,
    absent: null,
  }
}

/** A run of these engines. */
export function runReport(engines: EngineResult[], workload: RunReport['workload'] = 'files'): RunReport {
  return {
    report: 2,
    workload,
    parts: ['files'],
    quick: true,
    seed: 42,
    rounds: 1,
    environment: {
      date: '2026-01-02T03:04:05.678Z',
      node: 'v20.20.2',
      platform: 'Linux',
      cpu: 'some <cpu>',
      cpus: 2,
      memoryBytes: 8e9,
      load: 0.5,
      commit: 'abcdef',
    },
    input: null,
    seconds: 4,
    engines,
  }
}
