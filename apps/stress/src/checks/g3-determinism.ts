/** G3: the same seed does the same, byte for byte, on the file system. Without it no replay could be trusted. */
import { openBounded } from '@wk/db/testing'
import { MemoryFileSystem, TraceFileSystem } from '@wk/fs'
import { drawHistory, drawOptions, HistoryRunner, modelProfile, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { SleepingRuntime } from '../sleeping-runtime.js'

async function traceOf(seed: number): Promise<{ hash: string; count: number }> {
  const rng = new Rng(seed)
  // Encryption draws its keys from the system.
  const { encryptionKey: _, ...options } = drawOptions(rng)
  const fs = new TraceFileSystem(new MemoryFileSystem({ crashable: false }), { keep: false })
  const runtime = new SleepingRuntime(seed)
  await new HistoryRunner(() => openBounded('/db', { ...options, fs, runtime })).run(drawHistory(rng, modelProfile(300, 64)))
  return fs
}

/** Each seed is run twice. */
export const check: Check = {
  id: 'G3',
  title: 'determinism: each seed twice',
  means: 'the same operations with the same bytes on the file system, in the same order',
  unit: 'seeds',
  cases: { commit: 5, nightly: 50, release: 200 },
  async run({ cases, only }, seed, report) {
    let operations = 0
    for (let round = Number(only ?? 0); round < (only === undefined ? cases : Number(only) + 1) && !report.full; round++) {
      const [first, second] = [await traceOf(seed * 1000 + round), await traceOf(seed * 1000 + round)]
      if (first.hash !== second.hash || first.count !== second.count) report.fail(`seed ${seed}, round ${round}: ${first.count} and ${second.count} operations, hashes ${first.hash} and ${second.hash}`, String(round))
      operations += first.count
      report.ran()
    }
    report.note(`${operations.toLocaleString('en')} file-system operations compared`)
  },
}
