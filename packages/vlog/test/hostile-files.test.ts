/**
 * Ten thousand mutated directories whose sums were put right again, ten thousand with raw damage: typed errors only, soon, in
 * bounded memory. Every file that the package parses takes part.
 */
import { FRAME_HEADER_LENGTH, WkError, crc32c, crc32cRange, placeSeed, writeFrameHeader, writeU32 } from '@wk/codec'
import { ManualRuntime, MemoryFileSystem, writeFullySync } from '@wk/fs'
import { expect, test } from 'vitest'
import { encodeRegistry } from '../src/key-registry-format.js'
import { newRecordHeader, readRecordHeader, writeU32BE } from '../src/record.js'
import { ValueLog, readMemtableLog, type ValueLogOptions, type ValuePointer } from '../src/index.js'
import { RUNS, SEED, mulberry } from './support/bytes.js'
import { fixtureFile } from './support/fixtures.js'
import { DIR, appendAll, collect, entryOf, newMemory, openLog, readFile } from './support/memory-log.js'

const CASES = 10_000 * RUNS
const MAX_MS = 50
const MAX_GROWTH = 64 << 20
const KEY = Uint8Array.from({ length: 24 }, (_, i) => i)
const HOSTILE = [0, 1, 7, 8, 0x0f, 0x10, 0x40, 0x7f, 0x80, 0xfe, 0xff]
const HOSTILE_WORDS = [0, 1, 17, 20, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]

interface Image {
  files: [string, Uint8Array][]
  pointers: ValuePointer[]
  options: ValueLogOptions
}

async function build(options: ValueLogOptions, relocate: boolean): Promise<Image> {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 4, ...options })
  const random = mulberry(SEED)
  const entries = Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? { ...entryOf(random), value: new Uint8Array(200).fill(i) } : entryOf(random, 50)))
  const kept = await appendAll(log, entries, 1)
  if (relocate) {
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of kept) if (fid < 2 && offset % 3 !== 0) await relocation.copy(fid, offset, len)
    await relocation.finish()
  }
  await log.close()
  const files: Image['files'] = []
  for (const name of await fs.list(DIR)) if (name !== 'LOCK') files.push([name, readFile(fs, name)])
  const { encryptionKey } = options
  return { files, pointers: kept.map(({ pointer }) => pointer), options: encryptionKey === undefined ? {} : { encryptionKey } }
}

/** A file with holes and the list of what is left of it. */
async function buildHoles(): Promise<Image> {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 4, fileSize: 1 << 20 })
  const random = mulberry(SEED)
  const kept = await appendAll(log, Array.from({ length: 8 }, () => ({ ...entryOf(random, 50), value: Uint8Array.from({ length: 9000 }, () => pick(256)) })), 1)
  await log.seal()
  const live = kept.filter(({ pointer }, i) => pointer.fid === 1 && i % 3 !== 0).map(({ pointer }) => pointer)
  const plan = log.holes.plan(1, new Map([[1, { offsets: Uint32Array.from(live, ({ offset }) => offset), lengths: Uint32Array.from(live, ({ len }) => len) }]]), 4096)
  await log.holes.punch([plan!])
  await log.close()
  const files: Image['files'] = ['000001.vlog', '000001.runs'].map((name) => [name, readFile(fs, name)])
  return { files, pointers: live, options: {} }
}

async function images(): Promise<Image[]> {
  const built = [
    await build({}, false), await build({}, true), await build({ encryptionKey: KEY }, false),
    await build({ encryptionKey: KEY, valueCompression: 'lz4' }, true), await build({ valueCompression: 'lz4' }, false),
  ]
  built.push(await buildHoles())
  built[0]!.files.push(['00001.mem', fixtureFile('killed', '00001.mem').slice(0, 1200)])
  const keys = Array.from({ length: 3 }, (_, i) => ({ id: i + 2, data: new Uint8Array(32), iv: new Uint8Array(16), createdAt: 1e9 }))
  built[1]!.files.push(['KEYREGISTRY', encodeRegistry({ iv: new Uint8Array(16), keys }, undefined)])
  return built
}

const random = mulberry(SEED)
const pick = (n: number): number => Math.floor(random() * n)
const oneOf = <T>(items: readonly T[]): T => items[pick(items.length)]!

/** Changes a field of one structure of the file and puts its sum right. */
function mutateStructure(name: string, original: Uint8Array, pointers: readonly ValuePointer[]): Uint8Array {
  const bytes = original.slice()
  if (name === 'KEYREGISTRY') return mutateRegistry(bytes)
  if (name === 'VLOGSTATE') {
    scribble(bytes, FRAME_HEADER_LENGTH, bytes.length)
    writeFrameHeader(bytes, 0, bytes.length - FRAME_HEADER_LENGTH, 0, 0)
    return bytes
  }
  if (name.endsWith('.runs') || (name.endsWith('.rlog') && random() < 0.8)) return mutateRuns(name, bytes)
  const fid = Number(name.slice(0, name.indexOf('.')))
  const place = oneOf(name.endsWith('.vlog') ? pointers.filter((pointer) => pointer.fid === fid) : recordsOf(bytes))
  const { offset, len } = place ?? { offset: 20, len: 40 }
  const field = pick(5)
  if (field === 0) bytes[offset] = oneOf(HOSTILE)
  else if (field === 1) bytes.set([0xff, 0xff, 0xff, 0xff, oneOf([0x0f, 0xff])].slice(pick(4)), offset + 2 + pick(4))
  else scribble(bytes, offset, Math.min(bytes.length, offset + (field === 2 ? 8 : field === 3 ? 40 : len)))
  const header = newRecordHeader()
  const isWhole = readRecordHeader(bytes, offset, bytes.length, bytes.length, header)
  const end = isWhole && random() < 0.8 ? offset + header.length : offset + len
  if (end <= bytes.length) writeU32BE(bytes, end - 4, crc32c(bytes.subarray(offset, end - 4)))
  return bytes
}

function recordsOf(bytes: Uint8Array): ValuePointer[] {
  const header = newRecordHeader()
  const records: ValuePointer[] = []
  for (let offset = 20; readRecordHeader(bytes, offset, bytes.length, bytes.length, header); offset += header.length) records.push({ fid: 1, offset, len: header.length })
  return records
}

function mutateRegistry(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let at = 28
  for (let left = pick(3); left > 0 && at + 8 + view.getUint32(at) < bytes.length; left--) at += 8 + view.getUint32(at)
  if (at + 8 > bytes.length) return bytes
  const length = view.getUint32(at)
  scribble(bytes, at + 8, at + 8 + length)
  if (random() < 0.2) view.setUint32(at, oneOf(HOSTILE_WORDS))
  view.setUint32(at + 4, crc32c(bytes.subarray(at + 8, at + 8 + length)))
  return bytes
}

function mutateRuns(name: string, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const footer = bytes.length - 40
  const table = Number(view.getBigUint64(footer, true))
  const at = table + 4 * pick((footer + 24 - table) / 4)
  view.setUint32(at, random() < 0.5 ? oneOf(HOSTILE_WORDS) : pick(2 ** 32), true)
  writeU32(bytes, footer + 24, crc32cRange(bytes, table, footer + 24, placeSeed(Number(name.slice(0, 6)), table)))
  return bytes
}

function scribble(bytes: Uint8Array, from: number, to: number): void {
  for (let left = 1 + pick(3); left > 0; left--) bytes[from + pick(Math.max(1, to - from))] = random() < 0.7 ? oneOf(HOSTILE) : pick(256)
}

/** Damage that knows nothing of what is in the file. */
function mutateRaw(original: Uint8Array): Uint8Array {
  const bytes = original.slice()
  const at = pick(bytes.length)
  switch (pick(6)) {
    case 0: return bytes.slice(0, at)
    case 1: return bytes.fill(oneOf([0, 0xff]), at, at + pick(200))
    case 2: return Buffer.concat([bytes, Uint8Array.from({ length: pick(400) }, () => pick(256))])
    case 3: return bytes.copyWithin(at, pick(bytes.length), pick(bytes.length))
    case 4: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(pick(bytes.length))])
    default: scribble(bytes, 0, bytes.length)
  }
  return bytes
}

async function mount(files: Image['files']): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem({ crashable: false })
  await fs.mkdir(DIR)
  for (const [name, bytes] of files) {
    const file = fs.openSync(`${DIR}/${name}`, 'create')
    writeFullySync(file, bytes, 0, bytes.length, 0)
    file.closeSync()
  }
  return fs
}

/** Everything that can be done with a directory; resolves with the codes of what was refused. @throws what is no typed error */
async function exercise(fs: MemoryFileSystem, { pointers, options, files }: Image): Promise<Set<string>> {
  const codes = new Set<string>()
  const durable = oneOf([undefined, undefined, null, { fid: 3, offset: 40 }])
  const readOnly = random() < 0.5
  const attempt = async (run: () => unknown): Promise<unknown> => {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof WkError)) throw error
      codes.add(error.code)
      return undefined
    }
  }
  const log = await attempt(() => ValueLog.open(DIR, { ...options, fs, runtime: new ManualRuntime({ seed: 7 }), durable, readOnly, salvage: readOnly && random() < 0.5, lock: false }))
  if (log instanceof ValueLog) {
    for (const pointer of pointers) await attempt(() => log.readSync(pointer))
    await attempt(() => log.readMany(pointers.slice(0, 3)))
    for (const { fid } of log.files()) await attempt(() => collect(log.iterate(fid, { salvage: random() < 0.5 })))
    await log.verify()
    if (!readOnly) await attempt(() => log.holes.finish())
    if (!readOnly) await attempt(() => log.append([{ key: 'k', value: 'v' }]))
    await attempt(() => log.close())
  }
  if (files.some(([name]) => name === '00001.mem')) await attempt(() => collect(readMemtableLog(DIR, '00001.mem', { fs, ...options })))
  return codes
}

const held = (): number => {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test.each([['structures, with their sums put right', mutateStructure], ['raw bytes', (_: string, bytes: Uint8Array) => mutateRaw(bytes)]] as const)('%s', async (_, mutate) => {
  const all = await images()
  const seen = new Map<string, number>()
  let slowest = 0
  let largest = 0
  for (let round = 0; round < CASES; round++) {
    const image = oneOf(all)
    const victim = pick(image.files.length)
    const files = image.files.map(([name, bytes], i): [string, Uint8Array] => [name, i === victim ? mutate(name, bytes, image.pointers) : bytes])
    const left = random() < 0.6 ? files.filter(([name], i) => i === victim || name !== 'VLOGSTATE') : files
    let ms = Infinity
    // A slow case is slow again: a collection or a compilation that hit it is not.
    for (let attempt = 0; ms > MAX_MS && attempt < 3; attempt++) {
      const fs = await mount(left)
      const before = held()
      const cpu = process.cpuUsage()
      const started = performance.now()
      try {
        for (const code of await exercise(fs, image)) seen.set(code, (seen.get(code) ?? 0) + 1)
      } catch (error) {
        throw new Error(`round ${round} of ${files[victim]![0]}; replay: WK_SEED=${SEED} npx vitest run test/hostile-files.test.ts`, { cause: error })
      }
      const wall = performance.now() - started
      // A busy machine stretches the clock: what counts as slow is slow by the processor's time as well.
      const { user, system } = process.cpuUsage(cpu)
      ms = Math.min(ms, wall, (user + system) / 1000)
      largest = Math.max(largest, held() - before)
    }
    slowest = Math.max(slowest, ms)
    if (slowest > MAX_MS || largest > MAX_GROWTH) break
  }
  expect(largest).toBeLessThan(MAX_GROWTH)
  expect(slowest).toBeLessThan(MAX_MS)
  // The mutations do reach the checks.
  expect(seen.get('WK_CORRUPTION')).toBeGreaterThan(CASES / 2)
  if (process.env['WK_SHOW'] !== undefined) console.log(seen, { slowest, largest })
})
