/**
 * Closing: background work ends, what is left is brought into tables, and one edit marks the end as clean (CR11); then all files go.
 *
 * The mark is the last thing written, when nothing else can change the tree any more. After a failure, or without it, nothing is written
 * at all, and the next open replays the logs. Whatever fails on the way, every file is closed in the end.
 */
import type { BackgroundWork } from './background-work.js'
import type { FlushScheduler } from './flush-scheduler.js'
import type { CleanClose } from './manifest/version-edit.js'
import { rotateMemtable } from './rotation.js'
import type { TreeContext } from './tree-context.js'

/** What the mark says. */
export interface CleanEnd {
  readonly lastSequence: number
  readonly cleanClose: CleanClose
}

/** Ends a tree. `cleanEnd`: asked for the mark when background work has ended; `undefined`: it is to be closed without one. Rejects when that fails. */
export async function closeTree(context: TreeContext, { flushes, compactions }: BackgroundWork, cleanEnd: (() => CleanEnd) | undefined): Promise<void> {
  const { options, lifecycle, memtables, versions, wal, executor, obsolete, tables } = context
  const end = options.readOnly || lifecycle.failure !== undefined ? undefined : cleanEnd
  try {
    const sealed = memtables.immutables.at(-1)
    if (end !== undefined && sealed !== undefined) await flushes.until(sealed)
    lifecycle.stop()
    await Promise.all([flushes.settle(), compactions.settle()])
    if (end !== undefined) await markClean(context, flushes, end())
  } finally {
    lifecycle.close()
    await Promise.allSettled([flushes.settle(), compactions.settle()])
    if (options.executor === undefined) await executor.close()
    await Promise.allSettled([wal.close(), versions.close(), obsolete.settle(), tables.close()])
  }
}

/** Brings the active memtable into tables and marks the end, in one edit. Where nothing was written since a clean end, nothing is. */
async function markClean(context: TreeContext, flushes: FlushScheduler, end: CleanEnd): Promise<void> {
  const { memtables, versions, wal } = context
  const isEmpty = memtables.active.memtable.count === 0
  if (isEmpty && !versions.isStarted) return
  await wal.dropSpare()
  if (end.lastSequence === 0 && end.cleanClose.vlogFid === 0) return versions.markEmpty(end)
  // Its log goes with this flush: nobody needs it synced.
  if (!isEmpty) rotateMemtable(context, 0)
  await flushes.finish(end)
}
