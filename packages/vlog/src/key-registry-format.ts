/**
 * The bytes of `KEYREGISTRY`: Badger's file of data keys, itself under the storage key.
 *
 * | offset | size | field                                                                                   |
 * |--------|------|-----------------------------------------------------------------------------------------|
 * | 0      | 16   | IV, random                                                                              |
 * | 16     | 12   | the text `Hello Badger`, AES-CTR under the storage key and the IV; in clear without one |
 * | 28     | ...  | data keys: length (u32 BE), CRC-32C of the message (u32 BE), message                    |
 *
 * The message is a protobuf: 1 id (varint), 2 key (bytes, AES-CTR under the storage key and field 3), 3 IV (16 bytes),
 * 4 created at, Unix seconds (varint). Pure functions; whose file it is and when it is written is `key-registry.ts`'s.
 */
import { ByteReader, ByteWriter, CorruptionError, WrongKeyError, crc32c, formatFileName } from '@wk/codec'
import { AES_BLOCK_LENGTH, applyCtr } from './record-cipher.js'
import { readU32BE, writeU32BE } from './record.js'

/** Name of the file. */
export const REGISTRY_NAME = formatFileName('keyRegistry')
/** On disk, never changes. */
const SANITY_TEXT = Uint8Array.from('Hello Badger', (letter) => letter.charCodeAt(0))
/** Bytes before the first data key. */
export const REGISTRY_HEADER_LENGTH = AES_BLOCK_LENGTH + SANITY_TEXT.length
const ENTRY_HEADER_LENGTH = 8
/** A registry of more bytes is refused: a rotation every hour for a hundred years would not fill it. */
export const MAX_REGISTRY_LENGTH = 1 << 26

/** Protobuf tags: field number times 8 plus wire type (0 varint, 1 eight bytes, 2 counted bytes, 5 four bytes). */
const TAG_ID = 0x08
const TAG_DATA = 0x12
const TAG_IV = 0x1a
const TAG_CREATED_AT = 0x20

/** A key that files are encrypted with. */
export interface DataKey {
  /** From 1, ascending. */
  id: number
  /** 16, 24 or 32 bytes, in clear. */
  data: Uint8Array
  /** IV under which the registry keeps it: 16 bytes. */
  iv: Uint8Array
  /** Unix seconds. */
  createdAt: number
}

/** What a registry holds. */
export interface RegistryContents {
  /** 16 bytes. */
  iv: Uint8Array
  /** In file order. */
  keys: DataKey[]
}

/** The whole file. Without a storage key everything is in clear, as Badger does it. */
export function encodeRegistry({ iv, keys }: RegistryContents, storageKey: Uint8Array | undefined): Uint8Array {
  const writer = new ByteWriter(REGISTRY_HEADER_LENGTH + 128 * keys.length)
  writer.raw(iv).raw(underKey(storageKey, iv, SANITY_TEXT))
  const sums = new Uint8Array(ENTRY_HEADER_LENGTH)
  for (const key of keys) {
    const message = encodeMessage(key, storageKey)
    writeU32BE(sums, 0, message.length)
    writeU32BE(sums, 4, crc32c(message))
    writer.raw(sums).raw(message)
  }
  return writer.toBytes()
}

/**
 * @throws WrongKeyError if the storage key is missing, not the right one, or not wanted; CorruptionError for bytes that
 * do not verify, a cut end included
 */
export function decodeRegistry(bytes: Uint8Array, storageKey: Uint8Array | undefined): RegistryContents {
  if (bytes.length < REGISTRY_HEADER_LENGTH) throw damaged('is too short', bytes.length)
  const iv = bytes.slice(0, AES_BLOCK_LENGTH)
  checkSanity(bytes.subarray(AES_BLOCK_LENGTH, REGISTRY_HEADER_LENGTH), iv, storageKey)
  const keys: DataKey[] = []
  const ids = new Set<number>()
  for (let at = REGISTRY_HEADER_LENGTH; at < bytes.length; ) {
    const start = at + ENTRY_HEADER_LENGTH
    if (start > bytes.length) throw damaged('ends inside a data key', at)
    const length = readU32BE(bytes, at)
    if (length > bytes.length - start) throw damaged('ends inside a data key', at)
    const message = bytes.subarray(start, start + length)
    if (crc32c(message) !== readU32BE(bytes, at + 4)) throw damaged('does not verify', at)
    const key = decodeMessage(message, start, storageKey)
    if (ids.has(key.id)) throw damaged('holds two data keys of one id', at)
    ids.add(key.id)
    keys.push(key)
    at = start + length
  }
  return { iv, keys }
}

function checkSanity(stored: Uint8Array, iv: Uint8Array, storageKey: Uint8Array | undefined): void {
  if (isSanityText(underKey(storageKey, iv, stored))) return
  if (storageKey === undefined) throw new WrongKeyError('the value log is encrypted and no key was given')
  if (isSanityText(stored)) throw new WrongKeyError('a key was given for a value log that is not encrypted')
  throw new WrongKeyError('the value log was encrypted with another key')
}

function isSanityText(bytes: Uint8Array): boolean {
  return SANITY_TEXT.every((letter, at) => bytes[at] === letter)
}

function underKey(storageKey: Uint8Array | undefined, iv: Uint8Array, bytes: Uint8Array): Uint8Array {
  return storageKey === undefined ? bytes.slice() : applyCtr(storageKey, iv, bytes)
}

function encodeMessage({ id, data, iv, createdAt }: DataKey, storageKey: Uint8Array | undefined): Uint8Array {
  const writer = new ByteWriter(96)
  writer.u8(TAG_ID).uvarint(id)
  writer.u8(TAG_DATA).uvarint(data.length).raw(underKey(storageKey, iv, data))
  writer.u8(TAG_IV).uvarint(iv.length).raw(iv)
  // A protobuf leaves zeros out.
  if (createdAt > 0) writer.u8(TAG_CREATED_AT).uvarint(createdAt)
  return writer.toBytes()
}

/** Fields in any order; unknown ones are skipped, as protobufs ask for. */
function decodeMessage(message: Uint8Array, offset: number, storageKey: Uint8Array | undefined): DataKey {
  const reader = new ByteReader(message, { file: REGISTRY_NAME, baseOffset: offset })
  const key: DataKey = { id: 0, data: new Uint8Array(0), iv: new Uint8Array(0), createdAt: 0 }
  while (reader.remaining > 0) {
    const tag = reader.uvarint()
    if (tag === TAG_ID) key.id = reader.uvarint()
    else if (tag === TAG_DATA) key.data = reader.copy(reader.uvarint(reader.remaining))
    else if (tag === TAG_IV) key.iv = reader.copy(reader.uvarint(reader.remaining))
    else if (tag === TAG_CREATED_AT) key.createdAt = reader.uvarint()
    else skipField(reader, tag % 8)
  }
  const { id, data, iv } = key
  if (id < 1 || iv.length !== AES_BLOCK_LENGTH || (data.length !== 16 && data.length !== 24 && data.length !== 32)) {
    throw damaged('holds a data key that is none', offset)
  }
  key.data = underKey(storageKey, iv, data)
  return key
}

function skipField(reader: ByteReader, wireType: number): void {
  if (wireType === 0) reader.uvarint()
  else if (wireType === 1) reader.copy(8)
  else if (wireType === 2) reader.copy(reader.uvarint(reader.remaining))
  else if (wireType === 5) reader.copy(4)
  else throw reader.corrupt('no protobuf field')
}

function damaged(what: string, offset: number): CorruptionError {
  return new CorruptionError(`${REGISTRY_NAME} ${what}`, { file: REGISTRY_NAME, offset })
}
