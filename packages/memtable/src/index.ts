/**
 * `@wk/memtable`: an ordered map from internal key to payload, in one shareable arena. Knows no files.
 *
 * @packageDocumentation
 */
export { MIN_CAPACITY, Memtable } from './memtable.js'
export type { MemtableOptions, MemtableReferences } from './memtable.js'
export type { MemtableDescription } from './memtable-description.js'
export type { TreeState } from './arena-tree.js'
export { WkError } from '@wk/codec'
export type { WkErrorCode } from '@wk/codec'
