/**
 * `clear()`: deletes what a range held when it was called, or what a snapshot holds in it.
 *
 * It walks that view and writes tombstones in batches, so memory and group sizes stay bounded; each batch is
 * atomic, the whole is not. Without a snapshot a key that was written again after the call keeps its new value: before a tombstone is
 * staged, the newest version of the key is looked up, in the same turn.
 */
import { copyBytes, throwIfAborted } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { LoopGuard } from '@wk/fs'
import type { EntryReader } from './entry-reader.js'
import type { MaintenanceOptions } from './maintenance.js'
import type { Stager } from './stager.js'
import type { LsmTree } from '@wk/lsm'
import type { WriteQueue } from './write-queue.js'

/** Keys of one batch of tombstones. */
const BATCH_KEYS = 1000

export interface ClearRequest extends MaintenanceOptions {
  /** What is visible here is deleted ... */
  readonly sequence: number
  /** ... unless it was written again since. */
  readonly keepsLater: boolean
  readonly range: KeyRange
  readonly reverse: boolean
  readonly limit: number
  /** Acknowledge each batch only when it is on the device. */
  readonly sync: boolean
}

export interface ClearParts {
  readonly tree: LsmTree
  readonly queue: WriteQueue
  readonly stager: Stager
  readonly reader: EntryReader
  readonly guard: LoopGuard
}

export async function clearRange({ tree, queue, stager, reader, guard }: ClearParts, request: ClearRequest): Promise<void> {
  const { sequence, keepsLater, range, reverse, limit, sync, signal, onProgress } = request
  const view = tree.acquireView()
  try {
    const cursor = tree.cursor(view, sequence, { reverse, range })
    cursor.first()
    let done = 0
    let bytes = 0
    while ((cursor.valid || cursor.paused) && done < limit) {
      throwIfAborted(signal)
      if (cursor.paused) {
        const turn = guard.due()
        if (turn !== undefined) await turn
        cursor.resume()
        continue
      }
      const keys: Uint8Array[] = []
      for (; cursor.valid && keys.length < BATCH_KEYS && done + keys.length < limit; cursor.next()) {
        keys.push(copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd))
      }
      await queue.write(sync, () => {
        const chosen = keepsLater ? keys.filter((key) => reader.newestSequence(key) <= sequence) : keys
        const keyBytes = chosen.reduce((sum, key) => sum + key.length, 0)
        if (chosen.length > 0) stager.prepare(chosen.length, keyBytes)
        for (const key of chosen) stager.del(key)
        bytes += keyBytes
      })
      done += keys.length
      onProgress?.({ phase: 'clear', done, total: done, bytes })
    }
  } finally {
    view.release()
  }
}
