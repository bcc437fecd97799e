/**
 * Encryption at rest of everything that is not the value log: WAL, tables and manifest, through a file system that
 * encrypts them by name. The value log encrypts its own records, in Badger's way. CURRENT, LOCK and the key registry stay
 * as they are: they hold no keys and no values.
 */
import { WrongKeyError, formatFileName } from '@wk/codec'
import { ENCRYPTION_HEADER_LENGTH, EncryptedFileSystem, isEncryptionHeader, isNotFound, readFully } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import { isManifestHeader, readCurrent } from '@wk/lsm'

/** Names of the files that are encrypted. */
const COVERED = /^(?:[0-9]+\.(?:wal|sst)|MANIFEST-[0-9]+)$/

/** The file system for the tree; `fs` itself without a key. */
export function treeFileSystem(fs: FileSystem, key: Uint8Array | undefined): FileSystem {
  return key === undefined ? fs : new EncryptedFileSystem(fs, key, COVERED)
}

/**
 * Refuses a database that was written with a key when none is given, and the other way round. Damage is left to whoever
 * opens it. @throws WrongKeyError
 */
export async function checkEncryption(fs: FileSystem, dir: string, key: Uint8Array | undefined): Promise<void> {
  const number = readCurrent(fs, dir)
  if (number === undefined) return
  const start = await readStart(fs, `${dir}/${formatFileName('manifest', number)}`)
  if (key === undefined && isEncryptionHeader(start)) throw new WrongKeyError('the database is encrypted and no key was given')
  if (key !== undefined && isManifestHeader(number, start)) throw new WrongKeyError('a key was given for a database that is not encrypted')
}

/**
 * Refuses a database of which no file of the tree opens with this key and one was written with another. Damage is left to whoever opens them.
 * @throws WrongKeyError
 */
export async function checkKeyOfFiles(fs: FileSystem, dir: string, key: Uint8Array): Promise<void> {
  const tree = treeFileSystem(fs, key)
  let wrong: WrongKeyError | undefined
  for (const name of await fs.list(dir)) {
    if (!COVERED.test(name)) continue
    try {
      const file = await tree.open(`${dir}/${name}`, 'read')
      await file.close()
      return
    } catch (error) {
      if (error instanceof WrongKeyError) wrong ??= error
    }
  }
  if (wrong !== undefined) throw wrong
}

/** The first bytes of a file; none if it is missing. */
async function readStart(fs: FileSystem, path: string): Promise<Uint8Array> {
  let file
  try {
    file = await fs.open(path, 'read')
  } catch (error) {
    if (isNotFound(error)) return new Uint8Array(0)
    throw error
  }
  try {
    const bytes = new Uint8Array(ENCRYPTION_HEADER_LENGTH)
    return bytes.subarray(0, await readFully(file, bytes, 0, bytes.length, 0))
  } finally {
    await file.close()
  }
}
