/**
 * `@wk/level`: an `abstract-level` database over `@wk/db`.
 *
 * Whoever uses classic-level changes one import and keeps encodings, sublevels, hooks, events and error codes; values
 * that are not tiny go to a value log and stay out of compaction.
 *
 * @packageDocumentation
 */
export { LevelError } from './error-codes.js'
export type { LevelErrorCode } from './error-codes.js'
export type {
  WkLevelBatchOptions,
  WkLevelClearOptions,
  WkLevelCompactOptions,
  WkLevelDelOptions,
  WkLevelIteratorOptions,
  WkLevelKeyIteratorOptions,
  WkLevelOpenOptions,
  WkLevelOptions,
  WkLevelPutOptions,
  WkLevelRangeOptions,
  WkLevelValueIteratorOptions,
} from './options.js'
export { WkLevel } from './wk-level.js'
export { CorruptionError, IoError, LockedError, WkError } from '@wk/db'
export type { WkErrorCode } from '@wk/db'
