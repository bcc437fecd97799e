import { CorruptionError, WkError, crc32c, encodePointer, decodePointer } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { writeU32BE } from '../src/record.js'
import { mulberry, RUNS, SEED } from './support/bytes.js'
import { appendAll, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

interface Image {
  files: Map<string, Uint8Array>
  kept: Kept[]
}

/** Two plain files, then both relocated where asked; the last file is the newest. */
async function build(relocate: boolean): Promise<Image> {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 5, fileSize: 1 << 20 })
  const random = mulberry(SEED)
  const kept = await appendAll(log, Array.from({ length: 20 }, () => entryOf(random, 60)), 1)
  if (relocate) {
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of kept) if (fid < 3 && offset % 3 !== 0) await relocation.copy(fid, offset, len)
    await relocation.finish()
  }
  await log.close()
  const files = new Map<string, Uint8Array>()
  for (const name of await fs.list('/log')) if (name !== 'LOCK') files.set(name, readFile(fs, name))
  return { files, kept }
}

async function mount(files: Map<string, Uint8Array>): Promise<MemoryFileSystem> {
  const fs = await newMemory()
  for (const [name, bytes] of files) await placeFile(fs, name, bytes)
  return fs
}

/** Opens and reads everything: each record is identical or a CorruptionError; nothing else may happen. */
async function judge(fs: MemoryFileSystem, kept: Kept[], options = {}): Promise<{ damaged: number; opened: boolean }> {
  let log: ValueLog
  try {
    log = await openLog(fs, options)
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptionError)
    expect((error as CorruptionError).file).toBeDefined()
    return { damaged: 0, opened: false }
  }
  let damaged = 0
  for (const { entry, pointer: { fid, offset, len } } of kept) {
    try {
      const value = log.readValueSync(fid, offset, len, entry.key, entry.version)
      if (Buffer.compare(value, entry.value) !== 0) throw new Error('a wrong value')
      const whole = log.readSync({ fid, offset, len })
      if (lineOf(whole) !== lineOf(entry)) throw new Error('a wrong record')
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      damaged++
    }
  }
  const report = await log.verify()
  for (const problem of report.problems) expect(problem).toMatchObject({ code: 'WK_CORRUPTION', file: expect.any(String) as string })
  await log.close()
  return { damaged, opened: true }
}

describe('flipped bytes', () => {
  test.each([false, true])('every byte of every sealed file, relocated: %s', async (relocate) => {
    const { files, kept } = await build(relocate)
    const baseline = await judge(await mount(files), kept)
    const sealed = [...files.keys()].filter((name) => name !== '000004.vlog')
    let detected = 0
    for (const name of sealed) {
      const bytes = files.get(name)!
      for (let at = 0; at < bytes.length; at++) {
        const flipped = bytes.slice()
        flipped[at]! ^= at % 2 === 0 ? 0xff : 0x01
        const { damaged, opened } = await judge(await mount(new Map(files).set(name, flipped)), kept)
        const isBaseIv = name.endsWith('.vlog') && at >= 8 && at < 20
        if (isBaseIv) expect([damaged, opened]).toEqual([baseline.damaged, true])
        else expect(opened === false || damaged === baseline.damaged + 1, `${name} at ${at}`).toBe(true)
        if (!isBaseIv) detected++
      }
    }
    expect(detected).toBeGreaterThan(1000)
  })
})

describe('hostile pointers', () => {
  test('R7: lengths are added in 64 bits and checked before anything is allocated', async () => {
    const { files, kept } = await build(true)
    const log = await openLog(await mount(files))
    const { pointer, entry } = kept.at(-1)!
    const key = entry.key
    const pointers = [
      { ...pointer, offset: 100, len: 0xffff_ffff },
      { ...pointer, offset: 0xffff_ffff, len: 0xffff_ffff },
      { ...pointer, offset: 0 },
      { ...pointer, offset: 19 },
      { ...pointer, len: 0 },
      { ...pointer, len: 16 },
      { ...pointer, len: pointer.len - 1 },
      { ...pointer, len: pointer.len + 1 },
      { ...pointer, offset: pointer.offset + 1 },
      { ...pointer, fid: 99 },
      ...[1, 2].map((fid) => ({ fid, offset: 0xffff_fff0, len: 0xff })),
      { fid: 1, offset: 20, len: 2 ** 31 },
    ]
    for (const bad of pointers) {
      expect(() => log.readSync(bad), JSON.stringify(bad)).toThrow(CorruptionError)
      expect(() => log.readValueSync(bad.fid, bad.offset, bad.len, key, entry.version)).toThrow(CorruptionError)
      expect(await failureOf(log.read(decodePointer(encodePointer(bad))))).toBeInstanceOf(CorruptionError)
      expect(await failureOf(log.readMany([pointer, bad]))).toBeInstanceOf(CorruptionError)
      expect(log.checkPointer(bad.fid, bad.offset, bad.len, key, entry.version)).toBe(false)
    }
    expect(log.checkPointer(pointer.fid, pointer.offset, pointer.len, key, entry.version)).toBe(true)
    expect(log.checkPointer(pointer.fid, pointer.offset, pointer.len, key, entry.version + 1)).toBe(false)
    expect(() => log.readValueSync(pointer.fid, pointer.offset, pointer.len, key.slice(1), entry.version)).toThrow('another key')
    for (const odd of [{ fid: 0, offset: 1, len: 1 }, { fid: 1.5, offset: 20, len: 20 }, { fid: 1, offset: -1, len: 20 }]) {
      expect(() => log.readSync(odd)).toThrow('not a value pointer')
    }
    await log.close()
  })
})

describe('structure-aware mutations', () => {
  const HOSTILE = [0, 1, 0x7f, 0x80, 0xff, 7, 8]

  /** Changes one field of one record and puts its checksum right again, in half of the cases. */
  function mutate(bytes: Uint8Array, kept: Kept[], fid: number, random: () => number): Uint8Array {
    const pick = (n: number): number => Math.floor(random() * n)
    const records = kept.filter(({ pointer }) => pointer.fid === fid)
    const { pointer: { offset, len } } = records[pick(records.length)]!
    const mutated = bytes.slice()
    const kind = pick(6)
    if (kind === 0) mutated[offset + pick(7)] = HOSTILE[pick(HOSTILE.length)]!
    else if (kind === 1) mutated.set(Uint8Array.of(0xff, 0xff, 0xff, 0xff, random() < 0.5 ? 0x0f : 0xff), offset + 2 + pick(3))
    else if (kind === 2) mutated.copyWithin(offset, records[pick(records.length)]!.pointer.offset, records[pick(records.length)]!.pointer.offset + pick(80))
    else if (kind === 3) mutated.fill(random() < 0.5 ? 0 : 0xff, offset + pick(len), offset + len + pick(40))
    else if (kind === 4) return mutated.slice(0, offset + pick(len))
    else mutated[offset + pick(len)]! ^= 1 << pick(8)
    if (random() < 0.5) writeU32BE(mutated, offset + len - 4, crc32c(mutated.subarray(offset, offset + len - 4)))
    return mutated
  }

  test('of plain files: typed errors or records that verify, soon', async () => {
    const { files, kept } = await build(false)
    const random = mulberry(SEED)
    for (let round = 0; round < 3000 * RUNS; round++) {
      const fid = 1 + Math.floor(random() * 4)
      const name = `00000${fid}.vlog`
      const image = new Map(files).set(name, mutate(files.get(name)!, kept, fid, random))
      if (random() < 0.5) image.delete('VLOGSTATE')
      const fs = await mount(image)
      const durable = [undefined, null, { fid: 4, offset: 60 }][Math.floor(random() * 3)]
      const started = performance.now()
      const log = await openLog(fs, { durable }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(CorruptionError)
        return undefined
      })
      if (log === undefined) continue
      for (const { pointer } of kept) {
        try {
          log.readSync(pointer)
        } catch (error) {
          expect(error).toBeInstanceOf(WkError)
        }
      }
      await log.verify()
      await log.close()
      expect(performance.now() - started, `round ${round}, replay: WK_SEED=${SEED}`).toBeLessThan(1000)
    }
  })

  test('of relocated files and the state file: refused or harmless', async () => {
    const { files, kept } = await build(true)
    const random = mulberry(SEED + 1)
    for (let round = 0; round < 1500 * RUNS; round++) {
      const name = random() < 0.7 ? '000005.rlog' : 'VLOGSTATE'
      const bytes = files.get(name)!.slice(0, random() < 0.2 ? Math.floor(random() * 400) : undefined)
      for (let i = Math.floor(random() * 4); i >= 0; i--) {
        const at = random() < 0.5 ? bytes.length - 1 - Math.floor(random() * 200) : Math.floor(random() * bytes.length)
        bytes[Math.max(0, at)] = HOSTILE[Math.floor(random() * HOSTILE.length)]!
      }
      await judge(await mount(new Map(files).set(name, bytes)), kept)
    }
  })
})
