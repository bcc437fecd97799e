/**
 * Checks every table of a version against what the manifest, the table's own index and its entries say.
 *
 * Damage is reported and the next table is looked at; only what keeps it from looking at all is thrown.
 */
import { CorruptionError, compareBytes, formatFileName, throwIfAborted } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { TableSummary } from '@wk/sstable'
import type { Progress } from './compaction-scheduler.js'
import type { TreeContext } from './tree-context.js'

/** Damage that was found. */
export interface Problem {
  /** File name relative to the directory. */
  file: string
  /** In bytes; absent when the file as a whole is meant. */
  offset: number | undefined
  code: string
  message: string
}

/** How a check is followed and ended. */
export interface VerifyOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: Progress) => void) | undefined
}

/** Verifies all tables of the current version. Resolves to the number of entries checked. */
export async function verifyTables(context: TreeContext, onProblem: (problem: Problem) => void, options: VerifyOptions): Promise<number> {
  const { views, tables } = context
  const view = views.acquire()
  const slice = new TimeSlice(context.options.runtime)
  try {
    const all = [...view.version.tables()]
    const total = all.reduce((sum, { size }) => sum + size, 0)
    let done = 0
    let entries = 0
    for (const table of all) {
      try {
        const reader = tables.get(table)
        expectSame(table, reader.summary())
        const steps = reader.verify()
        for (let step = steps.next(); ; step = steps.next()) {
          throwIfAborted(options.signal)
          context.lifecycle.checkOpen()
          if (slice.due()) {
            options.onProgress?.({ phase: 'verify', done: done + step.value.bytes, total, bytes: done + step.value.bytes })
            await slice.pause()
          }
          if (step.done !== true) continue
          entries += step.value.entries
          break
        }
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
        onProblem({ file: error.file ?? formatFileName('table', table.number), offset: error.offset, code: error.code, message: error.message })
      }
      done += table.size
    }
    options.onProgress?.({ phase: 'verify', done, total, bytes: done })
    return entries
  } finally {
    view.release()
  }
}

function expectSame(expected: TableSummary, actual: TableSummary): void {
  const same =
    expected.entries === actual.entries &&
    expected.tombstones === actual.tombstones &&
    expected.expiring === actual.expiring &&
    expected.expiredQuarterAt === actual.expiredQuarterAt &&
    expected.keyBytes === actual.keyBytes &&
    expected.valueBytes === actual.valueBytes &&
    expected.smallestSequence === actual.smallestSequence &&
    expected.largestSequence === actual.largestSequence &&
    compareBytes(expected.smallestKey, actual.smallestKey) === 0 &&
    compareBytes(expected.largestKey, actual.largestKey) === 0 &&
    expected.references.length === actual.references.length &&
    expected.references.every(({ fid, count, bytes }, i) => {
      const other = actual.references[i]
      return other !== undefined && other.fid === fid && other.count === count && other.bytes === bytes
    })
  if (same) return
  const file = formatFileName('table', expected.number)
  throw new CorruptionError(`${file} is not the table that the manifest names`, { file })
}
