import { CorruptionError, WrongKeyError } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ValueLogOptions } from '../src/index.js'
import { hex, mulberry, SEED } from './support/bytes.js'
import {
  appendAll, collect, DIR, entryOf, failureOf, newMemory, openLog, placeFile, readFile, type Kept,
} from './support/memory-log.js'

let whole: Uint8Array
let kept: Kept[]

beforeAll(async () => {
  const fs = await newMemory()
  const log = await openLog(fs, { fileSize: 100_000 })
  const random = mulberry(SEED)
  kept = await appendAll(log, Array.from({ length: 12 }, () => entryOf(random, 90)))
  await log.close()
  whole = readFile(fs, '000001.vlog')
})

const ends = (): number[] => [20, ...kept.map(({ pointer }) => pointer.offset + pointer.len)]
const endBefore = (at: number): number => Math.max(...ends().filter((end) => end <= at))

async function image(bytes: Uint8Array, more: Record<string, Uint8Array> = {}): Promise<MemoryFileSystem> {
  const fs = await newMemory()
  await placeFile(fs, '000001.vlog', bytes)
  for (const [name, content] of Object.entries(more)) await placeFile(fs, name, content)
  return fs
}

async function expectCut(bytes: Uint8Array, validEnd: number, options: ValueLogOptions = {}): Promise<void> {
  for (const readOnly of [true, false]) {
    const fs = await image(bytes)
    const log = await openLog(fs, { ...options, readOnly })
    expect(log.cutBytes).toBe(bytes.length - validEnd)
    const records = kept.filter(({ pointer }) => pointer.offset + pointer.len <= validEnd)
    expect(await collect(log.iterate(1))).toHaveLength(records.length)
    for (const { entry, pointer } of records) expect(log.readSync(pointer).value).toEqual(entry.value)
    for (const { pointer } of kept.slice(records.length)) expect(() => log.readSync(pointer)).toThrow(CorruptionError)
    expect(log.maxVersion).toBe(Math.max(0, ...records.map(({ entry }) => entry.version)))
    await log.close()
    expect(readFile(fs, '000001.vlog').length).toBe(readOnly ? bytes.length : validEnd)
    if (readOnly) expect(await fs.list(DIR)).toEqual(['000001.vlog'])
  }
}

async function expectDamage(bytes: Uint8Array, offset: number, options: ValueLogOptions = {}): Promise<void> {
  const fs = await image(bytes)
  const failure = await failureOf(openLog(fs, options))
  expect(failure).toBeInstanceOf(CorruptionError)
  expect(failure).toMatchObject({ file: '000001.vlog', offset })
  expect(hex(readFile(fs, '000001.vlog'))).toBe(hex(bytes))
}

describe('the tail of the newest file, without any promise', () => {
  test('torn at every length: cut to the last whole record, and what is left is durable', async () => {
    for (let length = 0; length <= whole.length; length++) {
      const validEnd = length < 20 ? 0 : endBefore(length)
      await expectCut(whole.slice(0, length), validEnd)
    }
  })

  test('a tail of zeros or noise is cut', async () => {
    for (const tail of [new Uint8Array(1), new Uint8Array(5000), Uint8Array.from({ length: 700 }, (_, i) => (i * 89) & 0xff)]) {
      await expectCut(Uint8Array.from([...whole, ...tail]), whole.length)
    }
  })

  test('a flipped byte with a valid record behind it is damage; in the last record it is a tail', async () => {
    const lastStart = kept.at(-1)!.pointer.offset
    for (let at = 20; at < whole.length; at++) {
      const bytes = whole.slice()
      bytes[at]! ^= 0x40
      if (at < lastStart) await expectDamage(bytes, endBefore(at))
      else await expectCut(bytes, lastStart)
    }
  })

  test('the cut is durable before anything is appended, and nothing is appended to the old file', async () => {
    const fs = await image(whole.slice(0, -3))
    const log = await openLog(fs)
    expect(log.cutBytes).toBe(kept.at(-1)!.pointer.len - 3)
    expect(readFile(fs.crashClone('P0'), '000001.vlog').length).toBe(kept.at(-1)!.pointer.offset)
    const [pointer] = await log.append([{ key: 'k', value: 'v' }])
    expect(pointer).toEqual({ fid: 2, offset: 20, len: 19 })
    await log.close()
  })
})

describe('the tail under a promise of the host', () => {
  test('damage below the durable place is corruption, from there on a tail, whatever follows', async () => {
    const third = kept[3]!.pointer.offset
    for (let at = 20; at < whole.length; at += 7) {
      const bytes = whole.slice()
      bytes[at]! ^= 1
      const durable = { fid: 1, offset: third }
      if (at < third) await expectDamage(bytes, endBefore(at), { durable })
      else await expectCut(bytes, endBefore(at), { durable })
      await expectCut(bytes, endBefore(at), { durable: null })
    }
  })

  test('fewer bytes than were durable is corruption even at a record boundary', async () => {
    const cut = kept[5]!.pointer.offset
    await expectDamage(whole.slice(0, cut), cut, { durable: { fid: 1, offset: kept[6]!.pointer.offset } })
    await expectCut(whole.slice(0, cut), cut, { durable: { fid: 1, offset: cut } })
  })

  test('a durable file that is gone is corruption without an offset', async () => {
    const failure = await failureOf(openLog(await image(whole), { durable: { fid: 9, offset: 20 } }))
    expect(failure).toMatchObject({ code: 'WK_CORRUPTION', file: '000009.vlog', offset: undefined })
  })

  test('a clean end is exact', async () => {
    const clean = { fid: 1, size: whole.length }
    const log = await openLog(await image(whole), { cleanEnd: clean })
    expect([log.cutBytes, log.maxVersion]).toEqual([0, 0])
    expect(log.readSync(kept[0]!.pointer).value).toEqual(kept[0]!.entry.value)
    await log.close()
    await expectDamage(whole.slice(0, -1), whole.length - 1, { cleanEnd: clean })
    await expectDamage(Uint8Array.from([...whole, 0]), whole.length, { cleanEnd: clean })
    expect(await failureOf(openLog(await image(whole), { cleanEnd: { fid: 2, size: 20 } }))).toMatchObject({ file: '000002.vlog' })
    const newer = await image(whole, { '000002.vlog': whole })
    expect(await failureOf(openLog(newer, { cleanEnd: clean }))).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog' })
  })

  test('a log that stands alone remembers its clean end: then any shortening of any length is corruption', async () => {
    const fs = await newMemory()
    const log = await openLog(fs)
    await log.append([{ key: 'a', value: 'b' }, { key: 'c', value: 'd' }])
    await log.close()
    const bytes = readFile(fs, '000001.vlog')
    const state = readFile(fs, 'VLOGSTATE')
    for (let length = 0; length < bytes.length; length++) {
      const cut = await image(bytes.slice(0, length), { VLOGSTATE: state })
      expect(await failureOf(openLog(cut)), `${length}`).toBeInstanceOf(CorruptionError)
    }
    // The same for a file that has a successor since.
    const sealed = await image(bytes.slice(0, 39), { VLOGSTATE: state, '000002.vlog': whole })
    expect(await failureOf(openLog(sealed))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: 39 })
  })
})

describe('other files', () => {
  test('R4: an empty file is no reason to fail; it goes unless it bears the highest number', async () => {
    for (const content of [new Uint8Array(0), whole.slice(0, 20)]) {
      const fs = await image(whole, { '000007.vlog': content, '000003.vlog': content })
      const log = await openLog(fs)
      expect(await fs.list(DIR)).toEqual(['000001.vlog', '000007.vlog', 'LOCK'])
      const [pointer] = await log.append([{ key: 'k', value: 'v' }])
      expect(pointer?.fid).toBe(8)
      await log.close()
      const again = await openLog(fs)
      expect(await fs.list(DIR)).toEqual(['000001.vlog', '000008.vlog', 'LOCK', 'VLOGSTATE'])
      expect(again.readSync(kept[0]!.pointer).value).toEqual(kept[0]!.entry.value)
      await again.close()
    }
  })

  test('foreign names keep their bytes, ours that hold nothing go', async () => {
    const foreign = ['1.vlog', '0000001.vlog', '000000.vlog', '000002.VLOG', 'x.tmp', 'CURRENT.tmp', '000003.sst', 'notes']
    const more = Object.fromEntries([...foreign, '000009.rlog.tmp', 'VLOGSTATE.tmp'].map((name) => [name, Uint8Array.of(1, 2, 3)]))
    const fs = await image(whole, more)
    const log = await openLog(fs)
    await log.close()
    expect(await fs.list(DIR)).toEqual([...foreign, '000001.vlog', 'LOCK', 'VLOGSTATE'].sort())
    for (const name of foreign) expect(hex(readFile(fs, name))).toBe('010203')
  })

  test('a sealed file that ends inside its header, or names a data key', async () => {
    const cut = await image(whole.slice(0, 11), { '000002.vlog': whole })
    expect(await failureOf(openLog(cut))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: 11 })
    const keyed = whole.slice()
    keyed[7] = 1
    expect(await failureOf(openLog(await image(keyed)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: 0 })
    const encrypted = await image(keyed, { KEYREGISTRY: new Uint8Array(100) })
    expect(await failureOf(openLog(encrypted))).toBeInstanceOf(WrongKeyError)
  })
})
