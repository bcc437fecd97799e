/** Frames of docs/format.md, "Frames": length and payload under a sum that is salted with the file's number and the frame's place. */
import { crc32c, u64 } from './checksum.js'

/** A frame that verifies: where it begins, and its payload. */
export interface Frame {
  readonly at: number
  readonly payload: Buffer
}

/** Payload of the frame at `at`, or undefined if none verifies there. */
export function frameAt(bytes: Buffer, at: number, fileNumber: number, maxPayload = 2 ** 31 - 1): Buffer | undefined {
  if (at + 9 > bytes.length) return undefined
  const length = bytes.readUInt32LE(at + 4)
  if (length < 1 || length > maxPayload || length > bytes.length - at - 8) return undefined
  if (crc32c(u64(fileNumber), u64(at), bytes.subarray(at + 4, at + 8 + length)) !== bytes.readUInt32LE(at)) return undefined
  return bytes.subarray(at + 8, at + 8 + length)
}

export const frameEnd = ({ at, payload }: Frame): number => at + 8 + payload.length
