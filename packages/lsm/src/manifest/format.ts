/**
 * What is on disk in a manifest (`MANIFEST-000003`): the header of a log file (`log/format.ts`, magic `WKMF`), then
 * frames, each one version edit or one seal.
 *
 * A version edit is a list of fields, each a tag byte and its contents. A **seal** is a frame written after the edit
 * before it was synced: it says up to which offset the file is durable, and is not synced itself unless the next frame
 * begins in another sector. So a flipped bit in an edit can't be taken for a torn tail: a valid frame follows it. No
 * seal follows the edit that marks a clean close: it is the end of the file.
 *
 * Byte-range tables are in docs/format.md.
 */
import type { LogFormat } from '../log/format.js'

export const MANIFEST_FORMAT: LogFormat = { kind: 'manifest', magic: 'WKMF', version: 1 }

/** Tags of fields. On disk, never renumber. */
export const TAG_BASE = 1
export const TAG_NEXT_FILE_NUMBER = 2
export const TAG_LOG_NUMBER = 3
export const TAG_LAST_SEQUENCE = 4
export const TAG_DEPENDENCY = 5
export const TAG_ADD_TABLE = 6
export const TAG_REMOVE_TABLE = 7
export const TAG_CLEAN_CLOSE = 8
export const TAG_SEAL = 9
export const TAG_DROPPED_TOMBSTONE = 10
export const TAG_UNFLUSHED = 11

/** Bytes of CURRENT at most; more is damage. */
export const MAX_CURRENT_LENGTH = 64
