/**
 * One step of a history as a call: a put or a deletion where it is one change, else a batch. The two take different ways
 * through the engine, so a workload that is to cross both writes through this.
 */
import type { Database, WriteOptions } from './database.js'
import { bytesOf, type Change } from './model.js'

/** Calls the database once. */
export function writeStep(db: Pick<Database, 'put' | 'del' | 'batch'>, changes: readonly Change[], options: WriteOptions = {}): Promise<void> {
  const [first] = changes
  if (changes.length !== 1 || first === undefined) return db.batch(changes.map(({ key, value }) => (value === undefined ? { type: 'del', key: bytesOf(key) } : { type: 'put', key: bytesOf(key), value })), options)
  return first.value === undefined ? db.del(bytesOf(first.key), options) : db.put(bytesOf(first.key), first.value, options)
}
