/**
 * Cuts a failing history down: drops ever smaller runs of operations as long as what is left still fails. The result
 * is not minimal, only short enough to read.
 */
import type { Operation } from './operations.js'

/**
 * Returns a shorter history for which `fails` still answers true.
 * @param budget most times `fails` is asked
 */
export async function shrinkHistory(history: readonly Operation[], fails: (candidate: readonly Operation[]) => Promise<boolean>, budget = 300): Promise<readonly Operation[]> {
  let best = history
  let asked = 0
  for (let size = Math.ceil(best.length / 2); size >= 1 && asked < budget; size = size > 1 ? Math.ceil(size / 2) : 0) {
    for (let at = 0; at < best.length && asked < budget; ) {
      const candidate = [...best.slice(0, at), ...best.slice(at + size)]
      asked++
      if (await fails(candidate)) best = candidate
      else at += size
    }
  }
  return best
}
