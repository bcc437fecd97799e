/** D5: a process that may open 64 files, and one that may open 24, with some 200 files alive. */
import { join } from 'node:path'
import type { Check } from '../check.js'
import { judgeLimited, runLimited } from '../limits/limited.js'
import type { LimitRequest } from '../limits/limit-child.js'
import { withDirectory } from '../temporary.js'

/** Each case runs both limits; every other one with a worker, to start which Node opens some seventy module files at once: 64 may be too few for that. */
export const check: Check = {
  id: 'D5',
  title: 'EMFILE: 64 descriptors with 200 live files, then 24',
  means: 'the bounded file cache is enough, or a typed error and a clean close; then as A1',
  unit: 'runs',
  cases: { commit: 1, nightly: 10, release: 10 },
  async run({ cases, only }, seed, report) {
    for (let number = Number(only ?? 0); number < (only === undefined ? cases : Number(only) + 1) && !report.full; number++) {
      for (const limit of [64, 24]) {
        await withDirectory(async (place) => {
          const options = { valueThreshold: 64, valueLogFileSize: 4096, memTableSize: 64 * 1024, tableSize: 4096, levelBaseSize: 8192, maxOpenFiles: limit === 64 ? 16 : 8, workers: number % 2, gc: { auto: false } }
          const request: LimitRequest = { dir: join(place, 'db'), seed: seed * 1000 + number, steps: 900, options, descriptors: limit }
          const limited = runLimited(request)
          if (limit === 64 && options.workers === 0 && limited.refused !== undefined) report.fail(`64 descriptors are too few: ${JSON.stringify(limited.refused)}`, String(number))
          if (limited.refused !== undefined && limited.refused.errno !== 'EMFILE') report.fail(`${limit} descriptors: ${JSON.stringify(limited.refused)}`, String(number))
          const judged = limited.called === 0 ? limited.wrong : await judgeLimited(request, limited)
          for (const message of judged) report.fail(`${limit} descriptors: ${message}`, String(number))
          if (number === 0) report.note(`${limit} descriptors: ${limited.acknowledged} steps acknowledged, refused: ${JSON.stringify(limited.refused ?? 'nothing')}`)
        })
      }
      report.ran()
    }
  },
}
