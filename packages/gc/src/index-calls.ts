/**
 * Calls into the host's index, with what comes back checked.
 *
 * A host is foreign code: a result of the wrong shape must stop a pass before anything is given up because of it, and
 * whatever it throws must leave as a `WkError`. Retries and liveness are the rewrite job's.
 */

import { InvalidArgumentError, IoError, WkError, isValuePointer, type ValuePointer } from '@wk/codec'
import type { PointerIndex, PointerMove } from './pointer-index.js'

/** As the host's error, or, when that is not one of ours, an `IoError` that carries it as `cause`. */
function hostError(error: unknown, operation: string): WkError {
  if (error instanceof WkError) return error
  return new IoError(`the index failed in ${operation}`, { file: '', operation, cause: error })
}

/** `index.lookup`, one answer a key, each a pointer or `undefined` (`null` is taken for it). */
export async function lookupPointers(
  index: PointerIndex,
  keys: readonly Uint8Array[],
): Promise<readonly (ValuePointer | undefined)[]> {
  let answers: readonly (ValuePointer | null | undefined)[]
  try {
    // A copy: one that is sorted or emptied must not decide what counts as dead.
    answers = await index.lookup([...keys])
  } catch (error) {
    throw hostError(error, 'lookup')
  }
  if (!Array.isArray(answers) || answers.length !== keys.length) {
    throw new InvalidArgumentError(`index.lookup must answer an array of ${keys.length} pointers`)
  }
  return answers.map((answer: unknown) => {
    if (answer === undefined || answer === null) return undefined
    if (!isValuePointer(answer)) throw new InvalidArgumentError('index.lookup answered something that is no value pointer')
    return answer
  })
}

/** `index.compareAndSwap`, one boolean a move. After a throw it is unknown which moves were applied. */
export async function swapPointers(index: PointerIndex, moves: readonly PointerMove[]): Promise<readonly boolean[]> {
  let won: readonly boolean[]
  try {
    won = await index.compareAndSwap([...moves])
  } catch (error) {
    throw hostError(error, 'compareAndSwap')
  }
  const isValid = Array.isArray(won) && won.length === moves.length && won.every((value) => typeof value === 'boolean')
  if (!isValid) throw new InvalidArgumentError(`index.compareAndSwap must answer an array of ${moves.length} booleans`)
  return won
}

/** `index.settle`, if the host has one; tells whether it has. */
export async function settleIndex(index: PointerIndex): Promise<boolean> {
  if (index.settle === undefined) return false
  try {
    await index.settle()
  } catch (error) {
    throw hostError(error, 'settle')
  }
  return true
}
