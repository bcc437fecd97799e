/**
 * A value log and an index with a hook at every await of a pass: before and after each call that the collector makes.
 *
 * A hook may write to the host (a concurrent write, placed exactly there), or never resolve (the process has crashed).
 */

import type { PointerIndex } from '../pointer-index.js'
import type { GcValueLog } from '../value-log.js'

/** Called at each await point, with its name. The call waits for it. */
export type AwaitHook = (point: string) => Promise<void>

/** `vlog` with the hook around every asynchronous call and before each record. */
export function scheduleValueLog(vlog: GcValueLog, hook: AwaitHook): GcValueLog {
  const around = async <T>(point: string, call: () => Promise<T>): Promise<T> => {
    await hook(`before ${point}`)
    const result = await call()
    await hook(`after ${point}`)
    return result
  }
  return {
    files: () => vlog.files(),
    discard: (pointer) => vlog.discard(pointer),
    setDiscarded: (fid, records, bytes) => vlog.setDiscarded(fid, records, bytes),
    append: (entries, options) => around('append', () => vlog.append(entries, options)),
    sync: () => around('sync', () => vlog.sync()),
    seal: () => around('seal', () => vlog.seal()),
    retire: (fid) => around('retire', () => vlog.retire(fid)),
    iterate: async function* (fid, options) {
      await hook('before iterate')
      for await (const placed of vlog.iterate(fid, options)) {
        yield placed
        await hook('after record')
      }
    },
  }
}

/** `index` with the hook around every call. */
export function scheduleIndex(index: PointerIndex, hook: AwaitHook): PointerIndex {
  const scheduled: PointerIndex = {
    lookup: async (keys) => {
      await hook('before lookup')
      const pointers = await index.lookup(keys)
      await hook('after lookup')
      return pointers
    },
    compareAndSwap: async (moves) => {
      await hook('before compareAndSwap')
      const won = await index.compareAndSwap(moves)
      await hook('after compareAndSwap')
      return won
    },
  }
  if (index.settle !== undefined) scheduled.settle = () => index.settle?.() ?? Promise.resolve()
  return scheduled
}
