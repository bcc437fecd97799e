/** How much the key-value workload does of what, for each size of values. */

/** Operations of one value size. */
export interface KvSize {
  readonly label: string
  readonly valueSize: number
  /** Values of the load, and of the puts in flight. */
  readonly load: number
  readonly batch: number
  /** Puts, one after another. */
  readonly puts: number
  /** Synced puts: how many in flight, how many in all. */
  readonly synced: readonly (readonly [width: number, count: number])[]
  /** Random reads: `getSync` and in flight, and one after another. */
  readonly reads: number
  readonly singleReads: number
  /** Scans over the keys, one after another: one alone would be over in no time. */
  readonly keyScans: number
}

/** The sizes by the name in the parts: the full ones, or a twentieth. */
export function kvSizes(quick: boolean): Readonly<Record<string, KvSize>> {
  const by = quick ? 20 : 1
  return {
    '1k': {
      label: '1 KiB',
      valueSize: 1024,
      load: 100_000 / by,
      batch: 1000,
      puts: 100_000 / by,
      synced: [
        [1, 3000 / by],
        [16, 20_000 / by],
        [256, 60_000 / by],
      ],
      reads: 100_000 / by,
      singleReads: 20_000 / by,
      keyScans: 1,
    },
    '16k': {
      label: '16 KiB',
      valueSize: 16_384,
      load: 20_000 / by,
      batch: 64,
      puts: 6000 / by,
      synced: [],
      reads: 20_000 / by,
      singleReads: 6000 / by,
      keyScans: 10,
    },
  }
}
