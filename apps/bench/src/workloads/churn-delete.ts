/**
 * The part `delete-all`: delete everything, wait, and see what the directory still holds, without any call that collects.
 *
 * With value-log files of 16 MiB, so that the files of the load are many; engines without such files keep their settings.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { diskUsage } from '../measure/disk-usage.js'
import { SpaceSampler } from '../measure/space-sampler.js'
import { loadBatches } from './call-loops.js'
import { churnSizes } from './churn-sizes.js'
import { KeySpace } from './key-space.js'
import { quietSeconds, quietTime } from './quiet-time.js'
import { warmUp } from './warm-up.js'
import type { WorkloadContext } from './workload.js'

const FILE = 16 * 1024 * 1024

/** Runs it. */
export async function runDeleteAll(context: WorkloadContext): Promise<Record<string, number> | null> {
  const { engine, dir, quick, seed, slice, runner } = context
  const size = churnSizes(quick)['16k']!
  const space = new KeySpace(size.valueSize, seed)
  await warmUp(engine, dir, space, slice, quick, { sync: false })
  const place = join(dir, 'delete-all')
  const db = await engine.open(place, { sync: false, valueLogFileSize: FILE })
  try {
    const phase = { name: 'delete all load', title: 'delete all: load', sample: 'batch', total: size.count, writes: true }
    await runner.run(phase, place, () => size.count * space.entrySize, (work) => loadBatches(work, slice, db, space, size.count, size.batch))
    await runner.run({ name: 'delete all delete', title: 'delete all: delete', sample: 'batch', total: size.count }, place, () => 0, async ({ meter }) => {
      for (let at = 0; at < size.count; at += size.batch) {
        const keys = Array.from({ length: Math.min(size.batch, size.count - at) }, (_, i) => space.key(at + i))
        const start = performance.now()
        await db.deleteBatch(keys)
        meter.add(performance.now() - start, keys.length, 0)
        if (slice.due()) await slice.pause()
      }
    })
    await runner.run({ name: 'delete all after', title: 'delete all: the half minute after', sample: 'wait', total: quietSeconds(quick) }, place, () => 0, async (work) => {
      const sampler = new SpaceSampler(place, () => 0)
      sampler.start()
      const start = performance.now()
      await quietTime(engine.name, place, quick, work.progress)
      work.space = sampler.stop()
      work.meter.add(performance.now() - start, 1, 0)
      work.figures["directory in value-log files' worth"] = diskUsage(place) / FILE
    })
    return db.stats?.() ?? null
  } finally {
    await db.close()
    rmSync(place, { recursive: true, force: true })
  }
}
