/**
 * Random histories of 500 operations against a plain sorted map; 100 of them are the commit tier's count of G1. `WK_SEED` is the first seed, `WK_RUNS` the number of
 * histories; a failure prints the command that replays it and a shortened history.
 */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryFileSystem, type FileSystem } from '@wk/fs'
import { countAtClose, describe as describeOperation, drawHistory, drawOptions, HistoryRunner, modelProfile, Rng, shrinkHistory, type HistoryCounts, type Operation, type OptionSet } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openBounded } from '../src/testing.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 100 : 1))
const ON_DISK = Math.max(1, Math.floor(RUNS / 20))

interface Crossed {
  flushes: number
  compactions: number
  rolls: number
  collected: number
}

/** Options of a history: different from seed to seed, with value logs that roll in each. */
function optionsOf(seed: number): OptionSet {
  const rng = new Rng(seed + 1_000_003)
  return { ...drawOptions(rng), valueLogFileSize: rng.pick([4096, 8192, 16_384]) }
}

/** Runs one history; adds what the database did over all its openings. */
async function runHistory(fs: FileSystem | undefined, dir: string, options: OptionSet, history: readonly Operation[], crossed: Crossed): Promise<HistoryCounts> {
  let lastFile = 0
  const open = async (): Promise<DB> => {
    const db = await openBounded(dir, fs === undefined ? options : { ...options, fs })
    return countAtClose(db, () => {
      const stats = db.stats()
      crossed.flushes += stats.flushes
      crossed.compactions += stats.compactions
      crossed.collected += stats.gcFilesCollected
      crossed.rolls += Math.max(0, stats.valueLogNumber - lastFile)
      lastFile = stats.valueLogNumber
    })
  }
  const runner = new HistoryRunner(open, undefined)
  await runner.run(history)
  return runner.counts
}

async function check(seed: number, place: 'memory' | 'disk'): Promise<Crossed> {
  const options = optionsOf(seed)
  const history = drawHistory(new Rng(seed), modelProfile(500, options.valueThreshold))
  const crossed: Crossed = { flushes: 0, compactions: 0, rolls: 0, collected: 0 }
  const attempt = async (operations: readonly Operation[]): Promise<unknown> => {
    const dir = place === 'memory' ? '/db' : join(tmpdir(), `wk-model-${process.pid}-${seed}`)
    try {
      await runHistory(place === 'memory' ? new MemoryFileSystem({ crashable: false }) : undefined, dir, options, operations, crossed)
      return undefined
    } catch (err) {
      return err
    } finally {
      if (place === 'disk') rmSync(dir, { recursive: true, force: true })
    }
  }
  const failure = await attempt(history)
  if (failure === undefined) return crossed
  const short = await shrinkHistory(history, async (operations) => (await attempt(operations)) !== undefined, 150)
  const replay = `WK_SEED=${seed} WK_RUNS=1 npx vitest run test/model.property.test.ts`
  throw new Error(
    [`seed ${seed} on ${place}: ${String(failure)}`, `replay: ${replay}`, `options: ${JSON.stringify(options)}`, 'shortened:', ...short.map((operation, i) => `  ${i} ${describeOperation(operation)}`), `which fails with: ${String(await attempt(short))}`].join('\n'),
    { cause: failure },
  )
}

describe('the database equals a sorted map', () => {
  const CHUNK = 25
  for (let first = FIRST_SEED; first < FIRST_SEED + RUNS; first += CHUNK) {
    const last = Math.min(first + CHUNK, FIRST_SEED + RUNS) - 1
    it(`histories ${first} to ${last}, and each crosses flush, compaction, value-log roll and GC`, async () => {
      for (let seed = first; seed <= last; seed++) {
        const crossed = await check(seed, 'memory')
        for (const [what, times] of Object.entries(crossed)) expect(times, `${what} of seed ${seed}`).toBeGreaterThan(0)
      }
    })
  }

  it(`${ON_DISK} histories on the real file system`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ON_DISK; seed++) await check(seed, 'disk')
  })
})
