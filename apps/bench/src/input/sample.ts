/**
 * Cuts a file list down to a budget of bytes and files: deterministic, and without favour for any size or folder.
 *
 * Files are drawn in the order of a hash of their path; one that no longer fits is passed over, smaller ones after it still
 * get in. The result keeps the order of the list it was drawn from.
 */
import type { FileList, InputFile } from './file-list.js'
import { hashText } from './random.js'

/** How much input a run may take. */
export interface SampleLimits {
  readonly maxBytes: number
  readonly maxFiles: number
  readonly seed: number
}

/** The files taken. `complete` says that nothing was left out. */
export interface Sample {
  readonly files: InputFile[]
  readonly bytes: number
  readonly complete: boolean
}

/** Takes the files that fit the limits. A file over `maxBytes` is never taken. */
export function sampleFiles(list: FileList, limits: SampleLimits): Sample {
  if (list.bytes <= limits.maxBytes && list.files.length <= limits.maxFiles) {
    return { files: list.files, bytes: list.bytes, complete: true }
  }
  const order = list.files.map((file, index) => ({ index, size: file.size, hash: hashText(file.path, limits.seed) }))
  order.sort((a, b) => a.hash - b.hash || a.index - b.index)
  const taken: number[] = []
  let bytes = 0
  for (const { index, size } of order) {
    if (taken.length === limits.maxFiles) break
    if (bytes + size > limits.maxBytes) continue
    taken.push(index)
    bytes += size
  }
  taken.sort((a, b) => a - b)
  return { files: taken.map((index) => list.files[index] as InputFile), bytes, complete: false }
}
