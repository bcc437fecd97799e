/** Long values go to the operating system from where they are; nobody can tell, but by the copy that is not made. */
import { IoError, ReadOnlyError, errnoOf } from '@wk/codec'
import { FaultFileSystem, TraceFileSystem, type FaultRule } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { DIRECT_FROM } from '../src/vlog-writer.js'
import { SEED, hex, mulberry, randomBytes, sha256 } from './support/bytes.js'
import { DIR, collect, failureOf, newMemory, openLog, readFile } from './support/memory-log.js'

const random = mulberry(SEED)
const groupOf = (...lengths: number[]): { key: string; value: Uint8Array; version: number }[] =>
  lengths.map((length, i) => ({ key: `key-${i}`, value: randomBytes(random, length), version: i }))

describe('groups of short and long values', () => {
  test.each([
    [[DIRECT_FROM]],
    [[DIRECT_FROM - 1, DIRECT_FROM, DIRECT_FROM + 1]],
    [[3 << 20, 100, 2 << 20, 0, DIRECT_FROM, 5]],
    [[7, 900_000, 400_000, 7, 600_000]],
    [[9 << 20, 1]],
  ])('%j: the bytes are those of a log that copies them', async (lengths) => {
    const group = groupOf(...lengths)
    const files = []
    for (const isDirect of [true, false]) {
      const memory = await newMemory()
      const trace = new TraceFileSystem(memory)
      const log = await openLog(trace, { fileSize: 1 << 30 })
      await log.append([{ key: 'first', value: 'makes the file' }])
      const before = trace.entries.length
      const own = group.map(({ key, value, version }) => ({ key, version, value: isDirect ? value.slice() : shared(value) }))
      const pending = log.append(own)
      // Bytes may be reused as soon as the call has returned.
      for (const { value } of own) value.fill(0xee)
      const pointers = await pending
      const writes = trace.entries.slice(before).filter(({ kind }) => kind === 'write').length
      const long = lengths.filter((length) => length >= DIRECT_FROM).length
      if (isDirect && lengths.reduce((a, b) => a + b) < 8 << 20) expect(writes).toBeGreaterThanOrEqual(2 * long)
      pointers.forEach((pointer, i) => expect(sha256(log.readSync(pointer).value)).toBe(sha256(group[i]!.value)))
      expect(await collect(log.iterate(1))).toHaveLength(group.length + 1)
      await log.close()
      files.push(sha256(readFile(memory, '000001.vlog').slice(20)))
    }
    expect(files[0]).toBe(files[1])
  })

  function shared(bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
    copy.set(bytes)
    return copy
  }

  test('a short group is one write', async () => {
    const trace = new TraceFileSystem(await newMemory())
    const log = await openLog(trace, { fileSize: 1 << 30 })
    await log.append([{ key: 'first', value: 'makes the file' }])
    const before = trace.entries.length
    await log.append(groupOf(...new Array<number>(250).fill(4096)))
    expect(trace.entries.slice(before).map(({ kind }) => kind)).toEqual(['write'])
    await log.close()
  })

  test('rotation comes after the group that passes the limit', async () => {
    const log = await openLog(await newMemory(), { fileSize: 1 << 20 })
    await log.append([{ key: 'first', value: 'makes the file' }])
    const pointers = [...(await log.append(groupOf(700_000, 700_000))), ...(await log.append(groupOf(700_000, 1)))]
    expect(pointers.map(({ fid }) => fid)).toEqual([1, 1, 2, 2])
    for (const pointer of pointers) log.readSync(pointer)
    await log.close()
  })
})

describe('law 9 in the middle of such a group', () => {
  test.each([0, 1, 2, 3, 4])('write %i of five fails, whole or half done', async (index) => {
    for (const short of [undefined, 100]) {
      const fs = new FaultFileSystem(await newMemory())
      const log = await openLog(fs, { fileSize: 1 << 30 })
      const [kept] = await log.append([{ key: 'kept', value: 'value' }])
      const rule: FaultRule = { operation: 'write', errno: 'ENOSPC', ...(short === undefined ? {} : { short }) }
      fs.add({ ...rule, index })
      const group = groupOf(10, 300_000, 20, 300_000, 30)
      const failure = await failureOf(log.append(group))
      expect(failure).toBeInstanceOf(IoError)
      expect(errnoOf(failure)).toBe('ENOSPC')
      const again = await failureOf(log.append([{ key: 'k', value: 'v' }]))
      expect(again).toBeInstanceOf(ReadOnlyError)
      expect((again as ReadOnlyError).cause).toBe(failure)
      expect(hex(log.readSync(kept!).value)).toBe(hex(Buffer.from('value')))
      expect(log.stagedBytes).toBe(0)
      fs.clear()
      await log.close()
      const reopened = await openLog(fs)
      const left = await collect(reopened.iterate(1))
      expect(left.length).toBeLessThanOrEqual(6)
      left.slice(1).forEach(({ entry }, i) => expect(sha256(entry.value)).toBe(sha256(group[i]!.value)))
      expect(hex(reopened.readSync(kept!).value)).toBe(hex(Buffer.from('value')))
      await reopened.append([{ key: 'still', value: 'writable' }], { sync: true })
      await reopened.close()
    }
    expect(DIR).toBe('/log')
  })
})

test('laws 3 and 6: what counts as durable ends with a record, also while the value of the next one is being written', async () => {
  const memory = await newMemory()
  const hosted = { durable: null, lock: false, fileSize: 2 ** 30 } as const
  const log = await openLog(memory, hosted)
  const ends: number[] = []
  const put = (length: number): void => {
    log.stage(Buffer.from('key'), ends.length, 0, 0, 0, randomBytes(random, length), { fid: 0, offset: 0, len: 0 })
    ends.push(log.position().offset)
  }
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  put(50)
  await log.writeStaged()
  // So much that it is synced ahead, in the midst of a turn.
  for (let i = 0; i < 20; i++) put(4 << 20)
  await turns()
  put(4 << 20)
  await turns()
  const synced = log.syncedPosition()
  expect(ends).toContain(synced.offset)
  expect(synced.offset).toBeGreaterThan(32 << 20)
  const image = memory.crashClone('P0')
  await log.close()
  const again = await openLog(image, { ...hosted, durable: synced })
  expect(again.files()[0]!.validEnd).toBeGreaterThanOrEqual(synced.offset)
  await again.close()
})
