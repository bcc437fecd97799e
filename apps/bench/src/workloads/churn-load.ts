/** The part `load-only`: what a load writes for each user byte, once everything is in its place (the database closed). */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ioBetween, readProcessIo } from '../measure/process-io.js'
import { inFlight } from './call-loops.js'
import { churnSizes } from './churn-sizes.js'
import { KeySpace } from './key-space.js'
import { warmUp } from './warm-up.js'
import type { WorkloadContext } from './workload.js'

/** Milliseconds after which a slow engine's load ends. */
const BUDGET = 10_000

/** Runs both sizes. */
export async function runLoadOnly({ engine, dir, quick, seed, slice, runner }: WorkloadContext): Promise<null> {
  for (const label of ['1k', '4k']) {
    const size = churnSizes(quick)[label]!
    const space = new KeySpace(size.valueSize, seed)
    await warmUp(engine, dir, space, slice, quick, { sync: false })
    const place = join(dir, 'load-only')
    const before = readProcessIo()
    const db = await engine.open(place, { sync: false })
    let loaded = 0
    const live = (): number => loaded * space.entrySize
    const name = `${size.label} load only`
    await runner.run({ name: `${name} load`, title: `${name}: ${size.atOnce} puts in flight`, sample: 'put', total: size.count, writes: true }, place, live, async (work) => {
      const call = (i: number): unknown => db.put(space.key(i), space.value(i))
      loaded = await inFlight(work, slice, { total: size.count, size: space.entrySize, call }, size.atOnce, BUDGET)
      return loaded === size.count ? undefined : `stopped after ${loaded} of ${size.count}`
    })
    await runner.run({ name: `${name} close`, title: `${name}: close`, sample: 'close', total: 1 }, place, live, async ({ meter, figures }) => {
      const start = performance.now()
      await db.close()
      meter.add(performance.now() - start, 1, 0)
      const written = ioBetween(before, readProcessIo())
      if (written === null) return
      figures['written per user byte'] = written.handed / live()
      figures['dirtied per user byte'] = written.dirtied / live()
    })
    rmSync(place, { recursive: true, force: true })
  }
  return null
}
