/**
 * Zeros behind the records of a file that is synced after every few of them.
 *
 * The sync of a file that has grown commits the journal of the file system, too, because the new length has to become durable.
 * Bytes that were there already only have to be written: with zeros ahead small syncs are 1.2 to 1.6 times as many a second
 * on ext4. They double what is written, so there are none before several syncs in a row were small (docs/adr/0021).
 *
 * No record begins like zeros, so recovery takes them for a torn tail. Before a file is sealed they are cut off.
 */
import { isOutOfSpace } from '@wk/codec'
import { writeFullySync } from '@wk/fs'
import type { LogicalFile } from './file-map.js'
import type { LogPosition } from './sync-tracker.js'

/** A sync of more bytes waits for the bytes, not for the length. */
const SMALL_SYNC = 64 * 1024
/** So many of them one after another, in one file, and the next ones are expected to be small, too. */
const SEVERAL = 4
/** As many zeros as the file has bytes, within these bounds: the upper one is about a quarter of a millisecond of copying. */
const FEWEST_ZEROS = 16 * 1024
const MOST_ZEROS = 1024 * 1024

/** Nobody writes to it, so it takes address space and no memory. */
let zeros: Uint8Array | undefined

export class ZerosAhead {
  #fid = 0
  /** Small syncs of the file, one after another. */
  #smallSyncs = 0

  /**
   * To be called right before a sync of the file that takes writes, while the log is durable up to `synced`. Writes zeros on the calling
   * thread if they are due. Where the disk has no room for them there are none. @throws IoError
   */
  beforeSync({ fid, written, physical }: LogicalFile, synced: LogPosition): void {
    if (synced.fid !== fid || written - synced.offset > SMALL_SYNC) {
      this.#smallSyncs = 0
      return
    }
    if (this.#fid !== fid) this.#smallSyncs = 0
    this.#fid = fid
    if (++this.#smallSyncs < SEVERAL || written <= physical.zerosEnd || physical.file === undefined) return
    const length = Math.min(Math.max(written, FEWEST_ZEROS), MOST_ZEROS)
    physical.zerosEnd = written + length
    zeros ??= new Uint8Array(MOST_ZEROS)
    try {
      writeFullySync(physical.file, zeros, 0, length, written)
    } catch (error) {
      if (!isOutOfSpace(error)) throw error
    }
  }
}

/** Bytes of zeros behind the records of a file. */
export function zerosBehind({ written, physical }: LogicalFile): number {
  return Math.max(0, physical.zerosEnd - written)
}

/** Cuts the zeros off a file that takes no more records. Not durable before a sync. @throws IoError */
export async function cutZeros({ end, physical }: LogicalFile): Promise<void> {
  if (physical.zerosEnd > end) await physical.file?.truncate(end)
  physical.zerosEnd = 0
}
