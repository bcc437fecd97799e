/**
 * The oracle of every test: a plain sorted map with nothing clever in it. Keys are held as Latin-1 text, one character
 * per byte, because the order of such strings in JavaScript is the byte order of the keys. Values are never changed
 * once stored, so a snapshot is a shallow copy.
 */

/** A key as Latin-1 text: character n is byte n. */
export type KeyText = string

/** Bounds, direction and limit of a scan, with keys as text. `gte` wins over `gt`, `lte` over `lt`. */
export interface ModelRange {
  readonly gt?: KeyText
  readonly gte?: KeyText
  readonly lt?: KeyText
  readonly lte?: KeyText
  readonly reverse?: boolean
  /** Most entries returned; negative or absent: all. */
  readonly limit?: number
}

/** One change of one key; `value` undefined deletes. */
export interface Change {
  readonly key: KeyText
  readonly value: Uint8Array | undefined
}

/** Bytes of a key text. */
export function bytesOf(text: KeyText): Uint8Array {
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i)
  return out
}

/** Key text of bytes. */
export function textOf(bytes: Uint8Array): KeyText {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** True if a key text lies inside the bounds of a range (direction and limit play no part). */
export function inRange(key: KeyText, range: ModelRange): boolean {
  if (range.gte !== undefined ? key < range.gte : range.gt !== undefined && key <= range.gt) return false
  if (range.lte !== undefined ? key > range.lte : range.lt !== undefined && key >= range.lt) return false
  return true
}

/** A sorted map from key text to value bytes. */
export class Model {
  readonly #values: Map<KeyText, Uint8Array>
  #sorted: KeyText[] | undefined

  constructor(entries: Iterable<readonly [KeyText, Uint8Array]> = []) {
    this.#values = new Map(entries)
  }

  get size(): number {
    return this.#values.size
  }

  get(key: KeyText): Uint8Array | undefined {
    return this.#values.get(key)
  }

  has(key: KeyText): boolean {
    return this.#values.has(key)
  }

  /** Applies one change. The model keeps the value array: the caller must not write to it again. */
  apply(change: Change): void {
    if (change.value === undefined) {
      if (this.#values.delete(change.key)) this.#sorted = undefined
      return
    }
    if (!this.#values.has(change.key)) this.#sorted = undefined
    this.#values.set(change.key, change.value)
  }

  /** Keys inside the range, ascending, whatever its direction and limit say. */
  keysIn(range: ModelRange): KeyText[] {
    return this.#keys().filter((key) => inRange(key, range))
  }

  /** Entries of a scan: in its direction, cut at its limit. */
  scan(range: ModelRange): [KeyText, Uint8Array][] {
    const keys = this.keysIn(range)
    if (range.reverse === true) keys.reverse()
    const limit = range.limit ?? -1
    const wanted = limit < 0 ? keys : keys.slice(0, limit)
    return wanted.map((key) => [key, this.#values.get(key) as Uint8Array])
  }

  /** All entries, ascending. */
  entries(): [KeyText, Uint8Array][] {
    return this.scan({})
  }

  /** A copy that later changes do not touch. */
  snapshot(): Model {
    return new Model(this.#values)
  }

  #keys(): readonly KeyText[] {
    return (this.#sorted ??= [...this.#values.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)))
  }
}
