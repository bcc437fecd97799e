/**
 * How the tree has jobs run: with numbers for the files they create, and again in other files when they fail.
 */
import { IoError } from '@wk/codec'
import type { Job, JobOptions, JobResult } from './compaction/job.js'
import { WorkerLostError } from './compaction/worker-thread.js'
import type { ResolvedLsmOptions } from './options.js'
import type { TreeContext } from './tree-context.js'

/** Bytes of the level after next that one table may overlap, in tables. */
const GRANDPARENT_TABLES = 10

export function jobOptionsOf(options: ResolvedLsmOptions): JobOptions {
  const { tableSize, blockSize, restartInterval, bloomBitsPerKey, compression, verifyChecksums, numVersionsToKeep } = options
  const maxGrandparentOverlap = GRANDPARENT_TABLES * tableSize
  return { tableSize, blockSize, restartInterval, bloomBitsPerKey, compression, verifyChecksums, numVersionsToKeep, maxGrandparentOverlap }
}

/** What a job is given beside its input. */
export interface JobSetting {
  dir: string
  fileNumbers: number[]
  options: JobOptions
  snapshots: number[]
  now: number
}

/** Times a job is tried. */
const ATTEMPTS = 3
const FIRST_PAUSE_MS = 20

/**
 * Runs a job, again in new files when it fails: what a failed sync left in a file is not known, a new file is (CR13).
 * Damage of its inputs is not tried again.
 */
export async function runWithRetries(
  context: TreeContext,
  fileNumberCount: number,
  makeJob: (setting: JobSetting) => Job,
  signal: AbortSignal,
): Promise<JobResult> {
  const { dir, options, versions, snapshots, executor } = context
  let attempt = 1
  for (;;) {
    const setting: JobSetting = {
      dir,
      fileNumbers: await versions.allocateMany(fileNumberCount),
      options: jobOptionsOf(options),
      snapshots: snapshots.sequences(),
      now: Math.floor(options.runtime.now() / 1000),
    }
    try {
      return await executor.run(makeJob(setting), signal)
    } catch (error) {
      // A thread that died says nothing about the disk. The executor sees to it that this ends.
      if (error instanceof WorkerLostError && !signal.aborted) continue
      if (signal.aborted || attempt >= ATTEMPTS || !isRetryable(error)) throw error
      await options.runtime.sleep(FIRST_PAUSE_MS * 4 ** (attempt - 1), signal)
      attempt++
    }
  }
}

/** Not after a failed sync of the directory: a new file has its name in the same one, beside those of WAL and manifest. */
function isRetryable(error: unknown): boolean {
  return error instanceof IoError && error.operation !== 'syncDir'
}
