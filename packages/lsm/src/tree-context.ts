/**
 * What the parts of one open tree share. Made once for each tree; every part owns what it is named after.
 */
import { formatFileName } from '@wk/codec'
import type { WkError } from '@wk/codec'
import { BlockCache } from '@wk/sstable'
import { InlineExecutor } from './compaction/executor.js'
import type { Executor } from './compaction/executor.js'
import { WorkerExecutor } from './compaction/worker-executor.js'
import { Lifecycle } from './lifecycle.js'
import { WriteAheadLog } from './log/wal.js'
import type { TreeState } from './manifest/manifest-reader.js'
import { VersionSet } from './manifest/version-set.js'
import { MemtableList } from './memtable-list.js'
import { ObsoleteFiles } from './obsolete-files.js'
import type { ResolvedLsmOptions } from './options.js'
import { ReadViews } from './read-view.js'
import { SnapshotList } from './snapshot-list.js'
import { TableCache } from './table-cache.js'
import { TableRetirement } from './table-retirement.js'

export interface TreeContext {
  readonly dir: string
  readonly options: ResolvedLsmOptions
  readonly executor: Executor
  readonly versions: VersionSet
  readonly wal: WriteAheadLog
  readonly memtables: MemtableList
  readonly views: ReadViews
  readonly snapshots: SnapshotList
  readonly obsolete: ObsoleteFiles
  readonly tables: TableCache
  readonly retirement: TableRetirement
  readonly lifecycle: Lifecycle
}

/** What the parts tell the tree. */
export interface TreeEvents {
  /** The first failure; `firstSequence`: of the first operation that may be lost, where that is known. */
  onFailure: (error: WkError, firstSequence: number | undefined) => void
  /** A sealed memtable is wholly in its log. */
  onComplete: () => void
  /** A view has come to its end. */
  onViewDropped: () => void
  /** What was kept for a snapshot may go. */
  onSnapshotDropped: () => void
}

/** Makes the parts of a tree in a given state. Nothing is written yet. */
export function makeContext(
  dir: string,
  options: ResolvedLsmOptions,
  state: TreeState,
  events: TreeEvents,
): TreeContext {
  const { fs } = options
  const obsolete = new ObsoleteFiles(fs, dir)
  const versions = new VersionSet({ fs, dir, obsolete, onFailure: (error) => events.onFailure(error, undefined) }, state)
  const memtables = new MemtableList(options.memTableSize)
  const blockCache = options.blockCacheSize === 0 ? undefined : new BlockCache(options.blockCacheSize)
  const lifecycle = new Lifecycle()
  const { maxOpenFiles, verifyChecksums } = options
  const tables = new TableCache({ fs, dir, maxOpenFiles, verifyChecksums, blockCache })
  return {
    dir,
    options,
    executor: options.executor ?? makeExecutor(options),
    versions,
    wal: new WriteAheadLog({
      fs,
      dir,
      logged: options.wal,
      allocateNumber: () => versions.allocate(),
      onFailure: events.onFailure,
      onComplete: events.onComplete,
      onObsolete: (number) => obsolete.remove(formatFileName('wal', number)),
    }),
    memtables,
    views: new ReadViews(memtables.memtables(), state.version, () => {
      // Once closed, the directory may be somebody else's: what is left in it is an orphan for the next open.
      if (!lifecycle.isClosed) events.onViewDropped()
    }),
    snapshots: new SnapshotList(events.onSnapshotDropped, (task) => options.runtime.microtask(task)),
    obsolete,
    tables,
    retirement: new TableRetirement(tables, obsolete),
    lifecycle,
  }
}

/** Only a file system that stands for paths of the machine can be had in another thread. */
function makeExecutor({ fs, runtime, workers, workerUrl, onWarning }: ResolvedLsmOptions): Executor {
  if (workers === 0 || fs.description === undefined) return new InlineExecutor(fs, runtime)
  return new WorkerExecutor({ fs, runtime, workers, workerUrl, onWarning })
}
