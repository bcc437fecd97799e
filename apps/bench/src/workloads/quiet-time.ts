/**
 * The time after the last write. The engine under test gets all of it; any other engine's ends early once it has neither written nor
 * changed the space it holds for a while: nothing more would come.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineName } from '../engines/engine.js'
import { diskUsage } from '../measure/disk-usage.js'
import { readProcessIo } from '../measure/process-io.js'
import { QUIET_SECONDS } from './churn-sizes.js'

const STEP = 100
/** Seconds without a change that end it. */
const STILL = 4
/** Those whose background is under test. */
const SUBJECTS: ReadonlySet<EngineName> = new Set(['wk', 'wk-holes', 'wk-copies'])

/** Waits. `progress` is told the seconds that are over, of {@link quietSeconds}. */
export async function quietTime(engine: EngineName, dir: string, quick: boolean, progress: (seconds: number) => void): Promise<void> {
  const start = performance.now()
  const seconds = (from: number): number => (performance.now() - from) / 1e3
  let changed = start
  let state = ''
  while (seconds(start) < quietSeconds(quick)) {
    await sleep(STEP)
    progress(Math.floor(seconds(start)))
    const now = `${diskUsage(dir)} ${Math.round((readProcessIo()?.dirtied ?? 0) / 65_536)}`
    if (now !== state) changed = performance.now()
    state = now
    if (!SUBJECTS.has(engine) && seconds(changed) > STILL) return
  }
}

/** The whole of it. */
export function quietSeconds(quick: boolean): number {
  return quick ? QUIET_SECONDS.quick : QUIET_SECONDS.full
}
