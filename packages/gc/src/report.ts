/**
 * What a pass reports: progress while it runs, a summary at the end. Plain data and pure functions.
 */

import { checkFunction } from '@wk/codec'
import { checkFiles } from './file-figures.js'
import { garbageOf, type LiveBytes } from './picker.js'
import type { GcFileInfo } from './value-log.js'

/** Summary of a pass. */
export interface GcReport {
  /** Files given up. One that a reader pins still lies on the disk until the pin goes. */
  readonly filesCollected: number
  /** Bytes of live records that were written again. */
  readonly bytesMoved: number
  /** Bytes by which the log got smaller: sizes of the files given up, minus what was written again for them. */
  readonly bytesReclaimed: number
  /** Bytes of all files for each live byte, after the pass, as far as the figures know. 1 for an empty log. */
  readonly spaceAmp: number
}

/** A step of long work. */
export interface GcProgress {
  readonly phase: 'rewrite' | 'relocate' | 'recount'
  /** Bytes of the chosen files handled so far. */
  readonly done: number
  /** Bytes of all chosen files. */
  readonly total: number
  /** Bytes written so far. */
  readonly bytes: number
}

/** Bytes on disk for each live byte. @throws InvalidArgumentError */
export function spaceAmplification(files: readonly GcFileInfo[], liveBytes?: LiveBytes): number {
  checkFiles(files)
  checkFunction('liveBytes', liveBytes)
  let size = 0
  let dead = 0
  for (const file of files) {
    size += file.size
    // A file that only waits for its readers has no live byte, whatever its figures say.
    dead += file.retired === true ? file.size : garbageOf(file, liveBytes).deadBytes
  }
  return size === 0 ? 1 : size / Math.max(1, size - dead)
}
