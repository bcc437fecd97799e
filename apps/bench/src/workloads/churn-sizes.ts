/**
 * How much the churn workload does. Large enough for garbage to matter beside the 32 MiB that are left alone by default, and of 16 KiB values also for code to
 * be warm: with 20,000 of them the garbage that 1.3 allows is what is written in a third of a second, and compilers take a quarter of the processor time.
 */

/** Times as many overwrites as values. */
export const OVERWRITES = 5
/** Skew of the zipfian choice. */
export const SKEW = 0.99
/** Puts in flight, of values that are not long; of long ones {@link LONG_AT_ONCE}, or they would be as many bytes as there are live ones. */
export const PUTS_AT_ONCE = 256
const LONG_AT_ONCE = 4
/** How long is waited after the last write. */
export const QUIET_SECONDS = { full: 30, quick: 5 }

/** Values of one size. */
export interface ChurnSize {
  readonly label: string
  readonly valueSize: number
  readonly count: number
  readonly batch: number
  readonly atOnce: number
}

/** Parts for values so long that holes in value-log files may pay: only where they are asked for. */
export const LONG_PARTS: readonly string[] = ['1m-uniform', '512k-uniform', '256k-uniform']

/** The sizes by the name in the parts. */
export function churnSizes(quick: boolean): Readonly<Record<string, ChurnSize>> {
  const by = quick ? 10 : 1
  return {
    '1m': { label: '1 MiB', valueSize: 1_048_576, count: 400 / by, batch: 4, atOnce: LONG_AT_ONCE },
    '512k': { label: '512 KiB', valueSize: 524_288, count: 800 / by, batch: 8, atOnce: LONG_AT_ONCE },
    '256k': { label: '256 KiB', valueSize: 262_144, count: 1600 / by, batch: 16, atOnce: LONG_AT_ONCE },
    '16k': { label: '16 KiB', valueSize: 16_384, count: quick ? 2000 : 64_000, batch: 64, atOnce: PUTS_AT_ONCE },
    '4k': { label: '4 KiB', valueSize: 4096, count: 80_000 / by, batch: 256, atOnce: PUTS_AT_ONCE },
    '1k': { label: '1 KiB', valueSize: 1024, count: 200_000 / by, batch: 1000, atOnce: PUTS_AT_ONCE },
  }
}
