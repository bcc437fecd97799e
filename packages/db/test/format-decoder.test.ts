/**
 * docs/format.md describes every byte: decoders that were written from the page alone (`decoder/`, which imports nothing of `@wk/*`) read what the engine
 * wrote, account for each byte of each file, and find the same map. Red where a format changes without the page, or the page without the format.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defaultRuntime, MemoryFileSystem } from '@wk/fs'
import { relocate } from '@wk/gc'
import { captureImage, HOLED_SPECIMEN_OPTIONS, Rng } from '@wk/testkit'
import { ValueLog } from '@wk/vlog'
import { expect, it } from 'vitest'
import { DB, type Entry } from '../src/index.js'
import { openBounded } from '../src/testing.js'
import { BOUNDED } from './bounded-runs.js'
import { decodeBackup } from './decoder/backup.js'
import { decodeDatabase, readDirectory, type DecodedDatabase } from './decoder/database.js'
import { decodeRegistry } from './decoder/key-registry.js'
import { decodeManifest } from './decoder/manifest.js'
import { decodeMemtableLog } from './decoder/memtable-log.js'
import { COMPRESSED } from './decoder/record.js'
import { decodeTable } from './decoder/table.js'
import { decodeValueLogState } from './decoder/vlog-state.js'
import { ValueLogs } from './decoder/value-logs.js'
import { decodeWal } from './decoder/wal.js'
import { keep, large, SMALL, temporaryDirectory, type Options } from './harness.js'

const SEED = Number(process.env.WK_SEED ?? 1)
const REPLAY = `replay: WK_SEED=${SEED} npx vitest run packages/db/test/format-decoder.test.ts`

/** Unix seconds, of all databases here: nothing expires while a test looks. */
const clock = { seconds: 0 }
const runtime = { ...defaultRuntime, now: () => clock.seconds * 1000 }
const START = 1_800_000_000
const HOUR = 3600

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const copyName = (): string => join(temporaryDirectory(), 'copy')

/** The directory at one moment. The background may be at work: once more, if a file changed meanwhile. */
async function imageOf(dir: string): Promise<string> {
  const state = (): string => readdirSync(dir).map((name) => `${name} ${statSync(join(dir, name)).size} ${statSync(join(dir, name)).mtimeMs}`).join()
  for (let attempt = 0; attempt < 500; attempt++) {
    const to = copyName()
    try {
      const before = state()
      cpSync(dir, to, { recursive: true })
      if (state() === before) return to
    } catch (err) {
      // A file went away between its listing and its copying.
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${dir} does not come to rest`)
}

const plainEntry = ({ value, version, userMeta, expiresAt }: { value?: Uint8Array | undefined; version: number; userMeta: number; expiresAt: number }): string => `${version} ${userMeta} ${expiresAt} ${value === undefined ? 'deleted' : hex(value)}`

/** Decodes the files of a database that is closed, or of an image, and compares with what the engine reads from a copy. */
async function expectDecoded(what: string, dir: string, options: Options): Promise<DecodedDatabase> {
  const message = `${what}; ${REPLAY}`
  const key = options.encryptionKey === undefined ? undefined : Buffer.from(options.encryptionKey)
  let decoded: DecodedDatabase
  try {
    decoded = decodeDatabase(dir, { key, bitsPerKey: options.bloomBitsPerKey ?? 10, now: clock.seconds })
  } catch (cause) {
    throw new Error(`${message}: ${String(cause)}`, { cause })
  }
  // Opening for reading changes no file, but not even that is taken for granted.
  const copy = copyName()
  cpSync(dir, copy, { recursive: true })
  const db = await DB.open(copy, { ...options, readOnly: true, gc: { auto: false } })
  try {
    const entries = await db.iterator().all()
    expect([...decoded.visible.keys()].sort(), message).toEqual(entries.map(([name]) => hex(name)))
    for (const [name, value] of entries) {
      const found = await db.getEntry(name)
      const mine = decoded.visible.get(hex(name))
      if (found === undefined || mine === undefined) throw new Error(`${hex(name)} is not there; ${message}`)
      expect(hex(found.value), message).toBe(hex(value))
      expect(plainEntry(mine), `${hex(name)}; ${message}`).toBe(plainEntry(found))
      expect(readable(decoded, name, options.numVersionsToKeep ?? 1), `versions of ${hex(name)}; ${message}`).toEqual((await db.versions(name)).map((one: Entry) => plainEntry(one)))
    }
    // After an unclean end beside gap files that were not durable more numbers are left out than can have been lost.
    const hasGaps = decoded.logs.files.some(({ logical }) => logical.some(({ gap }) => gap))
    expect(hasGaps && decoded.manifest.clean === undefined ? [0, 2 ** 24] : [0], message).toContain(db.stats().version - decoded.last)
  } finally {
    await db.close()
  }
  return decoded
}

/** Versions of a key that `versions()` gives: as many as are kept, up to a deletion or an expired one. */
function readable(decoded: DecodedDatabase, name: Uint8Array, most: number): string[] {
  const all = decoded.versions.get(hex(name)) ?? []
  const dead = all.findIndex(({ value, expiresAt }) => value === undefined || (expiresAt > 0 && expiresAt <= clock.seconds))
  return all.slice(0, Math.min(most, dead < 0 ? all.length : dead)).map((one) => plainEntry(one))
}

const kinds = (decoded: DecodedDatabase): string[] => [...new Set(decoded.logs.files.flatMap(({ parts }) => parts.map(([, , what]) => what)))]

/** Bytes that compress, or not. */
function valueOf(rng: Rng, length: number): Buffer {
  const digits = rng.chance(0.6) ? 2 : 256
  return Buffer.from(Array.from({ length }, () => rng.below(digits)))
}

const LENGTHS = [0, 5, 40, 64, 100, 400, 1500, 5000]

/** Puts, deletions and batches on few keys: short ones, and long ones that share prefixes. */
async function write(db: DB, rng: Rng, count: number): Promise<void> {
  const writes: Promise<void>[] = []
  for (let i = 0; i < count; i++) {
    const n = rng.below(150)
    const key = n < 20 ? String.fromCharCode(97 + n) : `group/${Math.floor(n / 16)}/of keys that are ${'very '.repeat(n % 4)}much alike/${n}`
    const options = { ...(rng.chance(0.2) ? { ttl: rng.pick([HOUR, 100 * HOUR]) } : {}), ...(rng.chance(0.3) ? { userMeta: rng.below(256) } : {}) }
    const drawn = rng.below(10)
    if (drawn === 0) writes.push(db.del(key))
    else if (drawn === 1) writes.push(db.batch([{ type: 'put', key, value: valueOf(rng, rng.pick(LENGTHS)), ...options }, { type: 'del', key: `${key}!` }, { type: 'put', key: `${key}?`, value: valueOf(rng, rng.pick(LENGTHS)) }]))
    else writes.push(db.put(key, valueOf(rng, rng.pick(LENGTHS)), { ...options, ...(rng.chance(0.05) ? { sync: true } : {}) }))
    if (writes.length > 20) await Promise.all(writes.splice(0))
  }
  await Promise.all(writes)
}

const COMMON: Options = { ...SMALL, valueLogFileSize: 32 * 1024, workers: 0, runtime, gc: { auto: false } }

it.each<[string, Options]>([
  ['plain', { compression: 'none' }],
  ['with lz4', { valueCompression: 'lz4', bloomBitsPerKey: 0 }],
  ['with encryption and lz4', { encryptionKey: Buffer.alloc(32, 7), valueCompression: 'lz4' }],
  ['with three versions and a key of 16 bytes', { numVersionsToKeep: 3, encryptionKey: Buffer.alloc(16, 3), compression: 'none', bloomBitsPerKey: 3 }],
  ['with three versions', { numVersionsToKeep: 3, bloomBitsPerKey: 17 }],
])('a database %s is what the page says: open, recovered, closed, collected, as a checkpoint and as backups', async (name, extra) => {
  clock.seconds = START
  const options = { ...COMMON, ...extra }
  const rng = Rng.of(SEED, name.length)
  const dir = join(temporaryDirectory(), 'db')
  const look = async (what: string, image: string): Promise<DecodedDatabase> => expectDecoded(`${name}, ${what}`, image, options)
  let db = keep(await DB.open(dir, options))
  await look('new', await imageOf(dir))
  await write(db, rng, 500)
  await db.put('', 'a value of the empty key', { userMeta: 255 })
  await db.put('k'.repeat(65_000), large(20))
  await look('open', await imageOf(dir))
  await db.close()
  const closed = await look('closed', dir)
  expect(closed.leftovers, 'a clean close leaves nothing').toEqual([])
  expect(closed.manifest.clean).toBeDefined()

  // What had an hour is gone from here on.
  clock.seconds += 2 * HOUR
  db = keep(await DB.open(dir, options))
  await write(db, rng, 100)
  await db.compact()
  const report = await db.gc({ maxSpaceAmp: 1.05 })
  expect(report.filesCollected).toBeGreaterThan(0)
  await write(db, rng, 40)
  const collected = await imageOf(dir)
  const open = await look('collected, open', collected)
  const checkpoint = join(temporaryDirectory(), 'checkpoint')
  await db.checkpoint(checkpoint)
  const [full, since] = await backupOf(db, 0)
  const whole = await look('checkpoint', checkpoint)
  expect(applied(new Map(), full), REPLAY).toEqual(visibleOf(whole))
  await write(db, rng, 60)
  const [increment] = await backupOf(db, since)
  expect(increment.since).toBe(since)
  await db.close()
  const end = await look('collected, closed', dir)
  expect(applied(applied(new Map(), full), increment), REPLAY).toEqual(visibleOf(end))
  expect(end.leftovers).toEqual([])

  // The unclean image is opened, recovered, and left without a close again.
  const recovered = keep(await DB.open(collected, options))
  await look('recovered', await imageOf(collected))
  await write(recovered, rng, 30)
  await look('recovered, written to', await imageOf(collected))
  await recovered.put('alone', large(5000))
  const alone = await look('with a put that only the value log has', await imageOf(collected))
  expect(alone.direct, REPLAY).toBeGreaterThan(0)
  await recovered.close()
  await look('recovered, closed', collected)

  // The test is about what it means to be.
  expect(open.wals.some(({ frames }) => frames.length > 0)).toBe(true)
  expect(open.logs.files.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['vlog', 'rlog']))
  expect(open.manifest.clean).toBeUndefined()
  const entries = [...closed.versions.values()].flat()
  expect(entries.some(({ pointer }) => pointer === undefined) && entries.some(({ pointer }) => pointer !== undefined)).toBe(true)
  expect(entries.some(({ userMeta }) => userMeta > 0) && entries.some(({ expiresAt }) => expiresAt > 0)).toBe(true)
  expect([...closed.tables.values()].some(({ compressed }) => compressed > 0)).toBe((options.compression ?? 'lz4') === 'lz4')
  expect(closed.logs.files.some(({ found }) => found.some(({ record }) => (record.meta & COMPRESSED) !== 0))).toBe(options.valueCompression === 'lz4')
  expect([...closed.versions.values()].some((list) => list.length >= (options.numVersionsToKeep ?? 1))).toBe(true)
})

async function backupOf(db: DB, since: number): Promise<[ReturnType<typeof decodeBackup>, number]> {
  const chunks: Uint8Array[] = []
  const stream = db.backup({ since })
  for (;;) {
    const { value, done } = await stream.next()
    if (done === true) return [decodeBackup(Buffer.concat(chunks)), value]
    chunks.push(value)
  }
}

/** The map after the records of a backup, by what an entry is. */
function applied(map: Map<string, string>, { records }: ReturnType<typeof decodeBackup>): Map<string, string> {
  for (const { key, value, seq, userMeta, expiresAt } of records) {
    if (value === undefined || (expiresAt > 0 && expiresAt <= clock.seconds)) map.delete(hex(key))
    else map.set(hex(key), plainEntry({ value, version: seq, userMeta, expiresAt }))
  }
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const visibleOf = ({ visible }: DecodedDatabase): Map<string, string> => new Map([...visible].map(([name, e]) => [name, plainEntry(e)] as const).sort(([a], [b]) => (a < b ? -1 : 1)))

it('gaps that the background filled are what the page says: open, recovered, closed, collected', async () => {
  clock.seconds = START
  const length = 16 * 1024
  const rng = Rng.of(SEED, 100)
  const options: Options = { memTableSize: 64 * 1024, valueLogFileSize: 1024 * 1024, workers: 0, runtime, gc: { minGarbage: 256 * 1024, maxSpaceAmp: 1.3 } }
  const dir = join(temporaryDirectory(), 'db')
  const db = keep(await DB.open(dir, options))
  const put = (): Promise<void> => db.put(`key ${rng.below(200)}`, large(length - rng.below(100), rng.below(256)))
  for (let i = 0; i < 200; i++) await db.put(`key ${i}`, large(length, i))
  for (let writes = 0; db.stats().gcBytesFilled < 40 * length; writes++) {
    expect(writes, `gaps are filled; ${REPLAY}`).toBeLessThan(300)
    await Promise.all(Array.from({ length: 10 }, put))
  }
  const image = await imageOf(dir)
  await db.close()
  const open = await expectDecoded('open', image, options)
  expect(kinds(open)).toEqual(expect.arrayContaining(['record in a gap', 'rest of a gap']))
  const closed = await expectDecoded('closed', dir, options)
  expect(closed.leftovers).toEqual([])
  expect(closed.logs.files.flatMap((log) => log.logical.filter(({ gap }) => gap)).length).toBeGreaterThan(1)

  const recovered = keep(await DB.open(image, { ...options, gc: { auto: false } }))
  await recovered.put('after', large(length))
  await expectDecoded('recovered', await imageOf(image), options)
  await recovered.gc({ maxSpaceAmp: 1.05 })
  await expectDecoded('collected', await imageOf(image), options)
  await recovered.close()
  await expectDecoded('collected, closed', image, options)
})

/** The directory of a database in memory, on disk. */
async function placed(fs: MemoryFileSystem): Promise<string> {
  const to = copyName()
  mkdirSync(to)
  for (const [name, bytes] of await captureImage(fs, '/db')) writeFileSync(join(to, name), bytes)
  return to
}

it.each<[string, Options]>([['plain', {}], ['with encryption', { encryptionKey: Buffer.alloc(32, 7) }]])('holes of a database %s are what the page says, also where a crash came while they were made', async (name, extra) => {
  clock.seconds = START
  const { leastHole = 1024, ...common } = HOLED_SPECIMEN_OPTIONS
  const options: Options = { ...common, ...extra, runtime }
  const fs = new MemoryFileSystem()
  const images: MemoryFileSystem[] = []
  const db = keep(await openBounded('/db', { ...options, leastHole, fs }))
  const fill = async (what: string): Promise<void> => {
    for (let i = 0; i < 6; i++) await db.put(`${what}${i}`, large(300, i))
    await db.put(`${what} long`, large(12_000))
    for (let i = 6; i < 12; i++) await db.put(`${what}${i}`, large(300, i))
    await db.del(`${what}0`)
  }
  // The first file is relocated, for it has no long dead range; then a long value dies in what it became, and in the file behind.
  await fill('early')
  await db.compact()
  await db.runValueLogGC(0.01)
  await fill('late')
  for (const what of ['early', 'late']) await db.del(`${what} long`)
  await db.compact()
  fs.onMutatingOperation = (index) => void images.push(fs.crashClone('P1'), fs.crashClone('P3', SEED + index))
  for (let pass = 0; pass < 2; pass++) await db.runValueLogGC(0.01)
  fs.onMutatingOperation = undefined
  await db.close()
  expect(images.length).toBeGreaterThan(20)
  let whole = 0
  for (const image of images) whole += holeBytes(await expectDecoded(`${name}, crash`, await placed(image), options)).full
  expect(whole, `some were listed and not made yet; ${REPLAY}`).toBeGreaterThan(0)
  const closed = await expectDecoded(`${name}, closed`, await placed(fs), options)
  expect(closed.leftovers).toEqual([])
  expect(new Set(closed.logs.files.filter(({ parts }) => parts.some(([, , what]) => what === 'hole')).map(({ kind }) => kind))).toEqual(new Set(['vlog', 'rlog']))
  const { empty, full } = holeBytes(closed)
  expect(full, 'holes read as zeros').toBe(0)
  expect(empty).toBeGreaterThanOrEqual(4 * 4096)
})

/** Bytes of holes that are zeros, and of those that are not. */
function holeBytes({ logs }: DecodedDatabase): { empty: number; full: number } {
  const sums = { empty: 0, full: 0 }
  for (const { bytes, parts } of logs.files) {
    for (const [from, to, what] of parts) if (what === 'hole') sums[bytes.subarray(from, to).every((byte) => byte === 0) ? 'empty' : 'full'] += to - from
  }
  return sums
}

it('files that pointers name by their own number are what the page says', async () => {
  clock.seconds = START
  const options = { ...BOUNDED, workers: 0, runtime }
  const dir = join(temporaryDirectory(), 'db')
  const db = keep(await openBounded(dir, { ...options, mostRuns: 8 }))
  for (let round = 0; round < 6; round++) {
    for (let i = round % 2; i < 80; i += round === 0 ? 1 : 3) await db.put(`key ${i}`, large(300, i + round))
    await db.gc({ maxSpaceAmp: 1.05 })
    await db.compact()
  }
  const open = await expectDecoded('open', await imageOf(dir), options)
  const rlogs = new Set(open.logs.files.filter(({ kind }) => kind === 'rlog').map(({ number }) => number))
  expect([...open.visible.values()].some(({ pointer }) => pointer !== undefined && rlogs.has(pointer.fid)), 'pointers were rewritten').toBe(true)
  await db.close()
  await expectDecoded('closed', dir, options)
})

it('a relocated file with gaps, whose records have two addresses, is what the page says', async () => {
  const dir = join(temporaryDirectory(), 'log')
  mkdirSync(dir)
  const log = await ValueLog.open(dir, { fileSize: 128 * 1024, durable: null })
  interface Written { readonly key: string; readonly value: Buffer; pointers: { readonly fid: number; readonly offset: number; readonly len: number }[] }
  const index = new Map<string, Written>()
  let version = 0
  const put = async (key: string, length: number): Promise<void> => {
    const value = Buffer.from(large(length, version))
    index.set(key, { key, value, pointers: [...(await log.append([{ key, value, version: ++version }]))] })
  }
  const live = (fid: number) => [...index.values()].flatMap(({ pointers }) => pointers).filter((p) => p.fid === fid).sort((a, b) => a.offset - b.offset)
  for (let i = 0; i < 150; i++) await put(`k${i}`, 1000 + i)
  for (let i = 0; i < 150; i += 4) await put(`k${i}`, 900)
  await log.sync()
  await relocate(log, [1], live, {})
  const places = log.directPlaces(1)
  if (places === undefined) throw new Error('no direct file')
  const { target, starts, positions } = places
  for (const [i, e] of [...index.values()].entries()) {
    const [p] = e.pointers
    if (p?.fid !== 1 || i % 3 === 0) continue
    const run = starts.findLastIndex((start) => start <= p.offset)
    e.pointers = [p, { fid: target, len: p.len, offset: (positions[run] ?? 0) + p.offset - (starts[run] ?? 0) }]
  }
  for (let i = 1; i < 100; i += 5) await put(`k${i}`, 800)
  await log.sync()
  const logical = log.physicalFiles().find(({ number }) => number === target)?.logical ?? []
  const ranges = new Map(logical.map((fid) => [fid, { offsets: Uint32Array.from(live(fid), ({ offset }) => offset), lengths: Uint32Array.from(live(fid), ({ len }) => len) }]))
  const plan = log.gaps.plan(target, ranges, 500)
  if (plan === undefined) throw new Error('no gaps')
  await log.gaps.open([plan])
  for (let i = 0; i < 20; i++) await put(`n${i}`, 700)
  await log.sync()
  const files = readDirectory(dir)
  await log.close()

  const logs = new ValueLogs(files, new Map())
  const found = logs.file(target)
  expect(found?.listed).toBe(true)
  expect(found?.logical.map(({ fid }) => Math.sign(fid - target)).sort(), 'an older file, its own number, a gap file').toEqual([-1, 0, 1])
  for (const { key, value, pointers } of index.values()) {
    for (const pointer of pointers) {
      const record = logs.locate(pointer)
      expect([record.key.toString(), record.value.equals(value)]).toEqual([key, true])
    }
  }
  expect([...index.values()].filter(({ pointers }) => pointers.length === 2).length).toBeGreaterThan(10)
})

it('the examples of the page decode to what it says of them', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'format.md'), 'utf8')
  const blocks = [...page.matchAll(/```\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  // The bytes of a line: pairs of digits, behind an offset where there is one, up to a word.
  const bytesOf = (line: string): string => (/^(?:[0-9a-f]{4} {2})?((?:[0-9a-f]{2}(?: {1,5}|$))*)/.exec(line)?.[1] ?? '').replaceAll(' ', '')
  const example = (...marks: string[]): Buffer => {
    const block = blocks.find((one) => marks.every((mark) => one.includes(mark)))
    if (block === undefined) throw new Error(`no example with ${marks.join()}`)
    return Buffer.from(block.split('\n').map(bytesOf).join(''), 'hex')
  }
  const logsOf = (...files: [string, Buffer][]): ValueLogs => new ValueLogs(new Map(files), keys)
  const recordsOf = (bytes: Buffer): unknown[] => {
    const logs = logsOf(['000001.vlog', bytes])
    const log = logs.file(1)
    if (log === undefined) throw new Error('no file')
    expect(log.validEnd).toBe(bytes.length)
    return log.found.map((found) => {
      const { key, version, value, meta, userMeta, expiresAt, offset, len } = logs.open(log, found)
      return [String(key), version, String(value), meta, userMeta, expiresAt, offset, len]
    })
  }
  const keys = decodeRegistry(example('"Hello Badger", encrypted'), Buffer.from([...Array(16).keys()]))
  expect([...keys].map(([id, key]) => [id, hex(key)])).toEqual([[1, '202122232425262728292a2b2c2d2e2f']])
  const vlog = example('data key id 0: plain')
  expect(recordsOf(vlog)).toEqual([['key', 7, 'value', 4, 9, 1_700_000_000, 20, 29], ['a', 0, 'b', 0, 0, 0, 49, 19]])
  expect(recordsOf(example('data key id 1'))).toEqual([['a', 0, 'b', 0, 0, 0, 20, 19]])
  expect(recordsOf(Buffer.concat([Buffer.alloc(20), example('meta: compressed')]))).toEqual([['a', 0, 'b'.repeat(100), 16, 0, 0, 20, 34]])
  const [one] = decodeMemtableLog(Buffer.concat([Buffer.alloc(20), example('of a transaction, pointer')]), '00001.mem', keys)
  expect([String(one?.key), one?.version, one?.pointer]).toEqual(['a', 7, { fid: 1, len: 19, offset: 49 }])
  const second = { fid: 1, offset: 49, len: 19 }
  expect(String(logsOf(['000002.rlog', example('the record, at offset 20')]).locate(second).value)).toBe('b')
  expect(logsOf(['000001.vlog', vlog], ['000001.runs', example('57 4b 52 55 4e 53', 'none of them direct', 'of 48 bytes')]).file(1)?.parts).toEqual([[0, 20, 'header'], [20, 49, 'outside of runs'], [49, 68, 'record']])
  expect(logsOf(['000001.vlog', vlog], ['000001.runs', example('a gap file, for it')]).file(1)?.parts).toEqual([[0, 20, 'header'], [20, 49, 'record in a gap'], [49, 68, 'record']])
  expect(decodeValueLogState(example('57 4b 56 53 01   magic'))).toEqual({ next: 2, newest: 1, size: 68, garbage: [], givenUp: [], survivors: [] })
  const [frame] = decodeWal(example('57 4b 57 4c'), 12, '000012.wal').frames
  expect(frame?.operations.map(({ key, seq, value }) => [String(key), seq, value?.toString()])).toEqual([['a', 301, 'x'], ['b', 302, undefined]])
  expect([frame?.walPromise, frame?.vlogPromise]).toEqual([{ file: 11, offset: 4096 }, { fid: 2, offset: 20 }])
  const manifest = decodeManifest(example('57 4b 4d 46'), 3, 'MANIFEST-000003')
  expect([[...manifest.tables.keys()], manifest.lastSequence, manifest.clean]).toEqual([[14], 302, { fid: 2, size: 20 }])
  expect(decodeBackup(example('WKBACKUP')).records.map(({ key, seq, userMeta, value }) => [String(key), seq, userMeta, value?.toString()])).toEqual([['a', 301, 7, 'x'], ['b', 302, 0, undefined]])
  const table = decodeTable(example('57 4b 54 41 42 4c 45'), 7, '000007.sst', 10)
  expect(table.entries.map(({ key }) => String(key))).toEqual(['apple', 'apricot', 'banana'])
})

it('the decoders import nothing of the engine', () => {
  const dir = join(import.meta.dirname, 'decoder')
  const imports = readdirSync(dir).flatMap((name) => [...readFileSync(join(dir, name), 'utf8').matchAll(/^(?:import|export)\b.*'([^']+)'$/gm)].map(([, what = '']) => what))
  expect(imports.length).toBeGreaterThan(20)
  expect([...new Set(imports)].filter((what) => !/^\.\/[a-z0-9-]+\.js$/.test(what)).sort()).toEqual(['node:crypto', 'node:fs', 'node:path'])
})
