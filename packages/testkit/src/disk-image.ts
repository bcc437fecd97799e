/**
 * A database directory as plain bytes: taken from an in-memory file system, changed by a damage, mounted again. Images
 * share the arrays of the files that are the same in both, so nobody writes into one.
 */
import { MemoryFileSystem, readFullySync, writeFullySync } from '@wk/fs'

/** Content of a directory by file name. */
export type DiskImage = ReadonlyMap<string, Uint8Array>

/** The files of `dir` as they are now. */
export async function captureImage(fs: MemoryFileSystem, dir: string): Promise<DiskImage> {
  const image = new Map<string, Uint8Array>()
  for (const name of await fs.list(dir)) image.set(name, readFile(fs, `${dir}/${name}`))
  return image
}

/** A fresh file system that holds the image in `dir`, all of it durable. */
export async function mountImage(image: DiskImage, dir: string, crashable = false): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem({ crashable })
  await fs.mkdir(dir)
  for (const [name, bytes] of image) {
    const file = fs.openSync(`${dir}/${name}`, 'create')
    writeFullySync(file, bytes, 0, bytes.length, 0)
    file.syncSync()
    file.closeSync()
  }
  await fs.syncDir(dir)
  return fs
}

/** Bytes of all files together. */
export function imageBytes(image: DiskImage): number {
  let sum = 0
  for (const bytes of image.values()) sum += bytes.length
  return sum
}

/** The content of one file. */
export function readFile(fs: MemoryFileSystem, path: string): Uint8Array {
  const file = fs.openSync(path, 'read')
  try {
    const bytes = new Uint8Array(file.sizeSync())
    readFullySync(file, bytes, 0, bytes.length, 0)
    return bytes
  } finally {
    file.closeSync()
  }
}
