/** Property tests: `WK_SEED` replays one seed, `WK_RUNS` multiplies the runs; a failure prints the command. */
import fc from 'fast-check'
import { expect } from 'vitest'

export async function property<T extends [unknown, ...unknown[]]>(
  runs: number,
  check: fc.IAsyncProperty<T> | fc.IProperty<T>,
): Promise<void> {
  const seed = process.env['WK_SEED']
  await fc.assert(check as fc.IAsyncProperty<T>, {
    numRuns: Math.ceil(runs * Number(process.env['WK_RUNS'] ?? 1)),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    reporter: (details) => {
      if (!details.failed) return
      const command = `cd packages/fs && WK_SEED=${details.seed} npx vitest run -t '${expect.getState().currentTestName ?? ''}'`
      throw new Error(`replay: ${command}\n${fc.defaultReportMessage(details) ?? ''}`)
    },
  })
}
