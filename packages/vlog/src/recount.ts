/**
 * Garbage figures from the truth: every record is asked for in the host's index; one that the index does not point to is dead.
 *
 * Files are walked in order, each up to its end when its turn came, with bounded memory. What the host reports meanwhile is
 * kept apart (`discard-stats.ts`), so that a record counts once: a figure may come out too low for records that die while
 * their batch is being looked up. It is too high only by records that were appended and whose pointer is not in the index yet: they count as dead. A file that is damaged ends the recount and keeps its old figure.
 */
import { InvalidArgumentError, checkWork, isValuePointer, samePointer, throwIfAborted, type ValuePointer } from '@wk/codec'
import type { Runtime } from '@wk/fs'
import type { DiscardStats, Discarded } from './discard-stats.js'
import type { LogicalFile } from './file-map.js'
import { walkKeys, type PlacedKey, type VerifyOptions } from './file-walk.js'
import type { VlogSet } from './vlog-set.js'

/** Keys of one lookup. */
const BATCH = 1024

/** The host's index: for each key the pointer it holds now, or `undefined` (`null` is taken for it). `lookup` of `@wk/gc`'s `PointerIndex` fits. */
export type PointerLookup = (keys: Uint8Array[]) => readonly (ValuePointer | undefined)[] | Promise<readonly (ValuePointer | undefined)[]>

/** Recounts every file; resolves with what is dead in all of them. @throws InvalidArgumentError for an answer of the wrong shape, CorruptionError, AbortedError, what `lookup` throws */
export async function recountDiscards(set: VlogSet, runtime: Runtime, stats: DiscardStats, lookup: PointerLookup, options: VerifyOptions): Promise<Discarded> {
  if (typeof lookup !== 'function') throw new InvalidArgumentError('lookup must be a function')
  const { signal, onProgress } = checkWork(options)
  throwIfAborted(signal)
  const total = { records: 0, bytes: 0 }
  const files = set.map.list().filter(({ retired }) => !retired)
  for (const [done, logical] of files.entries()) {
    throwIfAborted(signal)
    // Retired since the walk began.
    if (set.map.get(logical.fid) !== logical || logical.retired) continue
    const dead = await recountFile(set, runtime, stats, lookup, logical, signal)
    total.records += dead.records
    total.bytes += dead.bytes
    onProgress?.({ phase: 'recount', done: done + 1, total: files.length, bytes: total.bytes })
  }
  return total
}

async function recountFile(set: VlogSet, runtime: Runtime, stats: DiscardStats, lookup: PointerLookup, logical: LogicalFile, signal: AbortSignal | undefined): Promise<Discarded> {
  const recount = stats.beginRecount(logical.fid, logical.written)
  try {
    let batch: PlacedKey[] = []
    const judge = async (): Promise<void> => {
      throwIfAborted(signal)
      const answer = lookup(batch.map(({ key }) => key))
      const pointers: readonly (ValuePointer | null | undefined)[] = Array.isArray(answer) ? answer : await answer
      // Whatever it leaves out would count as dead.
      if (!Array.isArray(pointers) || pointers.length !== batch.length) throw new InvalidArgumentError(`lookup must answer an array of ${batch.length} pointers`)
      batch.forEach(({ pointer }, at) => {
        const current = pointers[at]
        if (current !== undefined && current !== null && !isValuePointer(current)) throw new InvalidArgumentError('lookup answered something that is no value pointer')
        if (current === undefined || current === null || !samePointer(current, pointer)) recount.dead(pointer)
        else recount.alive(pointer)
      })
      batch = []
    }
    for await (const placed of walkKeys(set, runtime, logical)) {
      batch.push(placed)
      if (batch.length === BATCH) await judge()
    }
    if (batch.length > 0) await judge()
    return stats.endRecount(recount)
  } finally {
    stats.dropRecount(recount)
  }
}
