/**
 * The values of a damaged database: by pointer where files can still tell what lies where, else by key and version.
 *
 * A file whose header or run table is gone is searched for records once; so are all others as soon as a pointer leads to a file that is not there, for it
 * may have lain in gaps of one of them, and the list that told so is gone. The places of records are kept in memory, some tens of bytes each, their values are not.
 */
import { CorruptionError, compareBytes, type ValuePointer } from '@wk/codec'
import type { FileSystem, Runtime } from '@wk/fs'
import type { SalvageProblem, TailOperation } from '@wk/lsm'
import { ValueLog, strayRecords, type PlacedEntry } from '@wk/vlog'
import { operationOf } from './deferred-operations.js'

/** A stray record is found by key and version. */
const NOWHERE = { fid: 0, offset: 0, len: 0 }

/** Where a record lies in a file that can't be read by pointers. */
interface Stray {
  file: string
  position: number
}

export class SalvagedValues {
  readonly problems: SalvageProblem[] = []
  readonly #fs: FileSystem
  readonly #runtime: Runtime
  readonly #dir: string
  readonly #vlog: ValueLog | undefined
  readonly #strays = new Map<string, Stray>()
  /** Of every record in files that can be read; undefined until one is wanted. */
  #places: Map<string, ValuePointer> | undefined

  private constructor(fs: FileSystem, runtime: Runtime, dir: string, vlog: ValueLog | undefined) {
    this.#fs = fs
    this.#runtime = runtime
    this.#dir = dir
    this.#vlog = vlog
  }

  /** Opens what there is, changing nothing. */
  static async open(fs: FileSystem, runtime: Runtime, dir: string, encryptionKey: Uint8Array | undefined): Promise<SalvagedValues> {
    const problems: SalvageProblem[] = []
    let vlog: ValueLog | undefined
    try {
      vlog = await ValueLog.open(dir, { fs, runtime, readOnly: true, salvage: true, lock: false, createIfMissing: false, encryptionKey })
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      problems.push({ file: error.file ?? '', offset: error.offset, message: error.message })
    }
    const values = new SalvagedValues(fs, runtime, dir, vlog)
    values.problems.push(...problems)
    for (const file of vlog?.unreadable ?? []) {
      values.problems.push({ file, offset: 0, message: `${file} does not tell what lies where in it` })
      // Without its header nothing decrypts a record.
      if (encryptionKey !== undefined) continue
      for await (const { entry, position } of strayRecords(fs, dir, file, runtime)) values.#strays.set(nameOf(entry.key, entry.version), { file, position })
    }
    return values
  }

  /** The value of a version of a key. @throws CorruptionError if it is nowhere */
  async read(fid: number, offset: number, len: number, key: Uint8Array, version: number): Promise<Uint8Array> {
    const stray = this.#strays.get(nameOf(key, version))
    if (stray !== undefined) {
      for await (const { entry } of strayRecords(this.#fs, this.#dir, stray.file, this.#runtime, stray.position)) {
        if (entry.version === version && compareBytes(entry.key, key) === 0) return entry.value
        break
      }
    }
    if (this.#vlog === undefined) throw new CorruptionError('the value log cannot be read')
    const place = this.#vlog.hasFile(fid) ? undefined : (await this.#allPlaces(this.#vlog)).get(nameOf(key, version))
    return place === undefined ? this.#vlog.readValue(fid, offset, len, key, version) : this.#vlog.readValue(place.fid, place.offset, place.len, key, version)
  }

  /** Every record of every file, in no order: garbage too. */
  async *records(): AsyncGenerator<TailOperation, void, undefined> {
    if (this.#vlog !== undefined) {
      for await (const { entry, pointer, isInGaps } of placed(this.#vlog)) {
        const operation = operationOf(entry, pointer)
        // What was there before may be part of a value: it says nothing that the logs do not say.
        yield isInGaps ? { ...operation, commits: false } : operation
      }
    }
    for (const { file, position } of this.#strays.values()) {
      for await (const { entry } of strayRecords(this.#fs, this.#dir, file, this.#runtime, position)) {
        yield operationOf(entry, NOWHERE)
        break
      }
    }
  }

  async #allPlaces(vlog: ValueLog): Promise<ReadonlyMap<string, ValuePointer>> {
    if (this.#places !== undefined) return this.#places
    this.#places = new Map()
    for await (const { entry, pointer } of placed(vlog)) this.#places.set(nameOf(entry.key, entry.version), { ...pointer })
    return this.#places
  }

  async close(): Promise<void> {
    await this.#vlog?.close()
  }
}

/** Every record of files that can be read. */
async function* placed(vlog: ValueLog): AsyncGenerator<PlacedEntry & { isInGaps: boolean }, void, undefined> {
  for (const { fid, physical } of vlog.files()) {
    try {
      for await (const { entry, pointer } of vlog.iterate(fid, { salvage: true })) yield { entry, pointer, isInGaps: fid > physical }
    } catch (error) {
      // What is behind damage that has no end cannot be looked for.
      if (!(error instanceof CorruptionError)) throw error
    }
  }
}

function nameOf(key: Uint8Array, version: number): string {
  return `${version}:${Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')}`
}
