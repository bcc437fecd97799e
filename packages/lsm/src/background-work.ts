/**
 * What a tree does beside its calls: flushes, compactions, the back-pressure that waits for them, and freeing what they replaced.
 *
 * Each publication may make other work due, and relieve who waits: so after each of them all is looked at again, and listeners are told.
 * In a tree that takes no writes any more, or is read-only, nothing begins; what is under way ends by the tree's `lifecycle`. How a
 * memtable is flushed and what is compacted is the business of `flush-scheduler.ts` and `compaction-scheduler.ts`; when the work has to
 * end for good is that of `closing.ts`.
 */
import type { WkError } from '@wk/codec'
import { BackPressure } from './back-pressure.js'
import { CompactionScheduler } from './compaction-scheduler.js'
import { FlushScheduler } from './flush-scheduler.js'
import type { TreeContext } from './tree-context.js'

export class BackgroundWork {
  readonly flushes: FlushScheduler
  readonly compactions: CompactionScheduler
  readonly pressure: BackPressure
  readonly #context: TreeContext
  readonly #listeners = new Set<() => void>()

  /** `onFailure`: told of work that gave up. */
  constructor(context: TreeContext, onFailure: (error: WkError) => void) {
    this.#context = context
    const onPublished = (): void => this.#published()
    this.compactions = new CompactionScheduler(context, onPublished, onFailure)
    this.flushes = new FlushScheduler(context, this.compactions, onPublished, onFailure)
    this.pressure = new BackPressure(context, () => this.schedule())
  }

  /** Begins whatever is due. */
  schedule(): void {
    if (!this.#context.lifecycle.isWritable || this.#context.options.readOnly) return
    this.flushes.schedule()
    this.compactions.schedule()
  }

  /** Frees what only an older view needed. To be called when one has come to its end. */
  collect(): void {
    const { retirement, memtables, views } = this.#context
    retirement.collect(views)
    memtables.recycle((memtable) => views.holdsMemtable(memtable))
  }

  /** Calls `listener` after each published edit. Returns a function that ends it. */
  onVersionChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #published(): void {
    this.#context.lifecycle.changes.changed()
    for (const listener of this.#listeners) listener()
    this.schedule()
  }
}
