/**
 * The asking thread's side of {@link SharedPieces}: what is shared, and what must stay until the helper has let go.
 *
 * One batch at a time: the memory is used again when the task of the one before has ended, whatever became of it. Until then the
 * files that its records lie in are pinned.
 */
import { NotSupportedError, SHARED_LIMIT } from '@wk/codec'
import type { LogicalFile } from './file-map.js'
import type { PhysicalFile } from './physical-file.js'
import type { ReadQuery } from './read-task.js'
import { SharedPieces } from './shared-pieces.js'
import type { VlogSet } from './vlog-set.js'

/** A host's thread that helps with reading. */
export interface ReadHelper {
  /**
   * How to run `readTask` in a thread that has nothing else to do: a function to be called in the same turn, whose promise settles when that
   * thread has let go of what it was given. `undefined` if there is none.
   */
  find(): ((query: ReadQuery) => Promise<unknown>) | undefined
  /** Somebody reads long enough for a thread to be worth its start. Called now and then; cheap if there is one. */
  prepare(): void
}

/** Records that are read without help before a thread is started for the next ones. */
const ALONE = 4 * 4096

/** Not long records, whose results would have to be copied one by one, and none that must be decrypted. */
export function isShareable({ cipher }: LogicalFile, length: number): boolean {
  return length <= SHARED_LIMIT && cipher === undefined
}

/** Records to read: by index, as columns. */
export interface RecordPlaces {
  readonly logicals: readonly LogicalFile[]
  readonly physicals: readonly PhysicalFile[]
  readonly positions: readonly number[]
  readonly lens: readonly number[]
}

/** A batch that is read by two threads: the records of `order` from `own` on are those of the pieces. */
export interface SharedBatch {
  readonly order: Uint32Array
  readonly own: number
  readonly pieces: SharedPieces
}

export class ReadHelp {
  readonly #set: VlogSet
  readonly #helper: ReadHelper
  #pieces: SharedPieces | undefined
  /** The other thread holds the memory. */
  #held = false
  /** Whose records are in it, and whether they are being handed out. */
  #current: SharedBatch | undefined
  #resumed = false
  /** Records that were read without help, of those that might have been shared. */
  #alone = 0
  /** The thread knows no such task. */
  #refused = false

  constructor(set: VlogSet, helper: ReadHelper) {
    this.#set = set
    this.#helper = helper
  }

  /** Whether no batch can be shared now: another one is being handed out, or the other thread has not let go of it yet. */
  get isTaken(): boolean {
    return this.#held || this.#resumed || this.#refused
  }

  /** Whether the other thread has not let go. */
  get isHeld(): boolean {
    return this.#held
  }

  /**
   * Shares a batch with a thread that has nothing else to do, if there is one. Records that are not shared come first. A batch that was shared
   * before and waits to be resumed loses what was read. Ask {@link isTaken} first.
   */
  share(order: Uint32Array, places: RecordPlaces): SharedBatch | undefined {
    const run = this.#helper.find()
    if (run === undefined) {
      this.#missed(order.length)
      return undefined
    }
    const pieces = (this.#pieces ??= new SharedPieces())
    pieces.clear()
    const files = new Map<PhysicalFile, number>()
    const sorted = new Uint32Array(order.length)
    const shared: number[] = []
    let own = 0
    for (const index of order) {
      const physical = places.physicals[index]!
      const length = places.lens[index]!
      if (isShareable(places.logicals[index]!, length)) {
        let file = files.get(physical)
        if (file === undefined) files.set(physical, (file = files.size))
        if (pieces.add(file, places.positions[index]!, length)) {
          shared.push(index)
          continue
        }
      }
      sorted[own++] = index
    }
    sorted.set(shared, own)
    void this.#run(run, pieces, [...files.keys()])
    return (this.#current = { order: sorted, own, pieces })
  }

  /** Before what was read is handed out. False if it is lost. */
  resume(shared: SharedBatch): boolean {
    this.#resumed ||= this.#current === shared
    return this.#current === shared
  }

  /** Nothing of it is needed any more. */
  end(shared: SharedBatch): void {
    if (this.#current !== shared) return
    shared.pieces.takeAll()
    this.#current = undefined
    this.#resumed = false
  }

  async #run(run: (query: ReadQuery) => Promise<unknown>, pieces: SharedPieces, files: readonly PhysicalFile[]): Promise<void> {
    this.#held = true
    for (const physical of files) this.#set.pin(physical)
    try {
      await run({ buffer: pieces.buffer, count: pieces.count, paths: files.map(({ path }) => path) })
    } catch (error) {
      // What it did not read is read by this thread, which meets what is wrong.
      if (error instanceof NotSupportedError) this.#refused = true
    } finally {
      this.#held = false
      for (const physical of files) this.#set.unpin(physical)
    }
  }

  #missed(count: number): void {
    this.#alone += count
    if (this.#alone < ALONE) return
    this.#alone = 0
    this.#helper.prepare()
  }
}
