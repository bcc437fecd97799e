/**
 * The input of a run as plain data: which directory, which files, how they were chosen, and a digest that identifies them.
 *
 * The parent makes it once and hands it to every engine process in a file, so all of them work on the same list.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { TimeSlice } from '../measure/time-slice.js'
import { ContentSource } from './content-source.js'
import { listFiles, type InputFile } from './file-list.js'
import { sampleFiles, type SampleLimits } from './sample.js'

/** What was taken and from what. */
export interface InputSummary {
  readonly root: string
  readonly files: number
  readonly bytes: number
  readonly largest: number
  readonly median: number
  readonly foundFiles: number
  readonly foundBytes: number
  readonly skipped: number
  /** True if every file found was taken. */
  readonly complete: boolean
  /** SHA-256 over paths, sizes and content. */
  readonly digest: string
}

/** The input of a run. */
export interface InputPlan {
  readonly summary: InputSummary
  readonly files: InputFile[]
}

/** Told after each file: files done, files in all. */
export type PlanProgress = (done: number, total: number) => void

/**
 * Lists and samples `root`, and reads every file taken once: for the digest, and so that no engine pays for a cold page cache.
 *
 * @throws UsageError if there is nothing to take.
 */
export async function planInput(root: string, limits: SampleLimits, onProgress: PlanProgress = () => {}): Promise<InputPlan> {
  const list = listFiles(root)
  const sample = sampleFiles(list, limits)
  const source = new ContentSource(root, sample.files, new TimeSlice())
  const hash = createHash('sha256')
  const buffer = new Uint8Array(source.largest)
  for (const [index, file] of sample.files.entries()) {
    const length = await source.fill(index, 0, buffer, 0)
    hash.update(`${file.path}\0${file.size}\0`)
    hash.update(buffer.subarray(0, length))
    onProgress(index + 1, sample.files.length)
  }
  const sizes = sample.files.map((file) => file.size).sort((a, b) => a - b)
  return {
    files: sample.files,
    summary: {
      root,
      files: sample.files.length,
      bytes: sample.bytes,
      largest: sizes.at(-1) ?? 0,
      median: sizes[sizes.length >> 1] ?? 0,
      foundFiles: list.files.length,
      foundBytes: list.bytes,
      skipped: list.skipped,
      complete: sample.complete,
      digest: hash.digest('hex'),
    },
  }
}

/** Writes a plan to a file for {@link readPlan}. */
export function writePlan(path: string, plan: InputPlan): void {
  writeFileSync(path, JSON.stringify(plan))
}

/** Reads what {@link writePlan} wrote. */
export function readPlan(path: string): InputPlan {
  return JSON.parse(readFileSync(path, 'utf8')) as InputPlan
}
