/**
 * The regular files under a directory, in an order that depends on their names only.
 *
 * Symbolic links, sockets, devices and directories that cannot be read are left out and counted, never followed. Reads
 * names and sizes, no content.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../usage-error.js'

/** A path longer than this cannot be a key in every engine compared (lmdb's limit is 1,978 bytes). */
export const MAX_KEY_LENGTH = 1900

/** One file: its path relative to the root, with `/` between the parts, and its size in bytes. */
export interface InputFile {
  readonly path: string
  readonly size: number
}

/** What a directory holds. */
export interface FileList {
  readonly files: InputFile[]
  /** Sum of the sizes. */
  readonly bytes: number
  /** Links and special files, unreadable directories, and paths over {@link MAX_KEY_LENGTH}. */
  readonly skipped: number
}

/**
 * Lists the files of `root`, directory by directory, names in byte order.
 *
 * @throws UsageError if `root` is missing, is no directory, cannot be read, or holds no regular file.
 */
export function listFiles(root: string): FileList {
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UsageError(`--input ${root}: no such directory`)
  }
  const files: InputFile[] = []
  let bytes = 0
  let skipped = 0
  const pending = ['']
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    let entries
    try {
      entries = readdirSync(join(root, folder), { withFileTypes: true })
    } catch (cause) {
      if (folder === '') throw new UsageError(`--input ${root}: cannot be read (${String(cause)})`)
      skipped++
      continue
    }
    entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    const folders: string[] = []
    for (const entry of entries) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        folders.push(path)
      } else if (entry.isFile() && Buffer.byteLength(path) <= MAX_KEY_LENGTH) {
        const { size } = lstatSync(join(root, path))
        files.push({ path, size })
        bytes += size
      } else {
        skipped++
      }
    }
    for (let i = folders.length - 1; i >= 0; i--) pending.push(folders[i] as string)
  }
  if (files.length === 0) throw new UsageError(`--input ${root}: holds no regular file`)
  return { files, bytes, skipped }
}
