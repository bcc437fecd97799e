/**
 * Random histories of 500 operations against a plain sorted map. `WK_SEED` is the first seed, `WK_RUNS` the number of
 * histories; a failure prints the command that replays it and a shortened history.
 */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryFileSystem, type FileSystem } from '@wk/fs'
import { describe as describeOperation, drawHistory, HistoryRunner, modelProfile, Rng, shrinkHistory, type HistoryCounts, type Operation } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import type { Options } from './harness.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 200 : 1))
const ON_DISK = Math.max(1, Math.floor(RUNS / 40))

interface Crossed {
  flushes: number
  compactions: number
  rolls: number
  collected: number
}

/** Options of a history: small everywhere, and different from seed to seed. */
function drawOptions(seed: number): { options: Options; threshold: number } {
  const rng = new Rng(seed + 1_000_003)
  const threshold = rng.pick([64, 64, 1, 300, 1400])
  const options: Options = {
    valueThreshold: threshold,
    memTableSize: 64 * 1024,
    valueLogFileSize: rng.pick([4096, 8192, 16_384]),
    valueLogMaxEntries: rng.pick([3, 40, 1_000_000]),
    tableSize: rng.pick([4096, 16_384]),
    blockSize: rng.pick([256, 1024, 4096]),
    levelBaseSize: rng.pick([8192, 65_536]),
    levelSizeMultiplier: rng.pick([2, 10]),
    maxLevels: rng.pick([3, 7]),
    l0CompactionTrigger: rng.pick([1, 2, 4]),
    bloomBitsPerKey: rng.pick([0, 10]),
    blockCacheSize: rng.pick([0, 10_000, 1 << 20]),
    maxOpenFiles: rng.pick([8, 1000]),
    compression: rng.pick(['none', 'lz4']),
    encryptionKey: rng.chance(0.1) ? new Uint8Array(rng.pick([16, 24, 32])).fill(seed) : undefined,
    syncWrites: rng.chance(0.1),
    gc: { auto: rng.chance(0.5), minGarbage: 8192 },
  }
  return { options, threshold }
}

/** Runs one history; adds what the database did over all its openings. */
async function runHistory(fs: FileSystem | undefined, dir: string, options: Options, history: readonly Operation[], crossed: Crossed): Promise<HistoryCounts> {
  let lastFile = 0
  const open = async (): Promise<DB> => {
    const db = await DB.open(dir, fs === undefined ? options : { ...options, fs })
    const close = db.close.bind(db)
    let open = true
    db.close = async () => {
      if (open) {
        open = false
        const stats = db.stats()
        crossed.flushes += stats.flushes
        crossed.compactions += stats.compactions
        crossed.collected += stats.gcFilesCollected
        crossed.rolls += Math.max(0, stats.valueLogNumber - lastFile)
        lastFile = stats.valueLogNumber
      }
      return close()
    }
    return db
  }
  const runner = new HistoryRunner(open, undefined)
  await runner.run(history)
  return runner.counts
}

async function check(seed: number, place: 'memory' | 'disk'): Promise<Crossed> {
  const { options, threshold } = drawOptions(seed)
  const history = drawHistory(new Rng(seed), modelProfile(500, threshold))
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
    }, 180_000)
  }

  it(`${ON_DISK} histories on the real file system`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ON_DISK; seed++) await check(seed, 'disk')
  }, 180_000)
})
