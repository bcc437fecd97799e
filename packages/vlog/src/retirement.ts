/**
 * How files leave the log: given up by the host, and unlinked once nobody holds them.
 *
 * Two ways. A file that is *retired* is remembered in the log's marks (`log-marks.ts`), stays readable while the host pins it, and is gone for good
 * across a restart. For a host with durable marks of its own files are *dropped*: nothing is remembered, its marks do not refer to them.
 *
 * A file with the highest number goes only when a higher one is there (law 11), so an empty one is made if need be. What reads hold, and
 * the unlinks, are in `vlog-set.ts`.
 */
import { InvalidArgumentError } from '@wk/codec'
import { UnderWay } from '@wk/fs'
import type { HostWrites } from './host-writes.js'
import type { LogMarks } from './log-marks.js'
import type { VlogSet } from './vlog-set.js'

export class Retirement {
  readonly #set: VlogSet
  readonly #writes: HostWrites
  readonly #marks: LogMarks
  /** It may make a file, or write the marks. */
  readonly #underWay = new UnderWay()

  constructor(set: VlogSet, writes: HostWrites, marks: LogMarks) {
    this.#set = set
    this.#writes = writes
    this.#marks = marks
  }

  /** See `ValueLog.pin`. @throws CorruptionError if there is no such file */
  pin(fid: number): void {
    this.#set.map.require(fid).hostPins++
  }

  /** Ends a pin; the last one lets a file go that was retired meanwhile. @throws InvalidArgumentError for a file that is not pinned */
  unpin(fid: number): void {
    const logical = this.#set.map.get(fid)
    if (logical === undefined || logical.hostPins === 0) throw new InvalidArgumentError(`value-log file ${fid} is not pinned`)
    logical.hostPins--
    if (logical.retired && logical.hostPins === 0) {
      this.#set.drop([fid])
      this.#set.sweepLater()
    }
  }

  /** See `ValueLog.retire`. Requires a writable log. @throws InvalidArgumentError for a file that is not sealed, IoError */
  async retire(fid: number): Promise<number> {
    const logical = this.#set.requireSealed(fid)
    if (logical.retired) return 0
    return this.#underWay.add(this.#writes.sync().then(() => this.#marks.retire(logical, () => this.#sweep())))
  }

  /** See `ValueLog.dropLogical`. Requires a writable log. @throws InvalidArgumentError for a file that is not sealed, IoError */
  async drop(fids: readonly number[]): Promise<number> {
    const present = fids.filter((fid) => this.#set.map.get(fid) !== undefined)
    for (const fid of present) this.#set.requireSealed(fid)
    const freed = this.#set.drop(present)
    await this.#underWay.add(this.#sweep())
    return freed
  }

  /** Unlinks what may go. Also a file with the highest number: then an empty one takes over its place. */
  async #sweep(): Promise<void> {
    if (this.#set.isHeldBack) await this.#writes.createSuccessor()
    await this.#set.sweep()
  }

  /** Resolves when what was begun before has ended, however it did. */
  async settled(): Promise<void> {
    await this.#underWay.settled()
  }
}
