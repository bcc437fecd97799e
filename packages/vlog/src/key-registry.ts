/**
 * The data keys of an encrypted value log: read from `KEYREGISTRY`, made anew when the newest one is old, written back
 * before any file names them.
 *
 * The file is always replaced as a whole (temporary file, sync, rename, directory sync), so a crash leaves the old or
 * the new one, and every key it ever held stays in it: old files need them. Keys and IVs come from `crypto.randomBytes`.
 * A log that was opened without a key and is not encrypted makes no such file.
 */
import { randomBytes } from 'node:crypto'
import { CorruptionError, WrongKeyError, tempName } from '@wk/codec'
import { isNotFound, readFullySync, writeFully, type File, type FileSystem } from '@wk/fs'
import {
  MAX_REGISTRY_LENGTH,
  REGISTRY_NAME,
  decodeRegistry,
  encodeRegistry,
  type DataKey,
  type RegistryContents,
} from './key-registry-format.js'
import { AES_BLOCK_LENGTH, DataCipher, RecordCipher } from './record-cipher.js'

export class KeyRegistry {
  readonly #fs: FileSystem
  readonly #dir: string
  readonly #storageKey: Uint8Array | undefined
  readonly #contents: RegistryContents
  readonly #ciphers = new Map<number, DataCipher>()
  /** Whether the directory had the file when it was read. */
  readonly exists: boolean
  #newest: DataKey | undefined
  #dirty = false
  /** Ends, always well, when nothing is being saved: files of two sequences may be made at once. */
  #saving: Promise<void> = Promise.resolve()

  private constructor(fs: FileSystem, dir: string, storageKey: Uint8Array | undefined, contents: RegistryContents | undefined) {
    this.#fs = fs
    this.#dir = dir
    this.#storageKey = storageKey
    this.exists = contents !== undefined
    // Without a key there is nothing to write, and no need of an IV.
    this.#contents = contents ?? { iv: storageKey === undefined ? new Uint8Array(AES_BLOCK_LENGTH) : randomBytes(AES_BLOCK_LENGTH), keys: [] }
    for (const key of this.#contents.keys) this.#add(key)
  }

  /**
   * Reads the registry of a directory, an empty one if there is none.
   * @throws WrongKeyError, CorruptionError, IoError
   */
  static read(fs: FileSystem, dir: string, storageKey: Uint8Array | undefined): KeyRegistry {
    const bytes = readRegistry(fs, `${dir}/${REGISTRY_NAME}`)
    return new KeyRegistry(fs, dir, storageKey, bytes === undefined ? undefined : decodeRegistry(bytes, storageKey))
  }

  /** That of a directory that has none. */
  static none(fs: FileSystem, dir: string, storageKey: Uint8Array | undefined): KeyRegistry {
    return new KeyRegistry(fs, dir, storageKey, undefined)
  }

  /** New files are to be encrypted. */
  get encrypts(): boolean {
    return this.#storageKey !== undefined
  }

  /**
   * The cipher of file `name`; undefined for a plain one.
   * @throws WrongKeyError without a storage key; CorruptionError if its data key is not there
   */
  cipherOf(keyId: number, baseIv: Uint8Array, name: string): RecordCipher | undefined {
    if (keyId === 0) return undefined
    const data = this.#ciphers.get(keyId)
    if (data !== undefined) return new RecordCipher(data, baseIv)
    if (!this.exists && this.encrypts) {
      throw new CorruptionError(`${name} is encrypted and ${REGISTRY_NAME}, which has its key, is gone`, { file: REGISTRY_NAME })
    }
    throw new CorruptionError(`${name} names data key ${keyId}, and there is none`, { file: name, offset: 0 })
  }

  /**
   * The data key for a new file: the newest one, or a new one if that is `maxAge` seconds old at `now` (Unix seconds). One made as far ahead of
   * now was made while the clock was wrong: by its age it would serve until then.
   * Call {@link save} before anything that it encrypts is written.
   */
  current(now: number, maxAge: number): number {
    const newest = this.#newest
    if (newest !== undefined && Math.abs(now - newest.createdAt) < maxAge) return newest.id
    const length = this.#storageKey?.length ?? 0
    const key: DataKey = {
      id: (newest?.id ?? 0) + 1,
      data: new Uint8Array(randomBytes(length)),
      iv: new Uint8Array(randomBytes(AES_BLOCK_LENGTH)),
      createdAt: Math.max(0, Math.floor(now)),
    }
    this.#contents.keys.push(key)
    this.#add(key)
    this.#dirty = true
    return key.id
  }

  /** Makes keys that were made before the call durable. @throws IoError */
  async save(): Promise<void> {
    const saved = this.#saving.then(() => this.#saveNow())
    this.#saving = saved.catch(() => undefined)
    await saved
  }

  async #saveNow(): Promise<void> {
    if (!this.#dirty) return
    const path = `${this.#dir}/${REGISTRY_NAME}`
    const bytes = encodeRegistry(this.#contents, this.#storageKey)
    const { length } = this.#contents.keys
    const file = await this.#fs.open(tempName(path), 'create')
    try {
      await writeFully(file, bytes, 0, bytes.length, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#fs.rename(tempName(path), path)
    await this.#fs.syncDir(this.#dir)
    // A key may have been made meanwhile.
    this.#dirty = this.#contents.keys.length > length
  }

  /** A key was given and the log was written without. @throws WrongKeyError */
  refusePlain(name: string): void {
    if (this.encrypts && !this.exists) throw new WrongKeyError(`a key was given and ${name} is not encrypted`)
  }

  #add(key: DataKey): void {
    this.#ciphers.set(key.id, new DataCipher(key.id, key.data))
    if (this.#newest === undefined || key.id > this.#newest.id) this.#newest = key
  }
}

function readRegistry(fs: FileSystem, path: string): Uint8Array | undefined {
  let file: File
  try {
    file = fs.openSync(path, 'read')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
  try {
    const size = file.sizeSync()
    if (size > MAX_REGISTRY_LENGTH) throw new CorruptionError(`${REGISTRY_NAME} is too long`, { file: REGISTRY_NAME, offset: MAX_REGISTRY_LENGTH })
    const bytes = new Uint8Array(size)
    return bytes.subarray(0, readFullySync(file, bytes, 0, size, 0))
  } finally {
    file.closeSync()
  }
}
