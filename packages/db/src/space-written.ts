/**
 * How much was written since open, from positions that are there anyway: nothing is counted in the write path.
 */
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'

export class WrittenCounter {
  /** Bytes of value-log records. */
  bytes = 0
  /** Puts and deletes. */
  operations = 0
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #start: number
  #fid: number
  #offset: number

  constructor(tree: LsmTree, vlog: ValueLog) {
    this.#tree = tree
    this.#vlog = vlog
    this.#start = tree.nextSequence()
    const { fid, offset } = vlog.position()
    this.#fid = fid
    this.#offset = offset
  }

  /** Brings the figures up to date. Cheap, but for the first time after the active file has changed. */
  update(): void {
    this.operations = this.#tree.nextSequence() - this.#start
    const { fid, offset } = this.#vlog.position()
    if (fid === this.#fid) this.bytes += Math.max(0, offset - this.#offset)
    else {
      // What went to the end of the file before, and to whole files in between.
      for (const { number, relocated, size } of this.#vlog.physicalFiles()) {
        if (!relocated && number >= this.#fid && number < fid) this.bytes += Math.max(0, size - (number === this.#fid ? this.#offset : 0))
      }
      this.bytes += offset
    }
    this.#fid = fid
    this.#offset = offset
  }
}
