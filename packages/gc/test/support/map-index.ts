/** The smallest host: a map from key text to pointer. */
import { samePointer, type ValuePointer } from '@wk/codec'
import type { GcValueLog, PointerIndex, PointerMove } from '../../src/index.js'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const bytesOf = (text: string): Uint8Array => encoder.encode(text)
export const textOf = (bytes: Uint8Array): string => decoder.decode(bytes)

export class MapIndex implements PointerIndex {
  readonly map = new Map<string, ValuePointer>()
  readonly lookups: string[][] = []
  readonly swaps: PointerMove[][] = []

  lookup(keys: readonly Uint8Array[]): (ValuePointer | undefined)[] {
    this.lookups.push(keys.map(textOf))
    return keys.map((key) => this.map.get(textOf(key)))
  }

  compareAndSwap(moves: readonly PointerMove[]): boolean[] {
    this.swaps.push([...moves])
    return moves.map(({ key, from, to }) => {
      const current = this.map.get(textOf(key))
      if (current === undefined || !samePointer(current, from)) return false
      this.map.set(textOf(key), to)
      return true
    })
  }
}

/** Puts and deletes over a log and a {@link MapIndex}, garbage reported. */
export class MapHost<Log extends Pick<GcValueLog, 'append' | 'discard'>> {
  readonly vlog: Log
  readonly index: MapIndex

  constructor(vlog: Log, index = new MapIndex()) {
    this.vlog = vlog
    this.index = index
  }

  async put(key: string, value: string): Promise<ValuePointer> {
    const entry = { key: bytesOf(key), value: bytesOf(value), version: 0, meta: 0, userMeta: 0, expiresAt: 0 }
    const [pointer] = await this.vlog.append([entry])
    if (pointer === undefined) throw new Error('append answered no pointer')
    this.#replace(key, pointer)
    return pointer
  }

  delete(key: string): void {
    this.#replace(key, undefined)
  }

  #replace(key: string, pointer: ValuePointer | undefined): void {
    const old = this.index.map.get(key)
    if (pointer === undefined) this.index.map.delete(key)
    else this.index.map.set(key, pointer)
    if (old !== undefined) this.vlog.discard(old)
  }
}
