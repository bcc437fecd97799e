/** How much the churn workload does. Large enough for garbage to matter beside the 64 MiB that are left alone by default. */

/** Times as many overwrites as values. */
export const OVERWRITES = 5
/** Skew of the zipfian choice. */
export const SKEW = 0.99
/** Puts in flight. */
export const PUTS_AT_ONCE = 256
/** How long is waited after the last write. */
export const QUIET_SECONDS = { full: 30, quick: 5 }

/** Values of one size. */
export interface ChurnSize {
  readonly label: string
  readonly valueSize: number
  readonly count: number
  readonly batch: number
}

/** The sizes by the name in the parts. */
export function churnSizes(quick: boolean): Readonly<Record<string, ChurnSize>> {
  const by = quick ? 10 : 1
  return {
    '16k': { label: '16 KiB', valueSize: 16_384, count: 20_000 / by, batch: 64 },
    '4k': { label: '4 KiB', valueSize: 4096, count: 80_000 / by, batch: 256 },
    '1k': { label: '1 KiB', valueSize: 1024, count: 200_000 / by, batch: 1000 },
  }
}
