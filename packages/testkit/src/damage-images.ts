/**
 * Small databases to damage: one closed cleanly, with tables on several levels, value logs, relocated values and
 * tombstones; one like it with holes in a value log and in a relocated file; one with values in gaps of both; one left by a killed process, with writes in a log
 * of which some were promised durable. Each with what it must hold.
 */
import { MemoryFileSystem } from '@wk/fs'
import type { Database } from './database.js'
import { captureImage, type DiskImage } from './disk-image.js'
import { bytesOf, type KeyText } from './model.js'

/** What a database holds. */
export type State = ReadonlyMap<KeyText, Uint8Array>

/** A database as bytes, and what may be in it. */
export interface Specimen {
  readonly image: DiskImage
  /** What it holds after each of its last operations; the last state is the whole. */
  readonly states: readonly State[]
  /** The log that is replayed; absent after a clean close. */
  readonly log: LogExtents | undefined
  /** Every key that ever was. */
  readonly keys: readonly KeyText[]
  /** Every value that a key ever had. */
  readonly history: ReadonlyMap<KeyText, readonly Uint8Array[]>
}

/** Where the operations of an unclean image lie. */
export interface LogExtents {
  readonly file: string
  /** Operation `i` led from state `i` to `i + 1`, and lies at `[from, to)`; it carries the promise that state `promised` is durable. */
  readonly operations: readonly { readonly from: number; readonly to: number; readonly promised: number }[]
}

/** Opens the database under test. */
export type Open = (fs: MemoryFileSystem) => Promise<Database>

/** Values from this length on are expected to go to the value log. */
export const SPECIMEN_THRESHOLD = 48

/** A writer that keeps the model beside the database. */
class Author {
  readonly held = new Map<KeyText, Uint8Array>()
  readonly history = new Map<KeyText, Uint8Array[]>()
  readonly db: Database

  constructor(db: Database) {
    this.db = db
  }

  async put(key: KeyText, length: number, tag: number, sync = false): Promise<void> {
    const value = valueOf(length, tag)
    this.history.set(key, [...(this.history.get(key) ?? []), value])
    this.held.set(key, value)
    await this.db.put(bytesOf(key), value, { sync })
  }

  async del(key: KeyText): Promise<void> {
    this.held.delete(key)
    await this.db.del(bytesOf(key))
  }
}

/** A database of about four kilobytes after a clean close; `scale` times that with a larger one. */
export async function cleanSpecimen(dir: string, open: Open, scale = 1): Promise<Specimen> {
  const fs = new MemoryFileSystem({ crashable: false })
  const author = new Author(await open(fs))
  const { db } = author
  for (let i = 0; i < 14 * scale; i++) await author.put(`big${i % (9 * scale)}`, 150 + 10 * (i % 14), i)
  for (let i = 0; i < 10 * scale; i++) await author.put(`small${i}`, i % 48, i)
  await db.compact()
  // Garbage, and a collection that moves what is left into a relocated file.
  for (let i = 0; i < 9 * scale; i += 2) await author.del(`big${i}`)
  await author.put('small3', 30, 77)
  await db.compact()
  await db.runValueLogGC(0.01)
  for (let i = 0; i < 4 * scale; i++) await author.put(`late${i}`, 90, 40 + i)
  await author.del('small5')
  await author.put('', 60, 99)
  await db.flush()
  await author.put('big1', 130, 100)
  await author.del('late2')
  await author.put('small0', 5, 101)
  await db.close()
  return { image: await captureImage(fs, dir), states: [author.held], log: undefined, keys: [...author.history.keys()].sort(), history: author.history }
}

/**
 * A database after a clean close with a hole in a value log and one in a relocated file, lists beside them: some twenty kilobytes, of which
 * half are holes. Requires options under which 5,000 dead bytes side by side become a hole.
 */
export async function holedSpecimen(dir: string, open: Open): Promise<Specimen> {
  const fs = new MemoryFileSystem({ crashable: false })
  const author = new Author(await open(fs))
  const { db } = author
  // What is left of the first file goes to a relocated one, with a long value in the middle of it.
  for (let i = 0; i < 3; i++) await author.put(`early${i}`, 300, i)
  await author.put('gone', 300, 10)
  await author.put('longer', 7600, 11)
  for (let i = 3; i < 6; i++) await author.put(`early${i}`, 300, i)
  await author.del('gone')
  await db.compact()
  await db.runValueLogGC(0.01)
  for (let i = 0; i < 3; i++) await author.put(`late${i}`, 300, 20 + i)
  await author.put('long', 7600, 30)
  for (let i = 3; i < 6; i++) await author.put(`late${i}`, 300, 20 + i)
  await author.del('longer')
  await author.del('long')
  for (let i = 0; i < 4; i++) await author.put(`small${i}`, 10 * i, i)
  await db.compact()
  for (let pass = 0; pass < 2; pass++) await db.runValueLogGC(0.01)
  await db.close()
  const image = await captureImage(fs, dir)
  if (new Set(holesIn(image).map(({ file }) => file.slice(-5))).size < 2) throw new Error('the options leave no hole in a value log, or none in a relocated file')
  return { image, states: [author.held], log: undefined, keys: [...author.history.keys()].sort(), history: author.history }
}

/**
 * A database after a clean close with values in gaps of value logs and of a relocated file, some of which were filled twice, lists beside them: some
 * eight kilobytes. Requires options under which 300 dead bytes side by side are filled after each compaction.
 */
export async function gappedSpecimen(dir: string, open: Open): Promise<Specimen> {
  const fs = new MemoryFileSystem({ crashable: false })
  const author = new Author(await open(fs))
  const { db } = author
  const die = async (...numbers: number[]): Promise<void> => {
    for (const i of numbers) await author.del(`old${i}`)
    await db.compact()
  }
  for (let i = 0; i < 22; i++) await author.put(`old${i}`, 250 + 10 * (i % 3), i)
  await die(0, 1, 4, 5, 8)
  // What is left of one file goes to a relocated one.
  await db.runValueLogGC(0.01)
  await die(2, 3, 6, 12, 13, 16, 17)
  for (let i = 0; i < 7; i++) await author.put(`in${i}`, 230 - 30 * (i % 2), 40 + i)
  await author.del('in0')
  await author.del('in1')
  await die(19, 20)
  for (let i = 0; i < 4; i++) await author.put(`again${i}`, 190, 60 + i)
  for (let i = 0; i < 3; i++) await author.put(`small${i}`, 10 * i, i)
  await db.close()
  const image = await captureImage(fs, dir)
  const gapped = [...image.keys()].filter((name) => name.endsWith('.runs'))
  if (!gapped.some((name) => image.has(name.replace('.runs', '.rlog'))) || !gapped.some((name) => image.has(name.replace('.runs', '.vlog')))) throw new Error('the options leave no gap in a value log, or none in a relocated file')
  return { image, states: [author.held], log: undefined, keys: [...author.history.keys()].sort(), history: author.history }
}

/** Blocks of which holes are made. */
const BLOCK = 4096

/** Blocks of zeros in value logs that have a list of what is left beside them: the holes, as long as no value holds such blocks. */
export function holesIn(image: DiskImage): { readonly file: string; readonly start: number; readonly end: number }[] {
  const holes: { file: string; start: number; end: number }[] = []
  for (const [file, bytes] of image) {
    if (!/\.[vr]log$/.test(file) || !image.has(file.replace(/\.[vr]log$/, '.runs'))) continue
    for (let start = 0; start + BLOCK <= bytes.length; start += BLOCK) {
      const end = start + BLOCK
      if (bytes.subarray(start, end).every((byte) => byte === 0)) holes.push({ file, start, end })
    }
  }
  return holes
}

/** A database of about two kilobytes whose process was killed; `scale` times that with a larger one. */
export async function uncleanSpecimen(dir: string, open: Open, scale = 1): Promise<Specimen> {
  const fs = new MemoryFileSystem()
  const author = new Author(await open(fs))
  const { db } = author
  for (let i = 0; i < 6 * scale; i++) await author.put(`old${i}`, i % 2 === 0 ? 100 + i : 10 + (i % 30), i)
  await db.flush()
  const states: State[] = [new Map(author.held)]
  // The log is made by its first operation.
  await author.put('first', 20, 60)
  states.push(new Map(author.held))
  const operations: { from: number; to: number; promised: number }[] = []
  const file = (await fs.list(dir)).filter((name) => name.endsWith('.wal')).at(-1) ?? ''
  const length = async (): Promise<number> => {
    const log = await fs.open(`${dir}/${file}`, 'read')
    const size = log.sizeSync()
    log.closeSync()
    return size
  }
  operations.push({ from: 0, to: await length(), promised: 0 })
  let promised = 0
  const step = async (run: () => Promise<void>, sync = false): Promise<void> => {
    const from = await length()
    await run()
    operations.push({ from, to: await length(), promised })
    states.push(new Map(author.held))
    if (sync) promised = states.length - 1
  }
  for (let i = 0; i < 8 * scale; i++) {
    const sync = i % 8 === 3
    await step(() => author.put(`new${i}`, i % 2 === 0 ? 80 + i : i % 48, 20 + i, sync), sync)
    if (i === 4) await step(() => author.del('old2'))
    if (i === 5) await step(() => author.put('old0', 110, 50))
  }
  const image = await captureImage(fs.crashClone('P1'), dir)
  await db.close()
  return { image, states, log: { file, operations }, keys: [...author.history.keys()].sort(), history: author.history }
}

/** Bytes that neither compress nor repeat. */
function valueOf(length: number, tag: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = tag * 2654435761 + 12345
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    bytes[i] = state >>> 16
  }
  return bytes
}
