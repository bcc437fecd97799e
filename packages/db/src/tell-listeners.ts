/**
 * Events of the database, told from the middle of its work.
 */
import type { EventEmitter } from 'node:events'
import { throwBeside } from '@wk/fs'

/** Tells listeners. What one throws is its own: it ends up as an uncaught exception, beside the work that had something to tell. */
export function tellListeners(emitter: EventEmitter, event: 'health' | 'warning', message: object): void {
  try {
    emitter.emit(event, message)
  } catch (error) {
    throwBeside(error)
  }
}
