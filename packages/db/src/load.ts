/**
 * `load()`: writes the changes of a backup stream, in their order, through the write queue.
 *
 * Frame by frame: each is checked as a whole before any of it is written, and written before the next one is asked for. The stream
 * as a whole is not atomic: what came before damage has been loaded; loading the right stream afterwards puts it right, but that older versions
 * of keys (`numVersionsToKeep`) may be there twice.
 * At the end versions go on above the last one of the stream, so that later increments of either database fit.
 */
import { ByteReader, CorruptionError, FRAME_HEADER_LENGTH, InvalidArgumentError, abortable, bytesFrom, compareBytes, copyBytes, readFrame } from '@wk/codec'
import { BACKUP_SALT, MAX_BACKUP_PAYLOAD, decodePayload } from './backup-format.js'
import type { BackupHead, BackupPayload, BackupRecord } from './backup-format.js'
import type { MaintenanceOptions } from './maintenance.js'
import type { Parts } from './open.js'
import type { Stager } from './stager.js'

/** How often it is tried to raise the versions while others write. */
const RAISE_ATTEMPTS = 10

/** Chunks of a stream, cut in any way. */
export type BackupChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** Durable when it resolves. Rejects with `CorruptionError` for a stream that is empty, cut or damaged. */
export async function loadBackup(parts: Parts, stager: Stager, chunks: BackupChunks, options: MaintenanceOptions): Promise<void> {
  const { queue, guard } = parts
  const frames = new FrameAssembler()
  let head: BackupHead | undefined
  let records = 0
  let ended = false
  let last: BackupRecord | undefined
  const checkRecords = (given: readonly BackupRecord[]): void => {
    for (const record of given) {
      if (!isCovered(record.version, head as BackupHead)) throw frames.corrupt('a version that the backup does not cover')
      // Written in another order an older version of a key would hide the newer one.
      if (last !== undefined && !isAfter(record, last)) throw frames.corrupt('records of the backup are out of order')
      last = record
    }
    // Records are good until the next payload.
    if (last !== undefined) last = { ...last, key: copyBytes(last.key), value: undefined }
  }
  const take = async (payload: BackupPayload): Promise<void> => {
    if (ended) throw frames.corrupt('something follows the end of the backup')
    if ((payload.type === 'head') !== (head === undefined)) throw frames.corrupt('a head in the wrong place of a backup')
    if (payload.type === 'head') head = payload
    else if (payload.type === 'end') {
      if (payload.records !== records) throw frames.corrupt('records of the backup are missing')
      ended = true
    } else {
      checkRecords(payload.records)
      records += payload.records.length
      await queue.write(false, () => stageRecords(stager, payload.records))
      options.onProgress?.({ phase: 'load', done: records, total: records, bytes: frames.offset })
    }
  }
  for await (const given of abortable(chunksOf(chunks), options.signal)) {
    const chunk = bytesFrom(given)
    if (chunk === undefined) throw new InvalidArgumentError('the chunks of a backup must be Uint8Arrays')
    frames.push(chunk)
    for (let payload = frames.next(); payload !== undefined; payload = frames.next()) await take(payload)
    const turn = guard.due()
    if (turn !== undefined) await turn
  }
  if (!ended || !frames.isEmpty) throw frames.corrupt('the backup is cut')
  await queue.sync()
  await raiseVersions(parts, (head as BackupHead | undefined)?.lastVersion ?? 0)
}

function isCovered(version: number, { since, lastVersion }: BackupHead): boolean {
  return version > since && version <= lastVersion
}

/** By key, and those of one key by version. */
function isAfter({ key, version }: BackupRecord, last: BackupRecord): boolean {
  const order = compareBytes(key, last.key)
  return order > 0 || (order === 0 && version > last.version)
}

function stageRecords(stager: Stager, records: readonly BackupRecord[]): void {
  for (const { key, value, userMeta, expiresAt } of records) {
    if (value === undefined) stager.del(key)
    else stager.put(key, value, userMeta, expiresAt)
  }
}

/** Lets versions go on above `version`. While others write all the time they may stay below. */
async function raiseVersions({ queue, tree }: Parts, version: number): Promise<void> {
  for (let attempt = 0; attempt < RAISE_ATTEMPTS && tree.visibleSequence < version; attempt++) {
    await tree.flush()
    if (await queue.exclusive(() => tree.raiseSequence(version))) return
  }
}

function chunksOf(chunks: unknown): AsyncIterable<unknown> | Iterable<unknown> {
  if (typeof chunks === 'object' && chunks !== null && !ArrayBuffer.isView(chunks)) {
    if (Symbol.asyncIterator in chunks) return chunks as AsyncIterable<unknown>
    if (Symbol.iterator in chunks) return chunks as Iterable<unknown>
  }
  throw new InvalidArgumentError('a backup must be an iterable of chunks')
}

/** Puts frames together again, whatever the chunks are. Holds no more than a frame and a chunk. */
class FrameAssembler {
  #chunks: Uint8Array[] = []
  /** Bytes held. */
  #length = 0
  /** Where the bytes held begin in the stream. */
  offset = 0

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** The bytes may be changed only once {@link next} gave `undefined`. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** The next payload that is there as a whole; its records are good until the next call. */
  next(): BackupPayload | undefined {
    if (this.#length <= FRAME_HEADER_LENGTH) return this.#own()
    const header = this.#joined(FRAME_HEADER_LENGTH)
    const length = new DataView(header.buffer, header.byteOffset).getUint32(4, true)
    if (length < 1 || length > MAX_BACKUP_PAYLOAD) throw this.corrupt('the backup is damaged')
    const end = FRAME_HEADER_LENGTH + length
    if (this.#length < end) return this.#own()
    const bytes = this.#joined(end)
    if (readFrame(bytes, 0, end, BACKUP_SALT, this.offset, MAX_BACKUP_PAYLOAD) !== length) throw this.corrupt('the backup is damaged')
    const reader = new ByteReader(bytes, { start: FRAME_HEADER_LENGTH, end, baseOffset: this.offset })
    const payload = decodePayload(reader)
    this.#chunks[0] = bytes.subarray(end)
    this.#length -= end
    this.offset += end
    return payload
  }

  corrupt(message: string): CorruptionError {
    return new CorruptionError(`${message}, at offset ${this.offset} of the stream`, { offset: this.offset })
  }

  /** The first chunk, made to hold at least `length` bytes. */
  #joined(length: number): Uint8Array {
    let first = this.#chunks[0] as Uint8Array
    if (first.length < length) {
      first = Buffer.concat(this.#chunks)
      this.#chunks = [first]
    }
    return first
  }

  /** Keeps what is held as bytes of our own. */
  #own(): undefined {
    const last = this.#chunks.at(-1)
    if (last !== undefined && last.length > 0) this.#chunks[this.#chunks.length - 1] = copyBytes(last)
    return undefined
  }
}
