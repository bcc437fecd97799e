/**
 * Makes iterators: checks what was asked for, takes the view, places the cursor.
 */
import { InvalidArgumentError, checkFlag, limitOf, rangeBytes } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { VisibleCursor } from '@wk/lsm'
import { optionsObject } from './arguments.js'
import type { EntryReader } from './entry-reader.js'
import { DEFAULT_HIGH_WATER_MARK, DbIterator } from './iterator.js'
import type { IteratorMode, IteratorObserver, IteratorOptions, WalkedCursor } from './iterator.js'
import type { Parts } from './open.js'

/** What a transaction puts between the database and an iterator of its own. */
export interface IteratorLayer {
  readonly cursor: WalkedCursor & { first(): void }
  readonly observer: IteratorObserver | undefined
}

/** Makes the layer over a cursor that stands beside all entries. */
export type LayIterator = (base: VisibleCursor, range: KeyRange, reverse: boolean) => IteratorLayer

/** Requires a readable database. `onClose` is told once. */
export function openIterator<T>(
  { health, tree, guard }: Parts,
  reader: EntryReader,
  mode: IteratorMode,
  options: IteratorOptions | undefined,
  sequence: number,
  onClose: (iterator: DbIterator<T>) => void,
  lay?: LayIterator,
): DbIterator<T> {
  const { limit, highWaterMarkBytes = DEFAULT_HIGH_WATER_MARK } = optionsObject(options)
  const reverse = checkFlag('reverse', options?.reverse, false)
  if (!Number.isSafeInteger(highWaterMarkBytes) || highWaterMarkBytes < 1) throw new InvalidArgumentError('highWaterMarkBytes must be a positive integer')
  const range = rangeBytes(options ?? {})
  const entries = limitOf(limit)
  const view = tree.acquireView()
  try {
    // Opens tables, which may fail, as reading them may.
    const base = tree.cursor(view, sequence, { reverse, range })
    const layer = lay?.(base, range, reverse)
    const cursor = layer?.cursor ?? base
    cursor.first()
    const source = {
      cursor,
      observer: layer?.observer,
      reader,
      range,
      limit: entries,
      highWaterMarkBytes,
      assertReadable: () => health.assertReadable(),
      guard,
      release: () => view.release(),
    }
    return new DbIterator<T>(source, mode, onClose)
  } catch (error) {
    view.release()
    throw error
  }
}
