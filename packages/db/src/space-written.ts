/**
 * How much was written since open.
 */
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'

export class WrittenCounter {
  /** Bytes of value-log records. */
  bytes = 0
  /** Those of them that went where garbage was, so that the disk holds no more than before. */
  bytesInGaps = 0
  /** Puts and deletes. */
  operations = 0
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #start: number

  constructor(tree: LsmTree, vlog: ValueLog) {
    this.#tree = tree
    this.#vlog = vlog
    this.#start = tree.nextSequence()
  }

  /** Brings the figures up to date. */
  update(): void {
    const { bytes, bytesInGaps } = this.#vlog.appended
    this.bytes = bytes
    this.bytesInGaps = bytesInGaps
    this.operations = this.#tree.nextSequence() - this.#start
  }
}
