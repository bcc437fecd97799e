/** What the value log refuses at the ends of its numbers, and before it allocates for a file that is too long. */
import { describe, expect, test } from 'vitest'
import { strayRecords } from '../src/stray-records.js'
import { ManualRuntime } from '@wk/fs'
import { SEED, mulberry } from './support/bytes.js'
import { appendAll, collect, DIR, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile } from './support/memory-log.js'

const random = mulberry(SEED)
const KEY = new Uint8Array(16).fill(9)

describe('a file longer than any that is written', () => {
  test.each([
    ['VLOGSTATE', (1 << 28) + 1, undefined],
    ['KEYREGISTRY', (1 << 26) + 1, KEY],
  ])('%s is damage, and not read', async (name, length, encryptionKey) => {
    const fs = await newMemory()
    const log = await openLog(fs, { encryptionKey })
    await appendAll(log, [entryOf(random)])
    await log.close()
    await placeFile(fs, name, new Uint8Array(0))
    const file = await fs.open(`${DIR}/${name}`, 'update')
    await file.truncate(length)
    await file.close()
    expect(await failureOf(openLog(fs, { encryptionKey }))).toMatchObject({ code: 'WK_CORRUPTION', file: name })
  })
})

test('behind the last file number there is no other', async () => {
  const fs = await newMemory()
  const log = await openLog(fs)
  const [kept] = await appendAll(log, [entryOf(random)])
  await log.close()
  await placeFile(fs, '4294967295.vlog', new Uint8Array(0))
  const failure = await failureOf(openLog(fs).then((again) => again.append([{ key: Uint8Array.of(1), value: new Uint8Array(5000) }])))
  expect(failure).toMatchObject({ code: 'WK_NOT_SUPPORTED' })
  expect(readFile(fs, '000001.vlog').length).toBeGreaterThan(kept!.pointer.offset)
})

test('a value longer than any is refused, with its group, and the log goes on', async () => {
  const fs = await newMemory()
  const log = await openLog(fs)
  const [kept] = await appendAll(log, [entryOf(random)])
  const before = readFile(fs, '000001.vlog')
  const one = { key: Uint8Array.of(1), value: new Uint8Array(3) }
  expect(await failureOf(log.append([one, { ...one, value: new Uint8Array(2 ** 30 + 1) }]))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  expect(readFile(fs, '000001.vlog')).toEqual(before)
  const [pointer] = await log.append([one])
  expect(pointer!.offset).toBe(kept!.pointer.offset + kept!.pointer.len)
  expect((await collect(log.iterate(1))).map(({ entry }) => lineOf(entry))).toEqual([lineOf(kept!.entry), lineOf({ version: 0, meta: 0, userMeta: 0, expiresAt: 0, ...one })])
  await log.close()
})

test('a file that somebody shortens while it is walked is damage there, and the other files are walked on', async () => {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 10, fileSize: 1 << 20 })
  const kept = await appendAll(log, Array.from({ length: 30 }, () => entryOf(random)))
  await log.seal()
  const first = kept.filter(({ pointer: { fid } }) => fid === 1)
  const second = kept.filter(({ pointer: { fid } }) => fid === 2)
  const last = first.at(-1)!.pointer
  const file = await fs.open(`${DIR}/000001.vlog`, 'update')
  await file.truncate(last.offset + last.len - 1)
  await file.close()
  expect(await failureOf(collect(log.iterate(1)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: last.offset + last.len - 1 })
  expect((await collect(log.iterate(2))).map(({ entry }) => lineOf(entry))).toEqual(second.map(({ entry }) => lineOf(entry)))
  expect(await log.readValue(1, kept[0]!.pointer.offset, kept[0]!.pointer.len, kept[0]!.entry.key, kept[0]!.entry.version)).toEqual(kept[0]!.entry.value)
  await log.close()
})

test('records are looked for in value logs only', async () => {
  const fs = await newMemory()
  await placeFile(fs, '000001.sst', new Uint8Array(100))
  expect(await collect(strayRecords(fs, DIR, '000001.sst', new ManualRuntime()))).toEqual([])
})

describe('a file to relocate from that was damaged meanwhile', () => {
  const prepare = async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { maxEntries: 50, fileSize: 1 << 20 })
    const kept = await appendAll(log, Array.from({ length: 20 }, () => entryOf(random, 400)), 1)
    await log.seal()
    return { fs, log, first: kept[0]!.pointer, last: kept.at(-1)!.pointer }
  }
  const copyAll = async (log: Awaited<ReturnType<typeof openLog>>, from: number, length: number): Promise<void> => {
    const relocation = await log.createRelocation()
    try {
      await relocation.copy(1, from, length)
      await relocation.finish()
    } finally {
      await relocation.abort()
    }
  }

  test('whose range begins inside a record', async () => {
    const { log, first, last } = await prepare()
    expect(await failureOf(copyAll(log, first.offset + 3, last.offset - first.offset))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog' })
  })

  test('whose end is gone', async () => {
    const { fs, log, first, last } = await prepare()
    const file = await fs.open(`${DIR}/000001.vlog`, 'update')
    await file.truncate(last.offset)
    await file.close()
    expect(await failureOf(copyAll(log, first.offset, last.offset + last.len - first.offset))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: last.offset })
  })
})
