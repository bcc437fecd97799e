/** Seed and number of runs from the environment, and the command that replays a failure. */
import fc from 'fast-check'

export function propertyParameters<T>(file: string, runs: number): fc.Parameters<T> {
  const seed = process.env['WK_SEED'] === undefined ? undefined : Number(process.env['WK_SEED'])
  const factor = process.env['WK_RUNS'] === undefined ? 1 : Number(process.env['WK_RUNS'])
  return {
    numRuns: Math.max(1, Math.round(runs * factor)),
    ...(seed === undefined ? {} : { seed }),
    reporter: (details) => {
      if (!details.failed) return
      const replay = `WK_SEED=${details.seed} npx vitest run ${file}`
      throw new Error(`${fc.defaultReportMessage(details)}\nreplay: ${replay}`)
    },
  }
}
