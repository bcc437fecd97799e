/**
 * Rotation: the active memtable is sealed and another one takes its place, for writers and readers in the same turn.
 *
 * What was staged for the sealed one may still be on its way to the log: when it may be flushed is told by `log/wal.ts`.
 */
import type { LoggedMemtable } from './log/wal.js'
import type { TreeContext } from './tree-context.js'

/**
 * Seals the active memtable and begins another of at least `capacity` bytes, or with 0 a placeholder. Returns the sealed one. Requires
 * that no frame for it is open.
 */
export function rotateMemtable({ memtables, views, versions, options }: TreeContext, capacity: number): LoggedMemtable {
  const sealed = memtables.rotate(capacity)
  memtables.active.dependencyStart = options.dependencyEnd?.()
  views.replace(memtables.memtables(), versions.current)
  return sealed
}
