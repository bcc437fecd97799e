/** Batches that another thread helps to read: whatever becomes of the help, the same values, and the same failures. */
import { NotSupportedError } from '@wk/codec'
import { InterceptedFileSystem, ManualRuntime, type FileSystem, type MemoryFileSystem, type Operation } from '@wk/fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ValueBatch, readTask, type ReadQuery, type ReadHelper, type ValueLog } from '../src/index.js'
import { SharedPieces } from '../src/shared-pieces.js'
import { SEED, mulberry } from './support/bytes.js'
import { DIR, appendAll, failureOf, newMemory, openLog, readFile, placeFile, type Kept } from './support/memory-log.js'

const COUNT = 700

/** What the other thread does with a batch. */
type Deed = 'all' | 'none' | 'half' | 'dies' | 'dies in a piece' | 'dies at once' | 'late' | 'is not there'
const DEEDS: readonly Deed[] = ['all', 'none', 'half', 'dies', 'dies in a piece', 'dies at once', 'late', 'is not there']

/** Another thread, on this one: it does its part in the turn in which it is asked, or never. */
class Helper implements ReadHelper {
  readonly fs: MemoryFileSystem
  deed: Deed = 'all'
  asked = 0
  prepared = 0
  pieces = 0
  /** Lets go of what it holds. */
  letGo: () => void = () => undefined

  constructor(fs: MemoryFileSystem) {
    this.fs = fs
  }

  find(): ((query: ReadQuery) => Promise<unknown>) | undefined {
    return this.deed === 'is not there' ? undefined : (query) => this.#run(query)
  }

  prepare(): void {
    this.prepared++
  }

  async #run(query: ReadQuery): Promise<void> {
    this.asked++
    const { deed } = this
    if (deed === 'dies at once') throw new Error('the thread is lost')
    if (deed === 'none') return
    if (deed === 'late') await new Promise<void>((resolve) => (this.letGo = resolve))
    const pieces = new SharedPieces(query.buffer, query.count)
    this.pieces = query.count
    if (deed === 'dies in a piece') {
      const piece = query.count - 1
      expect(pieces.begin(piece)).toBe(true)
      pieces.bytes.fill(0xaa, piece * 16_384, piece * 16_384 + 9000)
      throw new Error('the thread is lost')
    }
    // As if the asking thread had been so quick.
    if (deed === 'half' || deed === 'dies') for (let piece = 0; piece < query.count >> 1; piece++) pieces.take(piece)
    await readTask.run(query, { fs: this.fs, runtime: new ManualRuntime() })
    for (let piece = 0; piece < query.count >> 1; piece++) if (deed === 'half' || deed === 'dies') release(pieces, piece)
    if (deed === 'dies') throw new Error('the thread is lost')
  }
}

/** Makes a taken piece free again, which nothing but this test does. */
function release(pieces: SharedPieces, piece: number): void {
  const states = new Int32Array(pieces.buffer, pieces.buffer.byteLength - 4 * 256, 256)
  states[piece] = 0
}

/** Reads through the pool end later than everything else. */
class SlowPool extends InterceptedFileSystem {
  constructor(inner: FileSystem) {
    super(inner, 'slow pool')
  }

  async around<T>({ kind }: Operation, run: () => Promise<T>): Promise<T> {
    for (let i = 0; kind === 'read' && i < 50; i++) await new Promise(setImmediate)
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

const random = mulberry(SEED)

/** Records that lie far from each other, at random; some too long to be shared, a few neighbours. */
async function scattered(minLength = 0, maxLength = 4500) {
  const fs = await newMemory()
  const log = await openLog(fs, { fileSize: 2 << 20 })
  const filler = { key: Buffer.from('filler'), value: new Uint8Array(17_000), version: 1, meta: 0, userMeta: 0, expiresAt: 0 }
  const kept: Kept[] = []
  for (let i = 0; i < COUNT; i++) {
    const value = new Uint8Array(Math.floor(minLength + random() * (maxLength - minLength))).fill(i)
    const [one, , two] = await appendAll(log, [
      { ...filler, key: Buffer.from(`key ${i}`), value, version: i + 1 },
      ...(i % 10 === 0 ? [] : [filler]),
      { ...filler, key: Buffer.from(`last ${i}`), value: value.subarray(0, 20), version: i + 1 },
    ])
    kept.push(one!)
    if (i % 50 === 0 && two !== undefined) kept.push(two)
  }
  await log.close()
  return { fs, kept: kept.map((one) => ({ one, at: random() })).sort((a, b) => a.at - b.at).map(({ one }) => one) }
}

const places = await scattered()

function batchOf(kept: readonly Kept[]): ValueBatch {
  const batch = new ValueBatch()
  kept.forEach(({ pointer: { fid, offset, len }, entry: { key, version } }, slot) => batch.add(slot, fid, offset, len, key, version))
  return batch
}

function expectValues(batch: ValueBatch, kept: readonly Kept[]): void {
  expect(Buffer.concat(batch.values as Uint8Array[]).equals(Buffer.concat(kept.map(({ entry }) => entry.value)))).toBe(true)
}

async function openHelped(fs = places.fs): Promise<{ log: ValueLog; helper: Helper }> {
  const helper = new Helper(fs)
  return { log: await openLog(fs, { readOnly: true, runtime: new ManualRuntime(), readHelper: helper }), helper }
}

/** With a newer, durable file behind those that are there, so that they may go. */
async function openWriting(fs: MemoryFileSystem, through: FileSystem = fs): Promise<{ log: ValueLog; helper: Helper }> {
  const helper = new Helper(fs)
  const log = await openLog(through, { fileSize: 2 << 20, readHelper: helper, durable: null })
  await log.seal()
  await appendAll(log, [places.kept[0]!.entry])
  await log.sync()
  return { log, helper }
}

const nameOf = (fid: number): string => `${String(fid).padStart(6, '0')}.vlog`

describe('a batch of scattered records', () => {
  test('gives the same values whatever the other thread does, one batch after the other', async () => {
    const { log, helper } = await openHelped()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...DEEDS), fc.integer({ min: 0, max: COUNT - 520 }), fc.boolean()), { minLength: 1, maxLength: 4 }), async (reads) => {
        for (const [deed, from, ahead] of reads) {
          helper.deed = deed
          const kept = places.kept.slice(from)
          const batch = batchOf(kept)
          if (ahead) {
            const reading = log.beginBatch(batch)
            await turn()
            helper.letGo()
            await turn()
            if (reading.isShared) await reading.finish()
            else await log.readBatch(batch)
          } else await log.readBatch(batch)
          expectValues(batch, kept)
          helper.letGo()
          await turn()
        }
      }),
      { numRuns: 60, seed: SEED },
    )
    expect(helper.asked).toBeGreaterThan(50)
    await log.close()
  })

  test('results that were read elsewhere share no byte, and are what they were when the memory is used again', async () => {
    const { log, helper } = await openHelped()
    const first = batchOf(places.kept)
    await log.readBatch(first)
    expect(helper.asked).toBe(1)
    await turn()
    await log.readBatch(batchOf([...places.kept].reverse()))
    expect(helper.asked).toBe(2)
    expectValues(first, places.kept)
    for (const value of first.values) value!.fill(0xee)
    expect(first.values.every((value) => value!.every((byte) => byte === 0xee))).toBe(true)
    expect(first.values.some((value) => value!.buffer instanceof SharedArrayBuffer)).toBe(false)
    await log.close()
  })

  test('is not shared when it is short, dense, or of long records', async () => {
    const { log, helper } = await openHelped()
    await log.readBatch(batchOf(places.kept.slice(0, 300)))
    const fs = await newMemory()
    const writing = await openLog(fs, { fileSize: 1 << 22 })
    const dense = await appendAll(writing, places.kept.map(({ entry }) => entry))
    await writing.close()
    const other = await openHelped(fs)
    await other.log.readBatch(batchOf(dense))
    const long = await scattered(4096, 5000)
    const third = await openHelped(long.fs)
    await third.log.readBatch(batchOf(long.kept.filter(({ pointer }) => pointer.len > 4096)))
    expect([helper.asked, other.helper.asked, third.helper.asked]).toEqual([0, 0, 0])
    for (const each of [log, other.log, third.log]) await each.close()
  })

  test('nor encrypted', async () => {
    const fs = await newMemory()
    const options = { fileSize: 1 << 20, encryptionKey: new Uint8Array(16).fill(3) }
    const helper = new Helper(fs)
    const log = await openLog(fs, { ...options, readHelper: helper })
    const kept = await appendAll(log, places.kept.map(({ entry }) => ({ ...entry, value: new Uint8Array(20_000).fill(entry.version) })).flatMap((long, i) => [places.kept[i]!.entry, long]))
    const shorts = kept.filter((_, i) => i % 2 === 0)
    const batch = batchOf(shorts)
    await log.readBatch(batch)
    expectValues(batch, shorts)
    expect(helper.asked).toBe(0)
    await log.close()
  })

  test('damage is told as without help, and by the record itself', async () => {
    const { kept } = places
    const fs = await newMemory()
    const victim = kept.find(({ entry }) => entry.value.length > 100 && entry.value.length < 4000)!
    const { fid, offset } = victim.pointer
    const name = nameOf(fid)
    const bytes = readFile(places.fs, name)
    bytes[offset + 60]! ^= 1
    for (const one of await places.fs.list(DIR)) if (one !== 'LOCK') await placeFile(fs, one, readFile(places.fs, one))
    await placeFile(fs, name, bytes)
    const plain = await openLog(fs, { readOnly: true })
    const wanted = await failureOf((async () => plain.readBatch(batchOf(kept)))())
    expect(wanted).toMatchObject({ code: 'WK_CORRUPTION', offset })
    const { log, helper } = await openHelped(fs)
    for (const deed of DEEDS) {
      helper.deed = deed
      const failure = await failureOf((async () => log.readBatch(batchOf(kept)))())
      expect(failure).toMatchObject({ code: 'WK_CORRUPTION', offset, message: (wanted as Error).message })
      helper.letGo()
      await turn()
      const whole = kept.filter((one) => one !== victim)
      const batch = batchOf(whole)
      await log.readBatch(batch)
      expectValues(batch, whole)
      helper.letGo()
      await turn()
    }
    await plain.close()
    await log.close()
  })
})

describe('the other thread', () => {
  test('is not asked while it has not let go, and never again once it knows no such task', async () => {
    const { log, helper } = await openHelped()
    helper.deed = 'late'
    await log.readBatch(batchOf(places.kept))
    await log.readBatch(batchOf(places.kept))
    expect(helper.asked).toBe(1)
    helper.letGo()
    await turn()
    helper.find = () => {
      helper.asked++
      return () => Promise.reject(new NotSupportedError('this worker runs no read'))
    }
    for (let i = 0; i < 3; i++) {
      const batch = batchOf(places.kept)
      await log.readBatch(batch)
      expectValues(batch, places.kept)
    }
    expect(helper.asked).toBe(2)
    await log.close()
  })

  test('is started by somebody who reads on and on without it', async () => {
    const { log, helper } = await openHelped()
    helper.deed = 'is not there'
    const reads = Math.ceil(16_384 / places.kept.length)
    for (let i = 1; i < reads; i++) await log.readBatch(batchOf(places.kept))
    expect(helper.prepared).toBe(0)
    await log.readBatch(batchOf(places.kept))
    expect(helper.prepared).toBe(1)
    await log.close()
  })

  test('a batch that was begun loses its help to the next one, and can be given up', async () => {
    const { log, helper } = await openHelped()
    const batch = batchOf(places.kept)
    const begun = log.beginBatch(batch)
    const given = log.beginBatch(batchOf(places.kept))
    expect([begun.isShared, given.isShared]).toEqual([true, false])
    await turn()
    const other = log.beginBatch(batchOf([...places.kept].reverse()))
    expect(other.isShared).toBe(true)
    await begun.finish()
    expectValues(batch, places.kept)
    void other.cancel()
    void other.cancel()
    await turn()
    expect(log.beginBatch(batchOf(places.kept)).isShared).toBe(true)
    expect(helper.asked).toBe(3)
    await log.close()
  })

  test('has its long records, which neither of the two reads', async () => {
    const { fs, kept } = await scattered()
    const { log, helper } = await openWriting(fs, new SlowPool(fs))
    const value = new Uint8Array(1_500_000).fill(7)
    const [long] = await appendAll(log, [{ key: Buffer.from('long'), value, version: 9, meta: 0, userMeta: 0, expiresAt: 0 }])
    const all = [...kept.slice(0, 600), long!, ...kept.slice(600)]
    for (const deed of ['all', 'none', 'half'] as const) {
      helper.deed = deed
      const batch = batchOf(all)
      const reading = log.beginBatch(batch)
      expect(reading.isShared).toBe(true)
      expect(reading.beginLong()).toBe(true)
      await reading.finish()
      expectValues(batch, all)
      await turn()
    }
    await log.close()
  })

  test('keeps the files that it reads until it lets go', async () => {
    const { fs, kept } = await scattered()
    const { log, helper } = await openWriting(fs)
    const { fid } = kept[0]!.pointer
    const isThere = async (): Promise<boolean> => (await fs.list(DIR)).includes(nameOf(fid))
    helper.deed = 'late'
    const batch = batchOf(kept)
    const reading = log.readBatch(batch)
    await log.dropLogical([fid])
    await reading
    expectValues(batch, kept)
    await turn()
    expect(await isThere()).toBe(true)
    helper.letGo()
    await expect.poll(isThere, { interval: 1 }).toBe(false)
    await log.close()
  })

  test.each(['all', 'late'] as const)('what was relocated after a batch was begun is read where it is now (%s)', async (deed) => {
    const { fs, kept } = await scattered()
    const { log, helper } = await openWriting(fs)
    const { fid } = kept[0]!.pointer
    helper.deed = deed
    const batch = batchOf(kept)
    const reading = log.beginBatch(batch)
    expect(reading.isShared).toBe(true)
    const relocation = await log.createRelocation()
    for (const { pointer } of kept.filter((one) => one.pointer.fid === fid).sort((a, b) => a.pointer.offset - b.pointer.offset)) await relocation.copy(fid, pointer.offset, pointer.len)
    await relocation.finish()
    helper.letGo()
    await expect.poll(async () => (await fs.list(DIR)).includes(nameOf(fid)), { interval: 1 }).toBe(false)
    await reading.finish()
    expectValues(batch, kept)
    await log.close()
  })

  test('may hold on to its batch while the log is closed', async () => {
    const { log, helper } = await openHelped()
    helper.deed = 'late'
    const batch = batchOf(places.kept)
    const reading = log.beginBatch(batch)
    await reading.cancel()
    await log.close()
    helper.letGo()
    await turn()
  })
})

/** A turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
