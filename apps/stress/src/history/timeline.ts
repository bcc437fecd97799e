/**
 * Every state that the acknowledged writes of a history went through.
 *
 * A key has one value at a version, or two possible ones while a `clear()` that covers it is under way or after one that was aborted. Batches and
 * transactions take effect whole, at the last of their versions: a version inside of one is a state that nobody may see.
 */
import type { Change, Clear, HistoryEvent } from './event.js'

interface Put {
  readonly version: number
  readonly value: string | undefined
}

/** The changes of a transaction, the last one of each key. */
export function changesOf(event: HistoryEvent): readonly Change[] {
  if (event.kind === 'write') return [...new Map(event.changes)]
  if (event.kind !== 'transaction') return []
  return [...new Map(event.steps.flatMap((step): Change[] => ('put' in step ? [step.put] : [])))]
}

export class Timeline {
  readonly #puts = new Map<string, Put[]>()
  readonly #clears: Clear[] = []
  /** Where a state ends and the next begins, ascending. */
  readonly #commits: number[] = []
  /** All keys that were ever written, in byte order (they are ASCII). */
  readonly keys: readonly string[]

  constructor(history: readonly HistoryEvent[]) {
    for (const event of history) {
      if (event.kind === 'clear') this.#clears.push(event)
      const version = event.kind === 'write' || (event.kind === 'transaction' && event.outcome === 'committed') ? event.version : undefined
      if (version === undefined) continue
      this.#commits.push(version)
      for (const [key, value] of changesOf(event)) {
        const puts = this.#puts.get(key) ?? []
        puts.push({ version, value })
        this.#puts.set(key, puts)
      }
    }
    for (const puts of this.#puts.values()) puts.sort((a, b) => a.version - b.version)
    this.#commits.sort((a, b) => a - b)
    this.keys = [...this.#puts.keys()].sort()
  }

  #newest(key: string, version: number): Put | undefined {
    return this.#puts.get(key)?.findLast((one) => one.version <= version)
  }

  /** Whether a key may have had this value at a version. */
  allows(key: string, value: string | undefined, version: number): boolean {
    const put = this.#newest(key, version)
    if (put?.value === undefined) return value === undefined
    let mayBeGone = false
    for (const clear of this.#clears) {
      // What was written after the call it leaves alone.
      if (key < clear.gte || key >= clear.lt || put.version > clear.called || version <= clear.called) continue
      if (!clear.aborted && version >= clear.returned) return value === undefined
      mayBeGone = true
    }
    return value === put.value || (mayBeGone && value === undefined)
  }

  /** Whether a key may have had some value at a version. */
  mayExist(key: string, version: number): boolean {
    const value = this.#newest(key, version)?.value
    return value !== undefined && this.allows(key, value, version)
  }

  /** Whether somebody may have written a key of a range after version `since`, up to `until`. */
  touched(gte: string, lt: string, since: number, until: number): boolean {
    const isIn = (key: string): boolean => key >= gte && key < lt
    for (const [key, puts] of this.#puts) if (isIn(key) && puts.some(({ version }) => version > since && version <= until)) return true
    return this.#clears.some((clear) => clear.gte < lt && clear.lt > gte && clear.returned > since && clear.called < until)
  }

  /** Versions at which a state began, from the one that was there at `low` to `high`. */
  states(low: number, high: number): number[] {
    return [low, ...this.#commits.filter((version) => version > low && version <= high), ...(high > low ? [high] : [])]
  }
}
