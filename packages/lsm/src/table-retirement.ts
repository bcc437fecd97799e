/**
 * Tables that the current version does not hold any more: removed once no view holds them either (CR3).
 */
import { formatFileName } from '@wk/codec'
import type { ObsoleteFiles } from './obsolete-files.js'
import type { ReadViews } from './read-view.js'
import type { TableCache } from './table-cache.js'

export class TableRetirement {
  readonly #tables: TableCache
  readonly #obsolete: ObsoleteFiles
  #waiting: number[] = []

  constructor(tables: TableCache, obsolete: ObsoleteFiles) {
    this.#tables = tables
    this.#obsolete = obsolete
  }

  /** Tables that a view still pins. */
  get size(): number {
    return this.#waiting.length
  }

  /** Takes over tables; the edit that drops them must be durable. */
  retire(numbers: readonly number[], views: ReadViews): void {
    this.#waiting.push(...numbers)
    this.collect(views)
  }

  /** Removes what no view holds any more. */
  collect(views: ReadViews): void {
    if (this.#waiting.length === 0) return
    this.#waiting = this.#waiting.filter((number) => {
      if (views.holdsTable(number)) return true
      this.#tables.evict(number)
      this.#obsolete.remove(formatFileName('table', number))
      return false
    })
  }
}
