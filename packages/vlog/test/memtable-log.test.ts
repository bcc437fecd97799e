/** Badger's memtable log: what the real one wrote, then hand-made ones with every order of transaction marks. */
import { CorruptionError, encodePointer } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import { readMemtableLog, type MemtableLogEnd, type MemtableLogEntry } from '../src/index.js'
import { recordLength, writeRecord } from '../src/record.js'
import { hex, sha256 } from './support/bytes.js'
import { fixtureAnswers, fixtureFiles, fixtureMemtables, fixtureTableEntries } from './support/fixtures.js'
import { DIR, failureOf, newMemory, openLog, placeFile } from './support/memory-log.js'
import type { MemoryFileSystem } from '@wk/fs'

async function read(fs: MemoryFileSystem, name = '00001.mem'): Promise<MemtableLogEntry[] & { end?: MemtableLogEnd }> {
  const entries: MemtableLogEntry[] & { end?: MemtableLogEnd } = []
  const walk = readMemtableLog(DIR, name, { fs })
  for (;;) {
    const { done, value } = await walk.next()
    if (done === true) return Object.assign(entries, { end: value })
    entries.push(value)
  }
}

test('what is no directory, no name and no options is WK_INVALID_ARGUMENT', async () => {
  const fs = await newMemory()
  const first = (...args: unknown[]): Promise<unknown> => failureOf(readMemtableLog(...(args as Parameters<typeof readMemtableLog>)).next())
  for (const dir of [undefined, null, 5, '', 'a\0b', {}]) expect(await first(dir, '00001.mem', { fs })).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  for (const name of [undefined, null, 5, '', '../00001.mem', '1.mem', '00000.mem', '000001.mem', '00001.vlog']) expect(await first(DIR, name, { fs })).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  for (const options of [null, 5, 'text', { fs: 5 }, { fs: {} }, { fs, encryptionKey: 'text' }, { fs, encryptionKey: null }]) expect(await first(DIR, '00001.mem', options)).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
})

describe('the directory of a killed Badger', () => {
  const [log] = fixtureMemtables('killed')

  async function mount(): Promise<MemoryFileSystem> {
    const fs = await newMemory()
    for (const [name, bytes] of fixtureFiles('killed')) await placeFile(fs, name, bytes)
    return fs
  }

  test('every entry of the memtable log, its marks, and where it ends', async () => {
    const entries = await read(await mount())
    const described = entries.map(({ entry, pointer }) => ({
      ...pointer, meta: entry.meta, userMeta: entry.userMeta, expiresAt: entry.expiresAt,
      userKey: hex(entry.key), version: entry.version, vlen: entry.value.length, valueSha256: sha256(entry.value),
    }))
    expect(described).toEqual(log!.entries.map(({ fid, offset, len, meta, userMeta, expiresAt, userKey, version, vlen, valueSha256 }) => {
      return { fid, offset, len, meta, userMeta, expiresAt, userKey, version, vlen, valueSha256 }
    }))
    expect(entries.end).toEqual({ validEnd: log!.validEnd, size: log!.size, unfinished: 0 })
  })

  test('its pointers lead to the values of the value log, and both together are what Badger answers', async () => {
    const fs = await mount()
    const entries = await read(fs)
    const values = await openLog(fs, { readOnly: true })
    const table = new Map(fixtureTableEntries('killed').map((one) => [`${one.key} ${one.version}`, one]))
    const answers = new Map(fixtureAnswers('killed').map((one) => [`${one.key} ${one.version}`, one]))
    let checked = 0
    for (const { entry, target } of entries) {
      const id = `${hex(entry.key)} ${entry.version}`
      const { fid, offset, len, inlineHex } = table.get(id)!
      if (target === undefined) expect(hex(entry.value)).toBe(inlineHex ?? '')
      else expect(target).toEqual({ fid, offset, len })
      const answer = answers.get(id)
      if (answer === undefined || answer.deletedOrExpired) continue
      const value = target === undefined ? entry.value : values.readValueSync(target.fid, target.offset, target.len, entry.key, entry.version)
      expect(sha256(value)).toBe(answer.valueSha256)
      checked++
    }
    expect(checked).toBeGreaterThan(50)
    await values.close()
  })
})

describe('transaction marks', () => {
  const text = (value: string): Uint8Array => Buffer.from(value)

  function record(key: string, version: number, meta: number, value: string | Uint8Array = 'v'): Uint8Array {
    const bytes = typeof value === 'string' ? text(value) : value
    const into = new Uint8Array(recordLength(key.length, bytes.length, 0))
    writeRecord(into, 0, text(key), version, meta, 0, 0, bytes)
    return into
  }

  const fin = (version: number, value = String(version)): Uint8Array => record('!badger!txn', version, 0x80, value)

  async function readLog(...parts: Uint8Array[]): Promise<MemtableLogEntry[] & { end?: MemtableLogEnd }> {
    const fs = await newMemory()
    await placeFile(fs, '00001.mem', Buffer.concat([new Uint8Array(20), ...parts, new Uint8Array(100)]))
    return read(fs)
  }

  test('a transaction counts as a whole, when its end follows', async () => {
    const entries = await readLog(record('a', 1, 0), record('b', 2, 0x40), record('c', 2, 0x41), fin(2), record('d', 3, 0x40))
    expect(entries.map(({ entry }) => entry.key.toString())).toEqual(['a', 'b', 'c'].map((key) => text(key).join()))
    expect(entries.end).toEqual({ validEnd: 20 + 19 * 3 + 29, size: 20 + 19 * 4 + 29 + 100, unfinished: 1 })
  })

  test('marks out of order are damage', async () => {
    for (const [parts, offset] of [
      [[record('a', 2, 0x40), record('b', 3, 0x40)], 39],
      [[record('a', 2, 0x40), record('b', 2, 0)], 39],
      [[record('a', 2, 0x40), fin(3)], 39],
      [[record('a', 2, 0x40), fin(2, 'x')], 39],
      [[fin(2)], 20],
      [[record('a', 2, 0x02, 'short')], 20],
    ] as [Uint8Array[], number][]) {
      expect(await failureOf(readLog(...parts))).toMatchObject({ code: 'WK_CORRUPTION', file: '00001.mem', offset })
    }
  })

  test('what does not verify is damage if a record follows it, marked or not, else the end', async () => {
    const broken = record('a', 2, 0)
    broken[18]! ^= 1
    expect(await failureOf(readLog(broken, record('b', 2, 0x40)))).toBeInstanceOf(CorruptionError)
    expect(await readLog(record('a', 1, 0), broken)).toHaveLength(1)
    const [pointed] = await readLog(record('p', 1, 0x02, encodePointer({ fid: 3, offset: 20, len: 40 })))
    expect(pointed!.target).toEqual({ fid: 3, offset: 20, len: 40 })
  })

  test('names and files that are none', async () => {
    const fs = await newMemory()
    for (const name of ['1.mem', '00000.mem', '000001.mem', '../00001.mem', '00001.vlog']) {
      expect(await failureOf(read(fs, name)), name).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    }
    expect(await failureOf(read(fs))).toMatchObject({ code: 'WK_IO' })
    await placeFile(fs, '00001.mem', new Uint8Array(7))
    expect((await read(fs)).end).toEqual({ validEnd: 0, size: 7, unfinished: 0 })
  })
})
