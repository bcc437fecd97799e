/**
 * Frames: how our own logs (WAL, manifest, value-log state) hold one atomic record.
 *
 * | offset | size | field                                                        |
 * |--------|------|--------------------------------------------------------------|
 * | 0      | 4    | CRC-32C, little-endian                                       |
 * | 4      | 4    | payload length, little-endian, at least 1                    |
 * | 8      | n    | payload                                                      |
 *
 * The sum covers the file number (u64 LE), the frame's offset in the file (u64 LE), the length field and the payload.
 * The first two are not stored: a frame that was copied, swapped or recycled from another place does not verify (CR8).
 */
import { crc32c, crc32cRange } from './crc32c.js'
import { readU32, writeU32, writeU64 } from './byte-writer.js'

/** Bytes before the payload. */
export const FRAME_HEADER_LENGTH = 8

const salt = new Uint8Array(16)

/** CRC-32C of a place, the seed for everything salted with file number and offset. */
export function placeSeed(fileNumber: number, offset: number): number {
  writeU64(salt, 0, fileNumber)
  writeU64(salt, 8, offset)
  return crc32c(salt)
}

/**
 * Completes a frame whose payload lies at `at + FRAME_HEADER_LENGTH`. `fileOffset` is where the frame will lie in the
 * file. Requires that the payload is not empty.
 */
export function writeFrameHeader(into: Uint8Array, at: number, payloadLength: number, fileNumber: number, fileOffset: number): void {
  writeU32(into, at + 4, payloadLength)
  const sum = crc32cRange(into, at + 4, at + FRAME_HEADER_LENGTH + payloadLength, placeSeed(fileNumber, fileOffset))
  writeU32(into, at, sum)
}

/** The length of the valid frame's payload at `at`, or -1 if none that ends by `end` and keeps to `maxLength` is there. */
export function readFrame(
  bytes: Uint8Array,
  at: number,
  end: number,
  fileNumber: number,
  fileOffset: number,
  maxLength: number,
): number {
  if (end - at <= FRAME_HEADER_LENGTH) return -1
  const length = readU32(bytes, at + 4)
  if (length < 1 || length > maxLength || length > end - at - FRAME_HEADER_LENGTH) return -1
  const sum = crc32cRange(bytes, at + 4, at + FRAME_HEADER_LENGTH + length, placeSeed(fileNumber, fileOffset))
  return sum === readU32(bytes, at) ? length : -1
}
