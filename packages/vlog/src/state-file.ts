/**
 * VLOGSTATE: what a value log that stands alone has to remember beside its records.
 *
 * One frame (`frame.ts` of the codec, salted with file number 0 and offset 0) whose payload is, in uvarints after a
 * magic: next file number, clean end (fid, size), discarded files (count, then fid, records, bytes each, ascending),
 * retired fids (count, then fid each, ascending), and, if there are any, fids of files for survivors (likewise). The file is replaced as a whole: temporary file, sync, rename,
 * directory sync. A host that keeps its own marks (`@wk/db`) never makes one.
 *
 * Bytes that do not verify are damage and are reported. The file may be removed by hand after a clean close: only figures of garbage, pending deletions and
 * the promise of a clean close are lost, and a recount brings the figures back.
 */
import {
  ByteReader,
  ByteWriter,
  CorruptionError,
  FRAME_HEADER_LENGTH,
  formatFileName,
  readFrame,
  tempName,
  writeFrameHeader,
} from '@wk/codec'
import { isNotFound, readFully, writeFully, type File, type FileSystem } from '@wk/fs'
import type { Discarded } from './discard-stats.js'
import { MAX_FID, MAX_FILE_END } from './format.js'

/** On disk, never changes; the last byte is the version. */
const MAGIC = Uint8Array.of(0x57, 0x4b, 0x56, 0x53, 0x01)
const MAX_STATE_LENGTH = 1 << 28
export const STATE_NAME = formatFileName('vlogState')

export interface LogState {
  /** The next file number is at least this. */
  nextNumber: number
  /** End of the newest file at the last clean close. Sealed files keep that size for ever. */
  clean: { fid: number; size: number } | undefined
  /** Ascending fid. */
  discarded: [number, Discarded][]
  /** Given up, perhaps not unlinked yet, or not durably. Ascending. */
  retired: number[]
  /**
   * Files for what survived a collection, begun since the log was opened and above the one that took fresh records then. Only the
   * last may not be durable to its end, beside the newest of the other files. Ascending.
   */
  survivors: number[]
}

export function encodeState(state: LogState): Uint8Array {
  const writer = new ByteWriter()
  writer.reserve(FRAME_HEADER_LENGTH)
  writer.length = FRAME_HEADER_LENGTH
  writer.raw(MAGIC).uvarint(state.nextNumber).uvarint(state.clean?.fid ?? 0).uvarint(state.clean?.size ?? 0)
  writer.uvarint(state.discarded.length)
  for (const [fid, { records, bytes }] of state.discarded) writer.uvarint(fid).uvarint(records).uvarint(bytes)
  writer.uvarint(state.retired.length)
  for (const fid of state.retired) writer.uvarint(fid)
  if (state.survivors.length > 0) writer.uvarint(state.survivors.length)
  for (const fid of state.survivors) writer.uvarint(fid)
  writeFrameHeader(writer.bytes, 0, writer.length - FRAME_HEADER_LENGTH, 0, 0)
  return writer.toBytes()
}

/** @throws CorruptionError */
export function decodeState(bytes: Uint8Array): LogState {
  const length = readFrame(bytes, 0, bytes.length, 0, 0, MAX_STATE_LENGTH)
  if (length === -1 || FRAME_HEADER_LENGTH + length !== bytes.length) {
    throw new CorruptionError(`${STATE_NAME} does not verify`, { file: STATE_NAME, offset: 0 })
  }
  const reader = new ByteReader(bytes, { file: STATE_NAME, start: FRAME_HEADER_LENGTH })
  for (const byte of MAGIC) if (reader.u8() !== byte) throw reader.corrupt('no magic of this version')
  const nextNumber = reader.uvarint()
  const fid = reader.uvarint(MAX_FID)
  const size = reader.uvarint(MAX_FILE_END)
  const discarded: [number, Discarded][] = []
  let last = 0
  for (let left = countOf(reader, 3); left > 0; left--) {
    last = ascending(reader, last)
    discarded.push([last, { records: reader.uvarint(), bytes: reader.uvarint(MAX_FILE_END) }])
  }
  const retired = readFids(reader)
  const survivors = reader.remaining > 0 ? readFids(reader) : []
  reader.expectEnd()
  return { nextNumber, clean: fid === 0 ? undefined : { fid, size }, discarded, retired, survivors }
}

function readFids(reader: ByteReader): number[] {
  const fids: number[] = []
  for (let left = countOf(reader, 1); left > 0; left--) fids.push(ascending(reader, fids.at(-1) ?? 0))
  return fids
}

/** A count, checked against the fewest bytes that so many elements take. */
function countOf(reader: ByteReader, elementLength: number): number {
  const count = reader.uvarint()
  if (count > reader.remaining / elementLength) throw reader.corrupt('impossible count')
  return count
}

function ascending(reader: ByteReader, last: number): number {
  const fid = reader.uvarint(MAX_FID)
  if (fid <= last) throw reader.corrupt('file numbers out of order')
  return fid
}

/** The state of a directory, `undefined` if it has none. @throws CorruptionError, IoError */
export async function readState(fs: FileSystem, dir: string): Promise<LogState | undefined> {
  let file: File
  try {
    file = await fs.open(`${dir}/${STATE_NAME}`, 'read')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
  try {
    const size = await file.size()
    if (size > MAX_STATE_LENGTH) throw new CorruptionError(`${STATE_NAME} is too long`, { file: STATE_NAME, offset: MAX_STATE_LENGTH })
    const bytes = new Uint8Array(size)
    const length = await readFully(file, bytes, 0, size, 0)
    return decodeState(bytes.subarray(0, length))
  } finally {
    await file.close()
  }
}

/**
 * Writes a state beside the one that counts, durably, for {@link replaceState}. If that fails, nothing of it is left, or the next call removes it.
 * Requires that calls do not overlap.
 */
export async function prepareState(fs: FileSystem, dir: string, state: LogState): Promise<void> {
  const path = tempName(`${dir}/${STATE_NAME}`)
  const bytes = encodeState(state)
  try {
    const file = await fs.open(path, 'create')
    try {
      await writeFully(file, bytes, 0, bytes.length, 0)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    // It would be in the way of the next one.
    await fs.remove(path).catch(() => undefined)
    throw error
  }
}

/** Puts the state that was prepared in place; durable when it resolves. */
export async function replaceState(fs: FileSystem, dir: string): Promise<void> {
  const path = `${dir}/${STATE_NAME}`
  await fs.rename(tempName(path), path)
  await fs.syncDir(dir)
}
