/**
 * Views: the memtables and the version that a reader sees, kept together and kept alive.
 *
 * There is one current view; every rotation, flush and compaction replaces it. A reader that stays (an iterator, an
 * asynchronous scan) acquires it: as long as it is not released, no table of its version is removed and no memtable of
 * it is used again. Visibility of later writes in the active memtable is a matter of sequence numbers, not of views.
 */
import { invariant } from '@wk/codec'
import type { Memtable } from '@wk/memtable'
import { addReferences } from './manifest/version.js'
import type { ReferenceSum, Version } from './manifest/version.js'

/** What a reader sees. */
export interface ReadView {
  /** Newest first; the first one may still grow. */
  readonly memtables: readonly Memtable[]
  readonly version: Version
  /** Lets go of it: the view, and cursors made from it, must not be used any more. Idempotent. */
  release(): void
}

/** A view with its readers counted. */
interface CountedView {
  readonly memtables: readonly Memtable[]
  readonly version: Version
  readers: number
}

export class ReadViews {
  #current: CountedView
  /** The current view and every older one that has readers. */
  readonly #live = new Set<CountedView>()
  readonly #onDropped: () => void

  /** `onDropped` is called, synchronously, whenever a view has come to its end. */
  constructor(memtables: readonly Memtable[], version: Version, onDropped: () => void) {
    this.#current = { memtables, version, readers: 1 }
    this.#live.add(this.#current)
    this.#onDropped = onDropped
  }

  /** The current view. Good until the next turn; who stays longer acquires it. */
  get current(): Pick<ReadView, 'memtables' | 'version'> {
    return this.#current
  }

  /** Views with readers, the current one included. */
  get size(): number {
    return this.#live.size
  }

  acquire(): ReadView {
    return this.#acquire(this.#current)
  }

  /** Every live view, each to be released: none of their tables goes until then. */
  acquireAll(): ReadView[] {
    return [...this.#live].map((view) => this.#acquire(view))
  }

  #acquire(view: CountedView): ReadView {
    view.readers++
    let released = false
    return {
      memtables: view.memtables,
      version: view.version,
      release: () => {
        if (released) return
        released = true
        this.#release(view)
      },
    }
  }

  /** Makes another view the current one. */
  replace(memtables: readonly Memtable[], version: Version): void {
    const before = this.#current
    this.#current = { memtables, version, readers: 1 }
    this.#live.add(this.#current)
    this.#release(before)
  }

  /** Whether some live view holds table `number`. */
  holdsTable(number: number): boolean {
    for (const { version } of this.#live) if (version.has(number)) return true
    return false
  }

  /** Whether some live view holds `memtable`. */
  holdsMemtable(memtable: Memtable): boolean {
    for (const { memtables } of this.#live) if (memtables.includes(memtable)) return true
    return false
  }

  /** Every memtable and version of a live view, each once. */
  live(): { memtables: Set<Memtable>; versions: Set<Version> } {
    const memtables = new Set<Memtable>()
    const versions = new Set<Version>()
    for (const view of this.#live) {
      versions.add(view.version)
      for (const memtable of view.memtables) memtables.add(memtable)
    }
    return { memtables, versions }
  }

  /** What the current view references in the value log: the tables of its version and its memtables. */
  liveReferences(): Map<number, ReferenceSum> {
    const sums = new Map<number, ReferenceSum>()
    for (const [fid, { count, bytes }] of this.#current.version.references()) sums.set(fid, { count, bytes })
    for (const memtable of this.#current.memtables) addReferences(sums, entriesOf(memtable))
    return sums
  }

  /** Value-log files that some live view references. */
  pinnedFids(): Set<number> {
    const fids = new Set<number>()
    const { memtables, versions } = this.live()
    for (const version of versions) for (const fid of version.references().keys()) fids.add(fid)
    for (const memtable of memtables) for (const { fid } of entriesOf(memtable)) fids.add(fid)
    return fids
  }

  #release(view: CountedView): void {
    view.readers--
    invariant(view.readers >= 0, 'a view is released as often as it was acquired')
    if (view.readers > 0) return
    this.#live.delete(view)
    this.#onDropped()
  }
}

function* entriesOf(memtable: Memtable): Generator<{ fid: number; count: number; bytes: number }> {
  for (const [fid, { count, bytes }] of memtable.references()) yield { fid, count, bytes }
}
