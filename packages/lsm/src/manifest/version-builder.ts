/**
 * Applies many edits to one version, as reading a manifest does: the cost of an edit is that of the tables it names, not
 * that of all tables there are.
 *
 * Whether an edit removes what is there and adds what is not is checked at each edit; whether the tables of a level overlap
 * at the end, when the version is built.
 */
import type { TableSummary } from '@wk/sstable'
import { MAX_LEVELS, Version } from './version.js'
import type { LeveledTable, RemovedTable } from './version.js'

export class VersionBuilder {
  /** By level, by table number. */
  readonly #levels: Map<number, TableSummary>[] = [new Map()]
  readonly #numbers = new Set<number>()

  /** Applies an edit. Returns why it does not fit, if it does not; the builder is useless then. */
  apply(added: readonly LeveledTable[], removed: readonly RemovedTable[]): string | undefined {
    for (const { level, number } of removed) {
      if (this.#levels[level]?.delete(number) !== true) return `table ${number} is not in level ${level}`
      this.#numbers.delete(number)
    }
    for (const { level, table } of added) {
      if (level < 0 || level >= MAX_LEVELS) return `there is no level ${level}`
      if (this.#numbers.has(table.number)) return `table ${table.number} is there already`
      while (this.#levels.length <= level) this.#levels.push(new Map())
      this.#levels[level]?.set(table.number, table)
      this.#numbers.add(table.number)
    }
    return undefined
  }

  /** The version after all edits, or why there is none: tables of a level below 0 overlap. */
  build(): Version | string {
    const added = this.#levels.flatMap((tables, level) => [...tables.values()].map((table) => ({ level, table })))
    const empty = Version.empty(this.#levels.length)
    return empty.conflict(added, []) ?? empty.apply(added, [])
  }
}
