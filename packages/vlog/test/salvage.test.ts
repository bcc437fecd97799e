import { CorruptionError } from '@wk/codec'
import type { MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { SkippedDamage } from '../src/index.js'
import { SEED, hex, mulberry } from './support/bytes.js'
import { appendAll, collect, DIR, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

const random = mulberry(SEED)
const KEY = new Uint8Array(16).fill(9)

async function prepare(encryptionKey?: Uint8Array, files = 1): Promise<{ fs: MemoryFileSystem; kept: Kept[] }> {
  const fs = await newMemory()
  const log = await openLog(fs, { fileSize: 1 << 20, encryptionKey, maxEntries: files === 1 ? 1000 : 11 })
  const kept = await appendAll(log, Array.from({ length: 12 * files }, () => entryOf(random, 300)))
  await log.close()
  return { fs, kept }
}

async function damageRecords(fs: MemoryFileSystem, name: string, victims: Kept[]): Promise<void> {
  const bytes = readFile(fs, name)
  for (const { pointer: { offset, len } } of victims) bytes[offset + len - 1]! ^= 0xff
  await placeFile(fs, name, bytes)
}

describe.each([['plain', undefined], ['encrypted', KEY]])('salvage of a %s log', (_, encryptionKey) => {
  test('a sealed file: records behind damage, and what was passed over', async () => {
    const { fs, kept } = await prepare(encryptionKey, 2)
    const first = kept.filter(({ pointer: { fid } }) => fid === 1)
    const victims = [first[0]!, first[3]!, first[4]!, first.at(-1)!]
    await damageRecords(fs, '000001.vlog', victims)
    const before = hex(readFile(fs, '000001.vlog'))
    const log = await openLog(fs, { encryptionKey })
    expect(await failureOf(collect(log.iterate(1)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: 20 })
    const skipped: SkippedDamage[] = []
    const left = await collect(log.iterate(1, { salvage: true, onDamage: (damage) => skipped.push(damage) }))
    expect(left.map(({ entry }) => lineOf(entry))).toEqual(first.filter((one) => !victims.includes(one)).map(({ entry }) => lineOf(entry)))
    expect(skipped.map(({ file, offset, length }) => [file, offset, length])).toEqual([
      ['000001.vlog', victims[0]!.pointer.offset, victims[0]!.pointer.len],
      ['000001.vlog', victims[1]!.pointer.offset, victims[1]!.pointer.len + victims[2]!.pointer.len],
      ['000001.vlog', victims[3]!.pointer.offset, victims[3]!.pointer.len],
    ])
    expect(hex(readFile(fs, '000001.vlog'))).toBe(before)
    await log.close()
  })

  test('the newest file: open refuses it, opened for salvage it is walked', async () => {
    const { fs, kept } = await prepare(encryptionKey)
    await damageRecords(fs, '000001.vlog', [kept[5]!])
    await fs.remove(`${DIR}/VLOGSTATE`)
    expect(await failureOf(openLog(fs, { encryptionKey }))).toBeInstanceOf(CorruptionError)
    const operations = fs.opCount
    const log = await openLog(fs, { encryptionKey, readOnly: true, salvage: true })
    expect(await collect(log.iterate(1, { salvage: true }))).toHaveLength(11)
    expect(await failureOf(collect(log.iterate(1)))).toBeInstanceOf(CorruptionError)
    expect(lineOf(log.readSync(kept[9]!.pointer))).toBe(lineOf(kept[9]!.entry))
    expect(await log.verify()).toMatchObject({ ok: false })
    await log.close()
    expect(fs.opCount).toBe(operations)
  })

  test('a broken promise of a clean close, and a torn tail', async () => {
    const { fs, kept } = await prepare(encryptionKey)
    await placeFile(fs, '000001.vlog', readFile(fs, '000001.vlog').slice(0, -5))
    expect(await failureOf(openLog(fs, { encryptionKey }))).toBeInstanceOf(CorruptionError)
    const log = await openLog(fs, { encryptionKey, readOnly: true, salvage: true })
    expect(log.cutBytes).toBe(kept.at(-1)!.pointer.len - 5)
    expect(await collect(log.iterate(1))).toHaveLength(11)
    await log.close()
  })

  test('relocated records', async () => {
    const { fs, kept } = await prepare(encryptionKey, 2)
    let log = await openLog(fs, { encryptionKey })
    const live = kept.filter(({ pointer: { fid } }, i) => fid === 1 && i % 4 !== 1)
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of live) await relocation.copy(fid, offset, len)
    const { number } = await relocation.finish()
    await log.close()
    const name = `00000${number}.rlog`
    const bytes = readFile(fs, name)
    bytes[30]! ^= 1
    await placeFile(fs, name, bytes)
    log = await openLog(fs, { encryptionKey })
    const left = await collect(log.iterate(1, { salvage: true }))
    expect(left.map(({ pointer }) => pointer)).toEqual(live.slice(1).map(({ pointer }) => pointer))
    expect(left.map(({ entry }) => lineOf(entry))).toEqual(live.slice(1).map(({ entry }) => lineOf(entry)))
    await log.close()
  })
})

test('nothing but noise: nothing is found, nothing hangs', async () => {
  const { fs } = await prepare(undefined, 2)
  const bytes = readFile(fs, '000001.vlog')
  for (let at = 20; at < bytes.length; at++) bytes[at] = Math.floor(random() * 256)
  await placeFile(fs, '000001.vlog', bytes)
  const log = await openLog(fs)
  const skipped: SkippedDamage[] = []
  expect(await collect(log.iterate(1, { salvage: true, onDamage: (damage) => skipped.push(damage) }))).toEqual([])
  expect(skipped).toMatchObject([{ offset: 20, length: bytes.length - 20 }])
  await log.close()
})
