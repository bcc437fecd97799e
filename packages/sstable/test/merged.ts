/** Merges for tests: into one table, or into several cut where the merge says so. */
import { MERGE, TableMerge, TableReader, VERDICT } from '@wk/sstable'
import type { MergeSource, TableMergeOptions, TableSummary } from '@wk/sstable'
import { ArrayFile, allForward } from './support.js'

/** Tables of one level, as a source. */
export function sourceOf(...tables: TableReader[]): () => TableReader | undefined {
  return () => tables.shift()
}

export interface Merged {
  tables: { bytes: Uint8Array; summary: TableSummary }[]
  entries: number
  /** Entries that were shown for a verdict. */
  judged: number
  shadowed: number
  tombstones: number
  /** Fid and length of each record that went. */
  lost: [number, number][]
}

/** Merges the sources, newest first, and keeps all that it is asked about. */
export function merged(sources: readonly MergeSource[], options: Partial<TableMergeOptions & { tableSize: number }> = {}): Merged {
  const lost: [number, number][] = []
  const merge = new TableMerge(sources, { blockSize: 4096, restartInterval: 16, dropsOlder: false, showsPointers: false, onLost: (fid, length) => lost.push([fid, length]), ...options })
  const tables: Merged['tables'] = []
  let file = new ArrayFile()
  let judged = 0
  const finish = (): void => {
    if (!merge.hasTable) return
    const steps = merge.finishSteps()
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    tables.push({ bytes: file.bytes, summary: step.value })
    file = new ArrayFile()
  }
  try {
    for (let step = merge.step(); step !== MERGE.DONE; step = merge.step(VERDICT.KEEP)) {
      if (step === MERGE.JUDGE) judged++
      if (step !== MERGE.TABLE) continue
      finish()
      merge.beginTable(file, 7 + tables.length, options.tableSize ?? Infinity)
    }
    finish()
    const { shadowed, tombstones } = merge.unseen
    return { tables, entries: merge.entries, judged, shadowed, tombstones, lost }
  } finally {
    merge.close()
  }
}

/** All entries of the tables, as a merge copies them. */
export function allMerged(...tables: TableReader[]): string[] {
  return merged([sourceOf(...tables)]).tables.flatMap(({ bytes, summary }) => allForward(TableReader.openSync(new ArrayFile(bytes), summary.number, summary.size).cursor()))
}
