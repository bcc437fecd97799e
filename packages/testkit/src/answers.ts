/**
 * Compares what a database answered with what the model says. Every array that was compared is overwritten afterwards:
 * it must be the caller's own copy.
 */
import { WkError } from '@wk/codec'
import type { IteratorHandle } from './database.js'
import type { KeyText } from './model.js'
import { sameBytes } from './oracle.js'

/** The database said something else than the model. */
export class Difference extends Error {
  override readonly name = 'Difference'
}

/** One entry as found; a side that the scan does not give is undefined. */
export type Found = readonly [KeyText | undefined, Uint8Array | undefined]

/** Throws: Difference unless both are the same bytes, or both are missing. */
export function expectValue(found: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  if (!sameBytes(found, expected)) throw new Difference(`expected ${expected?.length ?? 'no'} bytes, found ${found?.length ?? 'no'} bytes`)
  if (found === undefined) return
  if (Object.getPrototypeOf(found) !== Uint8Array.prototype) throw new Difference('the value is not a plain Uint8Array')
  found.fill(0x5a)
}

/** Throws: Difference unless the entries are the expected ones, in order. */
export function expectEntries(found: readonly Found[], expected: readonly (readonly [KeyText, Uint8Array])[], what: 'keys' | 'values' | 'iterator' = 'iterator'): void {
  for (const [i, [key, value]] of expected.entries()) {
    const at = found[i]
    if (at === undefined) throw new Difference(`${found.length} entries, expected ${expected.length}`)
    if (what !== 'values' && at[0] !== key) throw new Difference(`entry ${i} is ${JSON.stringify(at[0])}, expected ${JSON.stringify(key)}`)
    if (what !== 'keys') expectValue(at[1], value)
  }
  if (found.length > expected.length) throw new Difference(`${found.length} entries, expected ${expected.length}`)
}

/** Throws: Difference unless the use is refused with `WK_CLOSED`. */
export async function expectClosed(use: () => Promise<unknown>): Promise<void> {
  try {
    await use()
  } catch (err) {
    if (err instanceof WkError && err.code === 'WK_CLOSED') return
    throw new Difference(`use after close threw ${String(err)}`, { cause: err })
  }
  throw new Difference('use after close was not refused')
}

/** Reads an iterator to its end and closes it: by for-await (chunk 0), by `next` (1), or by `nextv(chunk)`. */
export async function collect<T>(iterator: IteratorHandle<T>, chunk: number): Promise<T[]> {
  const out: T[] = []
  if (chunk === 0) {
    for await (const item of iterator) out.push(item)
    return out
  }
  for (;;) {
    const items = chunk === 1 ? [await iterator.next()] : await iterator.nextv(chunk)
    const got = items.filter((item) => item !== undefined)
    if (got.length === 0) break
    out.push(...got)
  }
  await iterator.close()
  return out
}
