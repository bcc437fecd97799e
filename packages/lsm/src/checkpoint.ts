/**
 * The end of a checkpoint: a manifest for a directory that holds the tables of a version already, as after a clean
 * close. With it the directory becomes a tree; before, it is refused as one whose manifest is lost.
 */
import type { FileSystem } from '@wk/fs'
import { ManifestWriter } from './manifest/manifest-writer.js'
import type { CleanClose } from './manifest/version-edit.js'
import type { Version } from './manifest/version.js'

/** What the directory holds. */
export interface CheckpointState {
  version: Version
  /** Higher than every file number in the directory. */
  manifestNumber: number
  /** Sequence number of the last operation in the tables, or a later one. */
  lastSequence: number
  /** That of the tree: `LsmTree.droppedTombstone`. */
  droppedTombstone: number
  /** Newest value-log file and its exact size. */
  cleanClose: CleanClose
}

/** Requires that every other file is durable, name included. The tree is durable when the promise resolves. */
export async function writeCheckpointManifest(fs: FileSystem, dir: string, state: CheckpointState): Promise<void> {
  const { version, manifestNumber, lastSequence, droppedTombstone, cleanClose } = state
  const { vlogFid, vlogSize } = cleanClose
  const manifest = await ManifestWriter.start(fs, dir, manifestNumber, {
    nextFileNumber: manifestNumber + 1,
    logNumber: 0,
    lastSequence,
    droppedTombstone,
    ...(vlogFid === 0 ? {} : { dependency: { fid: vlogFid, offset: vlogSize } }),
    added: version.levels.flatMap((tables, level) => tables.map((table) => ({ level, table }))),
    cleanClose,
  })
  manifest.closeSync()
}
