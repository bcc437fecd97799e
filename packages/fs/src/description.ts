/**
 * A file system as plain data, so that another thread can make the same one. Only those that stand for paths of the
 * machine have a description; one that lives in memory, or injects faults, cannot be had twice.
 */
import { EncryptedFileSystem } from './encrypted.js'
import type { FileSystem } from './file-system.js'
import { NodeFileSystem } from './node.js'

/** Plain data that survives a structured clone; holds the key where there is one. */
export type FileSystemDescription =
  | { readonly type: 'node' }
  | { readonly type: 'encrypted'; readonly inner: FileSystemDescription; readonly key: Uint8Array; readonly covers: RegExp }

/** The file system that a description names. */
export function fileSystemFrom(description: FileSystemDescription): FileSystem {
  if (description.type === 'node') return new NodeFileSystem()
  return new EncryptedFileSystem(fileSystemFrom(description.inner), description.key, description.covers)
}
