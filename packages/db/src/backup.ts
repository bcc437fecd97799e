/**
 * `backup()`: the changes of a range of versions as a stream (`backup-format.ts`).
 *
 * It walks a view, tables without anything newer than `since` left out. Of each key it takes what compaction would keep: the newest
 * versions, at most `numVersionsToKeep`, down to the newest deletion; oldest first, so that loading them in order gives the same
 * history. What has expired is a deletion. Memory: about a mebibyte of records, or one value, and one frame.
 *
 * Before the first chunk everything that is covered is made durable: a version that a crash could take back, and give to
 * another write, must not count as backed up.
 */
import { InvalidArgumentError, KIND_POINTER, KIND_TOMBSTONE, NotSupportedError, baseKind, compareRanges, copyBytes, readPayload, throwIfAborted } from '@wk/codec'
import type { EntryCursor, PayloadView } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { ReadView } from '@wk/lsm'
import { BackupEncoder, FRAME_RECORDS, FRAME_TARGET, RECORD_OVERHEAD } from './backup-format.js'
import type { BackupRecord } from './backup-format.js'
import { pointerAt } from './entry-reader.js'
import type { EntryReader, StoredValue } from './entry-reader.js'
import type { MaintenanceOptions } from './maintenance.js'
import type { Parts } from './open.js'

/** Options of `db.backup`. */
export interface BackupOptions extends MaintenanceOptions {
  /** Only changes with a greater version: the return value of an earlier backup. Default 0: everything. */
  since?: number
}

/** How many times as long as it is stored a value can be at most: what LZ4 can do. */
const MOST_INFLATION = 255

/** Versions of one key that are stepped over one by one before a seek jumps over the rest. */
const STEPS_BEFORE_SEEK = 8

/** Versions of one key between two questions for the time. */
const STEPS = 64

interface Change {
  record: Omit<BackupRecord, 'value'>
  /** Absent for a deletion. */
  value: Uint8Array | StoredValue | undefined
}

/** One backup under way. */
export class Backup {
  /** The last version that it covers. */
  readonly lastVersion: number
  readonly #parts: Parts
  readonly #reader: EntryReader
  readonly #since: number
  readonly #options: MaintenanceOptions
  readonly #view: ReadView
  readonly #cursor: EntryCursor
  readonly #encoder = new BackupEncoder()
  readonly #slice: TimeSlice
  readonly #now: number
  readonly #payload: PayloadView = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
  readonly #onClose: () => void
  #state: 'new' | 'walking' | 'ended' | 'closed' = 'new'
  /** What comes next, its values not read yet. */
  #changes: Change[] = []
  /** What was read last; what lies before `#at` is in frames. */
  #read: BackupRecord[] = []
  #at = 0
  /** How many times as long as they are stored the values were that came last from the value log. */
  #inflation = MOST_INFLATION
  #records = 0
  #bytes = 0
  #busy: Promise<unknown> = Promise.resolve()

  /** Takes its view now. `onClose` is told once. @throws InvalidArgumentError, NotSupportedError if what changed since then can't be told completely */
  constructor(parts: Parts, reader: EntryReader, since: number, options: MaintenanceOptions, onClose: () => void) {
    const { tree, options: resolved } = parts
    if (!Number.isSafeInteger(since) || since < 0) throw new InvalidArgumentError('since must be an integer from 0')
    if (since > tree.visibleSequence) throw new InvalidArgumentError('since is a version that this database has not reached')
    if (since > 0 && tree.droppedTombstone > since) {
      throw new NotSupportedError(`compaction has dropped deletions made after version ${since}: what changed since can't be told completely, take a full backup`)
    }
    this.lastVersion = tree.visibleSequence
    this.#parts = parts
    this.#reader = reader
    this.#since = since
    this.#options = options
    this.#onClose = onClose
    this.#now = Math.floor(resolved.runtime.now() / 1000)
    this.#slice = new TimeSlice(resolved.runtime)
    this.#view = tree.acquireView()
    try {
      this.#cursor = tree.entries(this.#view, { since })
    } catch (error) {
      // A table could not be opened: nobody is there to close what was not made.
      this.#view.release()
      throw error
    }
  }

  /** The next part of the stream; `undefined` behind the last one. One call at a time. */
  nextChunk(): Promise<Uint8Array | undefined> {
    const chunk = this.#nextChunk()
    this.#busy = chunk.catch(() => {})
    return chunk
  }

  /** Gives up the view, when nothing is under way. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#onClose()
    await this.#busy
    this.#view.release()
  }

  async #nextChunk(): Promise<Uint8Array | undefined> {
    this.#check()
    if (this.#state === 'new') {
      if (this.#parts.health.state === 'open') await this.#parts.queue.sync()
      this.#cursor.first()
      this.#state = 'walking'
      return this.#encoder.head({ since: this.#since, lastVersion: this.lastVersion })
    }
    if (this.#state !== 'walking') return undefined
    if (this.#read.length === 0) {
      await this.#readMore()
    }
    if (this.#read.length === 0) {
      this.#state = 'ended'
      return this.#encoder.end(this.#records)
    }
    if (this.#slice.due()) await this.#pause()
    const records = this.#nextFrame()
    const chunk = this.#encoder.records(records)
    this.#records += records.length
    this.#bytes += chunk.length
    this.#options.onProgress?.({ phase: 'backup', done: this.#records, total: this.#records, bytes: this.#bytes })
    return chunk
  }

  /** Reads the next records; none at the end. */
  async #readMore(): Promise<void> {
    if (this.#changes.length === 0) this.#changes = await this.#collect()
    const changes = this.#takeChanges()
    const values = await this.#reader.fill(changes.map(({ value }) => value))
    this.#read = changes.map(({ record }, i) => ({ ...record, value: values[i] }))
    let stored = 0
    let read = 0
    for (const [i, { value }] of changes.entries()) {
      if (value === undefined || value instanceof Uint8Array) continue
      stored += value.pointer.len
      read += values[i]?.length ?? 0
    }
    if (stored > 0) this.#inflation = Math.max(1, read / stored)
  }

  /** As many of the next changes as are read at once: those of one key may be more. */
  #takeChanges(): Change[] {
    let count = 0
    for (let bytes = 0; count < this.#changes.length && bytes < FRAME_TARGET; count++) bytes += this.#lengthOf((this.#changes[count] as Change).value)
    if (count < this.#changes.length) return this.#changes.splice(0, count)
    const all = this.#changes
    this.#changes = []
    return all
  }

  /** The records of the next frame. Values that are stored compressed are longer than they were thought to be. */
  #nextFrame(): BackupRecord[] {
    const from = this.#at
    for (let bytes = 0; this.#at < this.#read.length && this.#at - from < FRAME_RECORDS && bytes < FRAME_TARGET; this.#at++) {
      const { key, value } = this.#read[this.#at] as BackupRecord
      bytes += RECORD_OVERHEAD + key.length + (value?.length ?? 0)
    }
    const records = this.#read.slice(from, this.#at)
    if (this.#at === this.#read.length) {
      this.#read = []
      this.#at = 0
    }
    return records
  }

  async #pause(): Promise<void> {
    await this.#slice.pause()
    this.#check()
  }

  /** Changes of a mebibyte, as far as that is known before values are read; none at the end. */
  async #collect(): Promise<Change[]> {
    const cursor = this.#cursor
    const changes: Change[] = []
    for (let bytes = 0; cursor.valid && bytes < FRAME_TARGET; ) {
      if (this.#slice.due()) await this.#pause()
      const key = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
      const versions: Change[] = []
      while (!this.#takeVersions(key, versions)) await this.#pause()
      for (const change of versions.reverse()) {
        changes.push(change)
        bytes += RECORD_OVERHEAD + change.record.key.length + this.#lengthOf(change.value)
      }
    }
    return changes
  }

  /** Adds the changes of the key at the cursor, newest first; the cursor goes on to the next key. False when a pause is due before it is there. */
  #takeVersions(key: Uint8Array, changes: Change[]): boolean {
    const cursor = this.#cursor
    const most = this.#parts.options.numVersionsToKeep
    for (let steps = 1, passed = 0; isAt(cursor, key); steps++) {
      if (steps % STEPS === 0 && this.#slice.due()) return false
      const isComplete = cursor.sequence <= this.#since || changes.length >= most || (changes.length > 0 && changes.at(-1)?.value === undefined)
      if (!isComplete && cursor.sequence <= this.lastVersion) {
        changes.push(this.#change(key))
        passed = 0
      } else if (++passed === STEPS_BEFORE_SEEK) {
        // Over what was written since to the first version that counts, or to the last place that a version of this key can have.
        cursor.seek(key, isComplete ? 0 : this.lastVersion)
        continue
      }
      cursor.next()
    }
    return true
  }

  #change(key: Uint8Array): Change {
    const { kind, valueBytes, valueStart, valueEnd, sequence } = this.#cursor
    const deletion = { record: { key, version: sequence, userMeta: 0, expiresAt: 0 }, value: undefined }
    if (baseKind(kind) === KIND_TOMBSTONE) return deletion
    const payload = this.#payload
    readPayload(kind, valueBytes, valueStart, valueEnd, payload)
    const { userMeta, expiresAt } = payload
    if (expiresAt !== 0 && expiresAt <= this.#now) return deletion
    const value = baseKind(kind) === KIND_POINTER ? { pointer: pointerAt(valueBytes, valueStart), key, version: sequence } : copyBytes(valueBytes, payload.valueStart, payload.valueEnd)
    return { record: { key, version: sequence, userMeta, expiresAt }, value }
  }

  /** Bytes of a value, as far as that is known before it is read. */
  #lengthOf(value: Change['value']): number {
    if (value === undefined) return 0
    return value instanceof Uint8Array ? value.length : value.pointer.len * this.#inflation
  }

  #check(): void {
    this.#parts.health.assertReadable()
    throwIfAborted(this.#options.signal)
  }
}

function isAt(cursor: EntryCursor, key: Uint8Array): boolean {
  return cursor.valid && compareRanges(cursor.keyBytes, cursor.keyStart, cursor.keyEnd, key, 0, key.length) === 0
}
