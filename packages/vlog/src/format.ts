/**
 * Constants of a value-log file, and its 20-byte header: Badger v4's, byte for byte.
 *
 * | offset | size | field                                                                    |
 * |--------|------|--------------------------------------------------------------------------|
 * | 0      | 8    | data key id, big-endian; 0 = not encrypted                               |
 * | 8      | 12   | base IV: random, used only when encrypted                                |
 * | 20     | ...  | records (`record.ts`), without gaps                                      |
 *
 * There is no magic, no version and no checksum of the header: Badger has none. Relocated files are in `run-table.ts`,
 * the state file in `state-file.ts`.
 */
import { CorruptionError } from '@wk/codec'

/** Bytes of the file header; offset of the first record. On disk, never changes. */
export const FILE_HEADER_LENGTH = 20
/** Bytes of the base IV inside the header. */
export const BASE_IV_LENGTH = 12
/** Bytes that Badger appends to a user key: 2^64 - 1 - version, big-endian. */
export const VERSION_LENGTH = 8
/** Bytes of the checksum behind a record. */
export const RECORD_CRC_LENGTH = 4
/** Shortest record header: meta, user meta and three one-byte varints. */
export const MIN_RECORD_HEADER_LENGTH = 5
/** Longest record header that Badger's format allows (2 + 5 + 5 + 10). */
export const MAX_RECORD_HEADER_LENGTH = 22
/** Shortest record: shortest header, empty user key, empty value, checksum. */
export const MIN_RECORD_LENGTH = MIN_RECORD_HEADER_LENGTH + VERSION_LENGTH + RECORD_CRC_LENGTH
/** Longest user key that is written, as in Badger. */
export const MAX_USER_KEY_LENGTH = 65_000
/** Longest stored key (user key and version) that is read, as in Badger. */
export const MAX_STORED_KEY_LENGTH = 65_536
/** Longest value that is written, in bytes. */
export const MAX_VALUE_LENGTH = 2 ** 30
/** Highest end of a file that pointers of 32 bits can name. */
export const MAX_FILE_END = 0xffff_ffff
/** Highest file number: `fid` has 32 bits. */
export const MAX_FID = 0xffff_ffff

// Meta bits that a writer may set, as in Badger; on disk, never renumber.
/** The key was deleted. */
export const META_DELETE = 0x01
/** In an LSM-tree: the value lies in the value log. */
export const META_VALUE_POINTER = 0x02
/** Earlier versions of the key may go. */
export const META_DISCARD_EARLIER_VERSIONS = 0x04
/** An operand of a merge operator. */
export const META_MERGE_ENTRY = 0x08
/** Ours, a bit that Badger leaves free: the value is stored compressed (`lz4.ts`). */
export const META_LZ4 = 0x10
/**
 * Ours, likewise free there: the record alone commits its write. A host with a log of its own that lags behind finds in such
 * records what the log does not say yet (docs/adr/0014).
 */
export const META_COMMIT = 0x20
/** Every bit that `append` accepts. 0x40 and 0x80 are Badger's transaction marks (never in a value log). */
export const META_MASK = META_DELETE | META_VALUE_POINTER | META_DISCARD_EARLIER_VERSIONS | META_MERGE_ENTRY
/** Badger's transaction marks, in its memtable logs: a record of a transaction. */
export const META_TXN = 0x40
/** The end of a transaction. */
export const META_FIN_TXN = 0x80

/** What the header of a file says. */
export interface FileHeader {
  /** Id of the data key; 0 = not encrypted. */
  keyId: number
  /** {@link BASE_IV_LENGTH} bytes. */
  baseIv: Uint8Array
}

/** The 20 bytes of a header. */
export function encodeFileHeader({ keyId, baseIv }: FileHeader): Uint8Array {
  const bytes = new Uint8Array(FILE_HEADER_LENGTH)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(keyId))
  bytes.set(baseIv.subarray(0, BASE_IV_LENGTH), 8)
  return bytes
}

/**
 * Reads a header. Requires {@link FILE_HEADER_LENGTH} bytes.
 * @throws CorruptionError if the key id is no number that a writer counts up to
 */
export function decodeFileHeader(bytes: Uint8Array, file: string): FileHeader {
  const keyId = new DataView(bytes.buffer, bytes.byteOffset, FILE_HEADER_LENGTH).getBigUint64(0)
  if (keyId > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new CorruptionError(`impossible data key id in ${file}`, { file, offset: 0 })
  }
  return { keyId: Number(keyId), baseIv: bytes.slice(8, FILE_HEADER_LENGTH) }
}
