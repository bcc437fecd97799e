/**
 * Reading a value beside a running collection.
 *
 * Between a host's index lookup and its read of the log a pass may move the value and give the old file up. A pointer that
 * was current then is not an error to tell the user about: it is looked up again. A pointer that is still
 * current and cannot be read is damage, and is told.
 */

import { CorruptionError, InvalidArgumentError, samePointer, type ValuePointer } from '@wk/codec'

/** Looks a key up; `null` is taken for `undefined`. Called again after a read that failed. */
export type LookupPointer = () => ValuePointer | null | undefined | Promise<ValuePointer | null | undefined>

/**
 * What `read` gives for the current pointer, or `undefined` when there is none.
 *
 * ```ts
 * const entry = await readCurrent(() => index.get(key), (pointer) => vlog.read(pointer))
 * ```
 *
 * Throws `InvalidArgumentError` for what are no functions, what `lookup` throws, and what `read` threw for a pointer that `lookup` still answers afterwards. Ends: each further try needs a pointer that
 * has changed in between.
 */
export async function readCurrent<T>(
  lookup: LookupPointer,
  read: (pointer: ValuePointer) => T | Promise<T>,
): Promise<T | undefined> {
  if (typeof lookup !== 'function' || typeof read !== 'function') throw new InvalidArgumentError('lookup and read must be functions')
  let pointer = await lookup()
  while (pointer !== undefined && pointer !== null) {
    try {
      return await read(pointer)
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      const current = await lookup()
      if (current !== undefined && current !== null && samePointer(current, pointer)) throw error
      pointer = current
    }
  }
  return undefined
}
