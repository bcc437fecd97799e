import { ManualRuntime, MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { recordLength, writeRecord } from '../src/record.js'
import { findRecord } from '../src/record-search.js'
import { mulberry, randomBytes, SEED } from './support/bytes.js'
import { DIR, newMemory, placeFile } from './support/memory-log.js'

async function search(bytes: Uint8Array, from = 0): Promise<number | undefined> {
  const fs: MemoryFileSystem = await newMemory()
  await placeFile(fs, 'x', bytes)
  return findRecord(fs.openSync(`${DIR}/x`, 'read'), from, bytes.length, new ManualRuntime())
}

function record(keyLength: number, valueLength: number, random: () => number): Uint8Array {
  const bytes = new Uint8Array(recordLength(keyLength, valueLength, 5))
  writeRecord(bytes, 0, randomBytes(random, keyLength), 77, 0, 1, 5, randomBytes(random, valueLength))
  return bytes
}

describe('findRecord', () => {
  const random = mulberry(SEED)

  test('finds a record at any place, of any length, in noise or zeros', async () => {
    for (const [before, keyLength, valueLength, noise] of [
      [0, 0, 0, 0], [1, 3, 10, 0], [70, 20, 5000, 1], [1000, 64_000, 1, 1], [300_000, 9, 700_000, 0], [600_123, 9, 40, 0],
      [262_140, 9, 40, 0], [262_150, 9, 300_000, 1], [5000, 8, 20, 1],
    ] as const) {
      const head = noise === 1 ? randomBytes(random, before) : new Uint8Array(before)
      const body = record(keyLength, valueLength, random)
      const tail = noise === 1 ? randomBytes(random, 50) : new Uint8Array(50)
      const bytes = Uint8Array.from([...head, ...body, ...tail])
      expect(await search(bytes), `${before}/${valueLength}`).toBe(before)
      bytes[before + body.length - 1]! ^= 1
      expect(await search(bytes), `${before}/${valueLength} damaged`).toBe(-1)
    }
  })

  test('finds nothing in noise, zeros, a cut record, or an empty stretch', async () => {
    expect(await search(new Uint8Array(0))).toBe(-1)
    expect(await search(new Uint8Array(900_000))).toBe(-1)
    expect(await search(randomBytes(random, 900_000))).toBe(-1)
    expect(await search(record(5, 300, random).slice(0, -1))).toBe(-1)
  })

  test('stays linear where every byte claims to start a long record', async () => {
    // 08 08 08 ... : key of 8 bytes, value of 8 bytes, but no version of 0xff at its end.
    const bytes = new Uint8Array(200_000).fill(8)
    const started = performance.now()
    expect(await search(bytes)).toBe(-1)
    // Every byte a candidate: the version is all ones, the value length long.
    const claims = new Uint8Array(60_000)
    for (let i = 0; i < claims.length; i++) claims[i] = [0xff, 0xff, 8, 0x80 | 1, 2, 0][i % 6]!
    expect(await search(claims)).toBe(-1)
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
