/**
 * Many keys: 5 million values of 1 KiB (5 GB on disk), and 1 GB of values of 4 KiB. What memory it takes, whether the last tenth of
 * the load goes as fast as the first, how long the event loop is held. Nothing of the harness grows with the number of keys; `wk` has the
 * memtable and block cache that it has by default.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../engines/engine.js'
import { Random } from '../input/random.js'
import { peakResident } from '../measure/memory.js'
import { loadBatches, oneByOne } from './call-loops.js'
import { KeySpace } from './key-space.js'
import type { PhaseWork } from './phase-runner.js'
import { checkValue } from './verification.js'
import type { Workload, WorkloadContext } from './workload.js'

interface Scale {
  readonly label: string
  readonly valueSize: number
  readonly count: number
  readonly batch: number
  readonly reads: number
}

const TENTHS = 10

/** The workload. */
export const scale: Workload = {
  name: 'scale',
  summary: '5 million keys with 1 KiB, 1 GB of 4 KiB values: memory, steadiness, the event loop, with the targets',
  parts: ['1g-4k', '5m-1k'],
  defaultEngines: ['wk'],
  engines: ['wk', 'classic-level', 'lmdb', 'rocksdb', 'rocksdb-blobs'],
  rounds: 1,
  budgetSeconds: 900,
  diskBytes: (parts, quick) => Math.max(...parts.map((part) => scaleOf(part, quick)).map(({ count, valueSize }) => 2.5 * count * valueSize)),
  async run(context) {
    const { engine, dir } = context
    const place = join(dir, 'scale')
    const db = await engine.open(place, { sync: false, ownMemory: true })
    try {
      return await runScale(context, scaleOf(context.part, context.quick), db, place)
    } finally {
      await db.close()
      rmSync(place, { recursive: true, force: true })
    }
  },
}

function scaleOf(part: string, quick: boolean): Scale {
  const by = quick ? 10 : 1
  if (part === '1g-4k') return { label: '1 GB of 4 KiB', valueSize: 4096, count: 250_000 / by, batch: 256, reads: 50_000 / by }
  if (part === '5m-1k') return { label: '5M keys, 1 KiB', valueSize: 1024, count: 5_000_000 / by, batch: 1000, reads: 200_000 / by }
  throw new RangeError(`no part ${part}`)
}

async function runScale({ runner, slice, seed }: WorkloadContext, size: Scale, db: Database, dir: string): Promise<Record<string, number> | null> {
  const space = new KeySpace(size.valueSize, seed)
  const live = (): number => size.count * space.entrySize
  const phase = (name: string, title: string, sample: string, total: number, body: (work: PhaseWork) => Promise<void>): Promise<void> =>
    runner.run({ name: `${size.label} ${name}`, title: `${size.label}: ${title}`, sample, total, writes: name === 'load' }, dir, live, async (work) => {
      await body(work)
      work.figures['peak RSS, MB'] = peakResident() / 1e6
    })
  await phase('load', 'load in random order, batches', 'batch', size.count, async (work) => {
    const clock = new TenthClock(size.count)
    await loadBatches(work, slice, db, space, size.count, size.batch, (written) => clock.at(written))
    work.figures['last tenth against first'] = clock.steadiness
  })
  if (db.settle !== undefined) {
    await phase('settle', 'flush, compact', 'call', 1, async ({ meter }) => {
      const start = performance.now()
      await db.settle?.()
      meter.add(performance.now() - start, 1, 0)
    })
  }
  const random = new Random(seed + 7)
  const picks = Uint32Array.from({ length: size.reads }, () => random.below(size.count))
  await phase('get', 'get at random, compare', 'get', size.reads, (work) =>
    oneByOne(work, slice, {
      total: size.reads,
      size: space.entrySize,
      call: (i) => db.get(space.key(picks[i]!)),
      check: (i, value) => checkValue(space, picks[i]!, value),
    }),
  )
  return db.stats?.() ?? null
}

/** When each tenth of a load was done, by the clock. */
class TenthClock {
  private readonly total: number
  private readonly ends: number[] = []
  private readonly begun = performance.now()

  constructor(total: number) {
    this.total = total
  }

  /** So many are written. */
  at(written: number): void {
    while (this.ends.length < TENTHS && written >= ((this.ends.length + 1) * this.total) / TENTHS) this.ends.push(performance.now())
  }

  /** Throughput of the last tenth over that of the first. */
  get steadiness(): number {
    const [first = NaN] = this.ends
    return (first - this.begun) / (this.ends[TENTHS - 1]! - this.ends[TENTHS - 2]!)
  }
}
