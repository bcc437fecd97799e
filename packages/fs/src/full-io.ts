/**
 * Reads and writes that are not short.
 *
 * Kept above the {@link File} interface, so that short reads and writes injected below it exercise these loops.
 * A write that makes no progress fails with `EIO` instead of spinning; after any failure an unknown part of the range
 * has been written.
 */
import type { File } from './file-system.js'
import { ioErrorOf } from './errno.js'

/** Reads `length` bytes unless the file ends before. @returns bytes read; less than `length` only at the end of file. */
export async function readFully(
  file: File,
  into: Uint8Array,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  let done = 0
  while (done < length) {
    const count = await file.read(into, offset + done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** {@link readFully} on the calling thread. */
export function readFullySync(
  file: File,
  into: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  let done = 0
  while (done < length) {
    const count = file.readSync(into, offset + done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** Writes all `length` bytes. The buffer must not change until the promise settles. */
export async function writeFully(
  file: File,
  from: Uint8Array,
  offset: number,
  length: number,
  position: number,
): Promise<void> {
  let done = 0
  while (done < length) {
    const count = await file.write(from, offset + done, length - done, position + done)
    if (count === 0) throw ioErrorOf('EIO', 'write', file.path)
    done += count
  }
}

/** {@link writeFully} on the calling thread. */
export function writeFullySync(
  file: File,
  from: Uint8Array,
  offset: number,
  length: number,
  position: number,
): void {
  let done = 0
  while (done < length) {
    const count = file.writeSync(from, offset + done, length - done, position + done)
    if (count === 0) throw ioErrorOf('EIO', 'write', file.path)
    done += count
  }
}
