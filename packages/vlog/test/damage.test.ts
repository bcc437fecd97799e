import { CorruptionError, encodePointer, decodePointer } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { mulberry, SEED } from './support/bytes.js'
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
