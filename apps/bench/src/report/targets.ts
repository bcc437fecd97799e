/**
 * What the engine has to reach: the tables of the project's issues on the LSM-tree and on garbage collection, and nothing else.
 * Phases and figures are named as the workloads name them. `target-check.ts` sets them against a report.
 */
import type { EngineName } from '../engines/engine.js'
import type { WorkloadName } from './result.js'

/** What is compared. `rate`: operations a second. `p99`: latency. `loop p99`, `loop max`: milliseconds. Else a figure of the phase. */
export type Measure = 'rate' | 'p99' | 'loop p99' | 'loop max' | { readonly figure: string }

/** One target. With a rival the figure is the ratio of the two. */
export interface Target {
  readonly phase: string
  readonly measure: Measure
  readonly engine: EngineName
  readonly rival?: EngineName
  readonly least?: number
  readonly most?: number
}

const RIVALS = ['classic-level', 'lmdb', 'rocksdb-blobs'] as const

/** Least ratios of rates against classic-level, lmdb, rocksdb-blobs; null where there is no target. */
const RATES: readonly (readonly [phase: string, ...least: (number | null)[]])[] = [
  ['1 KiB load', 3, 3, 2],
  ['16 KiB load', 4, 1.5, 2.5],
  ['1 KiB put-256', 20, 4, 2.5],
  ['16 KiB put-256', 16, 1.8, 3],
  ['1 KiB put', 8, 8, 6],
  ['1 KiB synced-1', 0.8, 1, null],
  ['1 KiB synced-16', 4, 2, null],
  ['1 KiB synced-256', 15, 3.5, null],
  ['1 KiB get-sync', 1.5, 0.75, null],
  ['16 KiB get-sync', 1.2, 0.5, null],
  ['1 KiB get-64', 1.5, 0.8, 1.5],
  ['16 KiB get-64', 2, 0.5, 1.8],
  ['1 KiB get', 10, 0.7, 10],
  ['1 KiB scan', 1.5, 0.5, 3],
  ['16 KiB scan', 3, 0.35, 2],
  ['16 KiB scan-keys', 10, 1, null],
]

const KV: readonly Target[] = [
  ...RATES.flatMap(([phase, ...ratios]) =>
    ratios.flatMap((least, i): Target[] => (least === null ? [] : [{ phase, measure: 'rate', engine: 'wk', rival: RIVALS[i]!, least }])),
  ),
  // The hosts of examples/ against the same store without us.
  ...(['level-blobs', 'lmdb-blobs'] as const).flatMap((engine): Target[] =>
    ['16 KiB load', '16 KiB put-256'].map((phase) => ({ phase, measure: 'rate', engine, rival: 'classic-level', least: 3 })),
  ),
]

/** What an engine has to reach while and after values are overwritten. */
function overwriteTargets(name: string, engine: EngineName): Target[] {
  return [
    { phase: `${name} overwrite`, measure: { figure: 'space amp, worst' }, engine, most: 1.4 },
    { phase: `${name} after`, measure: { figure: 'space amp, last' }, engine, most: 1.3 },
    ...(name.startsWith('16') ? [{ phase: `${name} after`, measure: { figure: 'written per user byte' }, engine, most: name.endsWith('uniform') ? 2.7 : 2.3 } as const] : []),
    { phase: `${name} overwrite`, measure: 'rate', engine, rival: 'wk-gc-off', least: 0.8 },
    { phase: `${name} overwrite`, measure: 'p99', engine, rival: 'wk-gc-off', most: 2 },
  ]
}

const CHURN: readonly Target[] = [
  ...['16 KiB uniform', '16 KiB zipfian', '1 KiB uniform', '1 KiB zipfian'].flatMap((name) => overwriteTargets(name, 'wk')),
  // Collection by copies alone has to reach the same.
  ...['16 KiB uniform', '16 KiB zipfian'].flatMap((name) => overwriteTargets(name, 'wk-copies')),
  ...(['level-blobs', 'lmdb-blobs'] as const).map(
    (engine): Target => ({ phase: '16 KiB uniform overwrite', measure: 'rate', engine, rival: 'classic-level', least: 3 }),
  ),
  { phase: '1 KiB load only close', measure: { figure: 'written per user byte' }, engine: 'wk', most: 1.25 },
  { phase: '4 KiB load only close', measure: { figure: 'written per user byte' }, engine: 'wk', most: 1.1 },
  { phase: 'delete all after', measure: { figure: "directory in value-log files' worth" }, engine: 'wk', most: 4 },
]

const SCALE: readonly Target[] = [
  ...['5M keys, 1 KiB load', '5M keys, 1 KiB settle'].flatMap((phase): Target[] => [
    { phase, measure: 'loop p99', engine: 'wk', most: 10 },
    { phase, measure: 'loop max', engine: 'wk', most: 50 },
  ]),
  { phase: '5M keys, 1 KiB load', measure: { figure: 'last tenth against first' }, engine: 'wk', least: 0.7 },
  { phase: '5M keys, 1 KiB get', measure: { figure: 'peak RSS, MB' }, engine: 'wk', most: 300 },
  { phase: '1 GB of 4 KiB get', measure: { figure: 'peak RSS, MB' }, engine: 'wk', most: 400 },
]

/** By workload; the main job on real files has none. */
export const TARGETS: Readonly<Record<WorkloadName, readonly Target[]>> = { files: [], kv: KV, churn: CHURN, scale: SCALE }
