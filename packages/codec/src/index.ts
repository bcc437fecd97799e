/**
 * `@wk/codec`: what is on disk, as pure functions. No I/O, no time.
 *
 * @packageDocumentation
 */
export {
  AbortedError,
  ClosedError,
  ConflictError,
  CorruptionError,
  ExistsError,
  GcRunningError,
  InvalidArgumentError,
  IoError,
  LockedError,
  NoRewriteError,
  NotFoundError,
  NotSupportedError,
  ReadOnlyError,
  TxnTooBigError,
  WkError,
  WrongKeyError,
  errnoOf,
  isOutOfResources,
  isOutOfSpace,
  throwIfAborted,
} from './errors.js'
export type { WkErrorCode, WkErrorOptions } from './errors.js'
export { bytesFrom, isShared } from './bytes-from.js'
export { bytesOf, keyBytes, limitOf, ownKeyBytes, rangeBytes } from './bytes-like.js'
export { abortable } from './abortable.js'
export { checkArgument, hasMethods, isCount } from './check-argument.js'
export { checkFlag, checkFunction, checkOptions, checkWork } from './call-options.js'
export type { WorkOptions } from './call-options.js'
export { flagOption, integerOption, wordOption } from './option-values.js'
export { commonPrefixLength, compareBytes, compareRanges, shortestSeparator } from './compare.js'
export { copyBytes } from './copy-bytes.js'
export { NO_BYTES } from './no-bytes.js'
export { ResultMemory, SHARED_LIMIT, SLAB_LENGTH, allocateBytes, allocateSlab } from './result-memory.js'
export { MAX_UVARINT_LENGTH, uvarintLength, writeUvarint } from './varint.js'
export { NATIVE_FROM, crc32c, crc32cPortable, crc32cRange, hasNativeCrc32c } from './crc32c.js'
export { ByteReader } from './byte-reader.js'
export type { ByteReaderOptions } from './byte-reader.js'
export { ByteWriter, readU32, writeU32, writeU64 } from './byte-writer.js'
export {
  KIND_ATTRIBUTES,
  KIND_POINTER,
  KIND_TOMBSTONE,
  KIND_VALUE,
  MAX_KEY_LENGTH,
  MAX_SEQUENCE,
  TRAILER_LENGTH,
  baseKind,
  compareInternal,
  encodeInternalKey,
  isKind,
  isSequence,
  readTrailerKind,
  readTrailerSequence,
  writeTrailer,
} from './internal-key.js'
export {
  POINTER_LENGTH,
  decodePointer,
  encodePointer,
  isU32,
  isValuePointer,
  readPointerFid,
  readPointerLen,
  readPointerOffset,
  samePointer,
  writePointer,
} from './value-pointer.js'
export type { ValuePointer } from './value-pointer.js'
export { attributesLength, entryBytes, kindWithAttributes, readExpiresAt, readPayload, writeAttributes } from './entry-payload.js'
export type { PayloadView } from './entry-payload.js'
export { formatFileName, parseFileName, tempName } from './file-name.js'
export type { FileKind, NumberedFileKind, ParsedFileName, SingleFileKind } from './file-name.js'
export { FRAME_HEADER_LENGTH, placeSeed, readFrame, writeFrameHeader } from './frame.js'
export { newLookupResult } from './entry-cursor.js'
export type { EntryCursor, EntryPlace, EntryScan, EntryView, KeyView, LookupResult } from './entry-cursor.js'
export { isAtOrAfterStart, isAtOrBeforeEnd, isInRange } from './key-range.js'
export type { KeyRange } from './key-range.js'
export { InvariantError, invariant } from './invariant.js'
