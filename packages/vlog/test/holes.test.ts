/** Long dead ranges that come back in place: what is alive stays where it is, what is not is gone for every reader, whatever comes between. */
import { CorruptionError } from '@wk/codec'
import { CRASH_POLICIES, FaultFileSystem, MemoryFileSystem, type FileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { RecordRanges, ValueLog, ValueLogOptions } from '../src/index.js'
import { mulberry, randomBytes, SEED } from './support/bytes.js'
import { appendAll, collect, DIR, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

const LEAST = 8192
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i)

/** A host with durable marks, which says what it refers to. */
const host = (...fids: number[]): ValueLogOptions => ({ durable: { fid: 1, offset: 20 }, lock: false, expectedFids: new Set(fids) })

/** Files 1 to 3 sealed and 4 active, of six records each, 10,000 bytes long but for the third of each. */
async function prepare(fs: FileSystem, options: ValueLogOptions = {}): Promise<{ log: ValueLog; kept: Kept[] }> {
  const log = await openLog(fs, { maxEntries: 5, fileSize: 1 << 20, durable: null, lock: false, ...options })
  const random = mulberry(SEED)
  const entries = Array.from({ length: 20 }, (_, i) => ({ key: randomBytes(random, 12), version: i + 1, meta: 0, userMeta: 0, expiresAt: 0, value: randomBytes(random, i % 6 === 2 ? 50 : 10_000) }))
  const kept = await appendAll(log, entries, 1)
  await log.sync()
  return { log, kept }
}

const inFile = (kept: readonly Kept[], ...fids: number[]): Kept[] => kept.filter(({ pointer }) => fids.includes(pointer.fid))

function rangesOf(kept: readonly Kept[]): Map<number, RecordRanges> {
  const ranges = new Map<number, RecordRanges>()
  for (const fid of new Set(kept.map(({ pointer }) => pointer.fid))) {
    const pointers = inFile(kept, fid).map(({ pointer }) => pointer)
    ranges.set(fid, { offsets: Uint32Array.from(pointers, ({ offset }) => offset), lengths: Uint32Array.from(pointers, ({ len }) => len) })
  }
  return ranges
}

/** Punches what is not `live` out of a physical file; the bytes that came back. */
async function punch(log: ValueLog, number: number, live: readonly Kept[]): Promise<number> {
  const plan = log.holes.plan(number, rangesOf(live), LEAST)
  if (plan === undefined) return 0
  return (await log.holes.punch([plan])).reduce((sum, { bytes }) => sum + bytes, 0)
}

function expectReadable(log: ValueLog, live: readonly Kept[], gone: readonly Kept[] = []): void {
  for (const { entry, pointer } of live) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
  for (const { pointer } of gone) expect(() => log.readSync(pointer)).toThrow(CorruptionError)
}

async function allocated(fs: FileSystem, name: string): Promise<number> {
  const file = await fs.open(`${DIR}/${name}`, 'read')
  const { allocated: bytes } = await file.usage()
  await file.close()
  return bytes
}

/** Of file 1: records 0 and 1 are dead side by side, and 4; record 2 is short and dead between two that live. */
const LIVE = (kept: readonly Kept[], fid = 1): Kept[] => inFile(kept, fid).filter((_, i) => i === 3 || i === 5)
const GONE = (kept: readonly Kept[], fid = 1): Kept[] => inFile(kept, fid).filter((_, i) => i < 3 || i === 4)

describe('holes', () => {
  test.each(['create', 'write', 'sync', 'punch', 'usage', 'close', 'remove', 'rename'] as const)('are made at the next attempt after a failed %s, at their trial or their list', async (operation) => {
    for (let index = 0; index < 3; index++) {
      const memory = await newMemory()
      const fs = new FaultFileSystem(memory)
      const { log, kept } = await prepare(fs)
      fs.add({ operation, path: '.runs.tmp', index, errno: 'EIO' })
      const first = await punch(log, 1, LIVE(kept)).catch(() => 0)
      fs.clear()
      expect(first > 0 ? first : await punch(log, 1, LIVE(kept)), `${operation} ${index}`).toBeGreaterThan(0)
      expectReadable(log, LIVE(kept), GONE(kept))
      await log.close()
      expect((await memory.list(DIR)).filter((name) => name.endsWith('.tmp'))).toEqual([])
    }
  })

  test('give room back and keep size and addresses; dead records are gone for reads, walks, verify and the next open', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    const size = readFile(fs, '000001.vlog').length
    const before = await allocated(fs, '000001.vlog')
    const bytes = await punch(log, 1, LIVE(kept))
    expect(bytes).toBe(16_384)
    expect(bytes % 4096).toBe(0)
    expect(readFile(fs, '000001.vlog').length).toBe(size)
    expect(before - (await allocated(fs, '000001.vlog'))).toBe(bytes)
    for (let opening = 0; opening < 2; opening++) {
      const now = opening === 0 ? log : await openLog(fs, host(1, 2, 3, 4))
      expectReadable(now, [...LIVE(kept), ...inFile(kept, 2, 3, 4)], GONE(kept))
      const info = now.physicalFiles()[0]!
      expect(info).toMatchObject({ number: 1, relocated: false, size, holeBytes: bytes, listBytes: readFile(fs, '000001.runs').length, logical: [1], runs: 2, sealed: true })
      expect(info.recordBytes).toBe(size - 20 - bytes)
      expect((await collect(now.iterate(1))).map(({ pointer }) => pointer)).toEqual(LIVE(kept).map(({ pointer }) => pointer))
      expect(await now.verify()).toMatchObject({ ok: true, records: 16 })
      expect((await collect(now.recordsFrom({ fid: 1, offset: 20 }))).every(({ pointer }) => pointer.fid > 1)).toBe(true)
      expect(now.directPlaces(1)).toBeUndefined()
      await now.close()
    }
    expect(await fs.list(DIR)).not.toContain('000001.runs.tmp')
  })

  test('dead ranges that are too short stay; there is nothing to do where nothing would come back', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    expect(log.holes.plan(1, rangesOf(inFile(kept, 1).filter((_, i) => i !== 2)), LEAST)).toBeUndefined()
    expect(log.holes.plan(1, rangesOf(LIVE(kept)), 30_000)).toBeUndefined()
    expect(log.holes.plan(4, new Map(), LEAST), 'not sealed').toBeUndefined()
    expect(log.holes.plan(1, new Map(), LEAST), 'nothing is alive').toBeUndefined()
    expect(log.holes.plan(77, new Map(), LEAST)).toBeUndefined()
    expect(await failureOf(log.holes.punch([{ number: 1, bytes: 4096 }]))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    const short = inFile(kept, 2).filter((_, i) => i !== 4)
    expect(await punch(log, 2, short)).toBe(4096)
    expect(await punch(log, 2, short), 'a second time').toBe(0)
    expect(await punch(log, 2, short.slice(1))).toBeGreaterThan(0)
    expectReadable(log, short.slice(1), inFile(kept, 2).filter((_, i) => i === 0 || i === 4))
    await log.close()
  })

  test('wait for reads that were under way, and are made at their end', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    const before = await allocated(fs, '000001.vlog')
    const walk = log.iterate(1)
    const first = await walk.next()
    const bytes = await punch(log, 1, LIVE(kept))
    expect(bytes).toBeGreaterThan(0)
    expect(await allocated(fs, '000001.vlog')).toBe(before)
    expect(log.passingBytes).toBe(bytes)
    const seen = [first.value!, ...(await collect(walk))]
    expect(seen.map(({ entry }) => lineOf(entry))).toEqual(inFile(kept, 1).map(({ entry }) => lineOf(entry)))
    await log.close()
    expect(before - (await allocated(fs, '000001.vlog'))).toBe(bytes)
  })

  test('a file with a second name is left alone', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    await fs.link(`${DIR}/000001.vlog`, '/second')
    expect(await punch(log, 1, LIVE(kept))).toBe(0)
    expectReadable(log, inFile(kept, 1))
    expect((await fs.list(DIR)).filter((name) => /runs/.test(name))).toEqual([])
    await fs.remove('/second')
    expect(await punch(log, 1, LIVE(kept))).toBeGreaterThan(0)
    await log.close()
  })

  test('nothing happens where files have no holes, and the trial leaves nothing behind', async () => {
    const inner = await newMemory()
    const fs = new FaultFileSystem(inner)
    const { log, kept } = await prepare(fs)
    const { punch: real } = Object.getPrototypeOf(await inner.open(`${DIR}/000001.vlog`, 'update')) as { punch: () => Promise<void> }
    expect(typeof real).toBe('function')
    const idle = new Proxy(inner, {
      get(target, name) {
        if (name !== 'open') return typeof target[name as keyof MemoryFileSystem] === 'function' ? (target[name as keyof MemoryFileSystem] as () => unknown).bind(target) : target[name as keyof MemoryFileSystem]
        return async (path: string, mode: 'read' | 'create' | 'update') => {
          const file = await target.open(path, mode)
          file.punch = async () => undefined
          return file
        }
      },
    })
    await log.close()
    const again = await openLog(idle, host(1, 2, 3, 4))
    expect(await again.holes.isSupported()).toBe(false)
    expect(again.holes.isRefused).toBe(true)
    expect(await punch(again, 1, LIVE(kept))).toBe(0)
    expectReadable(again, inFile(kept, 1))
    await again.close()
    expect((await inner.list(DIR)).filter((name) => /runs/.test(name))).toEqual([])
  })

  test('a relocation takes what is left, and the list goes after the file', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    await punch(log, 1, LIVE(kept))
    expect(await fs.list(DIR)).toContain('000001.runs')
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of LIVE(kept)) await relocation.copy(fid, offset, len)
    await relocation.finish()
    expect((await fs.list(DIR)).filter((name) => /000001/.test(name))).toEqual([])
    expectReadable(log, LIVE(kept), GONE(kept))
    await log.close()
  })

  test('in relocated files with a direct address both addresses know the holes', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    const relocation = await log.createRelocation()
    const moved = inFile(kept, 1, 2)
    for (const { pointer: { fid, offset, len } } of moved) await relocation.copy(fid, offset, len)
    const number = (await relocation.finish()).number!
    const { starts, positions } = log.directPlaces(1)!
    const direct = inFile(moved, 1).map(({ entry, pointer }) => ({ entry, pointer: { ...pointer, fid: number, offset: positions[0]! + pointer.offset - starts[0]! } }))
    // The host refers to file 1 by the new address only, to file 2 by the old one.
    const live = [direct[3]!, direct[5]!, ...LIVE(moved, 2)]
    const bytes = await punch(log, number, live)
    expect(bytes).toBeGreaterThan(40_000)
    for (let opening = 0; opening < 2; opening++) {
      const now = opening === 0 ? log : await openLog(fs, host(2, 3, 4, number))
      expectReadable(now, [...live, ...LIVE(moved, 1)], [direct[0]!, direct[4]!, ...GONE(moved, 1), ...GONE(moved, 2)])
      expect(now.physicalFiles().find((file) => file.number === number)).toMatchObject({ logical: [1, 2, number], holeBytes: bytes })
      expect(await now.verify()).toMatchObject({ ok: true, records: 4 + inFile(kept, 3, 4).length })
      await now.close()
    }
  })

  test('a relocated file with holes gets no new address', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of inFile(kept, 1)) await relocation.copy(fid, offset, len)
    const number = (await relocation.finish()).number!
    expect(await punch(log, number, LIVE(kept))).toBeGreaterThan(0)
    expect(log.directPlaces(1)).toBeUndefined()
    expectReadable(log, LIVE(kept), GONE(kept))
    await log.close()
    const again = await openLog(fs, { ...host(1, 2, 3, 4), salvage: true, readOnly: true })
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test.each([undefined, 'lz4'] as const)('encrypted records stay where they are and readable (%s)', async (valueCompression) => {
    const fs = await newMemory()
    const options: ValueLogOptions = { encryptionKey: KEY, ...(valueCompression === undefined ? {} : { valueCompression }) }
    const { log, kept } = await prepare(fs, options)
    expect(await punch(log, 1, LIVE(kept))).toBeGreaterThan(0)
    await log.close()
    const again = await openLog(fs, { ...host(1, 2, 3, 4), ...options })
    expectReadable(again, [...LIVE(kept), ...inFile(kept, 2, 3)], GONE(kept))
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test('the newest file may have some: it is not taken for one with a torn tail', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    await log.seal()
    expect(await punch(log, 4, inFile(kept, 4).slice(1))).toBeGreaterThan(0)
    const image = fs.crashClone('P1')
    await log.close()
    for (const marks of [{ durable: null }, { durable: { fid: 4, offset: 20 } }]) {
      const again = await openLog(image, { ...host(1, 2, 3, 4), ...marks })
      expect(again.cutBytes).toBe(0)
      expectReadable(again, inFile(kept, 4).slice(1), inFile(kept, 4).slice(0, 1))
      await again.close()
    }
  })

  test('a list that does not verify is damage, in its own name; one without a file goes', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    await punch(log, 1, LIVE(kept))
    await log.close()
    const bytes = readFile(fs, '000001.runs')
    for (const length of [0, 10, 59, bytes.length - 1]) {
      await placeFile(fs, '000001.runs', bytes.slice(0, length))
      expect(await failureOf(openLog(fs, host(1, 2, 3, 4)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.runs' })
    }
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice()
      damaged[at]! ^= 1
      await placeFile(fs, '000001.runs', damaged)
      expect(await failureOf(openLog(fs, host(1, 2, 3, 4)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.runs' })
    }
    const salvaging = await openLog(fs, { ...host(1, 2, 3, 4), salvage: true, readOnly: true })
    expect(salvaging.unreadable).toEqual(['000001.vlog'])
    await salvaging.close()
    await placeFile(fs, '000001.runs', bytes)
    await placeFile(fs, '000002.runs', bytes)
    expect(await failureOf(openLog(fs, host(1, 2, 3, 4))), 'a copy under another number').toMatchObject({ file: '000002.runs' })
    await fs.remove(`${DIR}/000002.runs`)
    await placeFile(fs, '000099.runs', bytes)
    await placeFile(fs, '000003.runs.tmp', bytes)
    const readOnly = await openLog(fs, { ...host(1, 2, 3, 4), readOnly: true })
    expectReadable(readOnly, LIVE(kept), GONE(kept))
    await readOnly.close()
    expect(await fs.list(DIR)).toContain('000099.runs')
    await (await openLog(fs, host(1, 2, 3, 4))).close()
    expect((await fs.list(DIR)).filter((name) => /runs/.test(name))).toEqual(['000001.runs'])
  })

  test('a failed hole costs nothing but room, and is made later; a failed list changes nothing', async () => {
    const inner = await newMemory()
    const fs = new FaultFileSystem(inner)
    const { log, kept } = await prepare(fs)
    expect(await log.holes.isSupported()).toBe(true)
    for (const [operation, path] of [['create', 'runs'], ['write', 'runs'], ['sync', 'runs'], ['rename', 'runs']] as const) {
      fs.add({ operation, path })
      expect(await failureOf(punch(log, 1, LIVE(kept))), operation).toMatchObject({ code: 'WK_IO' })
      expectReadable(log, inFile(kept, 1))
      expect((await inner.list(DIR)).filter((name) => /runs/.test(name))).toEqual([])
      expect(log.physicalFiles()[0]).toMatchObject({ listBytes: 0, holeBytes: 0 })
    }
    const before = await allocated(inner, '000001.vlog')
    fs.add({ operation: 'punch', errno: 'ENOSPC' })
    expect(await failureOf(punch(log, 1, LIVE(kept)))).toMatchObject({ code: 'WK_IO' })
    expect(await allocated(inner, '000001.vlog')).toBe(before)
    expectReadable(log, LIVE(kept), GONE(kept))
    await log.removeStrays()
    expect(await allocated(inner, '000001.vlog')).toBeLessThan(before)
    fs.add({ operation: 'syncDir' })
    expect(await failureOf(punch(log, 2, LIVE(kept, 2)))).toMatchObject({ code: 'WK_IO' })
    expect(await failureOf(punch(log, 3, LIVE(kept, 3))), 'a commit of unknown outcome').toMatchObject({ code: 'WK_READ_ONLY' })
    expectReadable(log, inFile(kept, 2))
    await log.close()
  })

  test('at every operation of a punch, under every policy: what is alive is there, and nothing is damaged', async () => {
    const fs = await newMemory()
    const { log, kept } = await prepare(fs)
    const images: { image: MemoryFileSystem; isListed: boolean }[] = []
    let isListed = false
    fs.onMutatingOperation = (_, { kind }) => {
      // Which names are lost together is a matter of luck.
      const seeds = Array.from({ length: kind === 'syncDir' ? 20 : 1 }, (__, i) => i + 1)
      for (const policy of CRASH_POLICIES) for (const seed of policy === 'P3' ? seeds : [1]) images.push({ image: fs.crashClone(policy, seed), isListed })
    }
    await punch(log, 1, inFile(kept, 1).filter((_, i) => i !== 0))
    await punch(log, 1, LIVE(kept))
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of LIVE(kept)) await relocation.copy(fid, offset, len)
    await relocation.finish()
    // A file that nobody refers to any more: where a crash brings it back, its list has to come with it.
    await punch(log, 2, LIVE(kept, 2))
    isListed = true
    await log.dropLogical([2])
    fs.onMutatingOperation = undefined
    await log.close()
    expect(images.length).toBeGreaterThan(200)
    for (const { image, isListed: mustBeListed } of images) {
      let given = 0
      const names = await image.list(DIR)
      if (mustBeListed && names.includes('000002.vlog')) expect(names).toContain('000002.runs')
      for (let opening = 0; opening < 2; opening++) {
        const again = await openLog(image, { ...host(1, 3, 4), durable: { fid: 4, offset: 20 } })
        expectReadable(again, [...LIVE(kept), ...inFile(kept, 3, 4)])
        await again.holes.finish()
        given = again.physicalFiles().find(({ number }) => number === 1)?.holeBytes ?? 0
        expect(await again.verify()).toMatchObject({ ok: true })
        await again.close()
      }
      // What a crash left to do was done.
      if (given > 0) expect(await allocated(image, '000001.vlog')).toBeLessThanOrEqual(Math.ceil(readFile(image, '000001.vlog').length / 4096) * 4096 - given)
    }
  })
})
