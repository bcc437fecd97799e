/** Appends of one turn of the event loop share a write, and its outcome. */
import { IoError } from '@wk/codec'
import { FaultFileSystem, InterceptedFileSystem, TraceFileSystem, type FileSystem, type Operation } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog, ValuePointer } from '../src/index.js'
import { SYNC_WRITE_LIMIT } from '../src/vlog-writer.js'
import { SEED, mulberry, randomBytes, sha256 } from './support/bytes.js'
import { DIR, collect, failureOf, newMemory, openLog } from './support/memory-log.js'

const random = mulberry(SEED)

/** Writes of records through the thread pool wait until they are let go. */
class SlowWrites extends InterceptedFileSystem {
  held: Promise<void> | undefined
  writes = 0

  constructor(inner: FileSystem) {
    super(inner, 'slow writes')
  }

  async around<T>({ kind, path }: Operation, run: () => Promise<T>): Promise<T> {
    if (kind === 'write' && path.startsWith(`${DIR}/0`)) {
      this.writes++
      await this.held
    }
    return run()
  }

  aroundSync<T>({ kind }: Operation, run: () => T): T {
    if (kind === 'write') this.writes++
    return run()
  }
}

async function started(fs: FileSystem, fileSize = 1 << 30): Promise<ValueLog> {
  const log = await openLog(fs, { fileSize })
  await log.append([{ key: 'first', value: 'makes the file' }])
  // Buffers grow with the groups that come.
  await log.append(Array.from({ length: 75 }, () => ({ key: 'large', value: randomBytes(random, 16_000) })))
  return log
}

const append = (log: ValueLog, value: Uint8Array | string, sync = false): Promise<ValuePointer> =>
  log.append([{ key: 'key', value }], { sync }).then(([pointer]) => pointer!)

describe('appends of one turn', () => {
  test('are one write, in call order; bytes may be reused as soon as a call has returned', async () => {
    const trace = new TraceFileSystem(await newMemory())
    const log = await started(trace)
    const before = trace.entries.length
    const values = Array.from({ length: 60 }, (_, i) => randomBytes(random, 5000 + i))
    const own = values.map((value) => value.slice())
    const pending = own.map((value) => append(log, value))
    for (const value of own) value.fill(0xee)
    const pointers = await Promise.all(pending)
    expect(trace.entries.slice(before).map(({ kind }) => kind)).toEqual(['write'])
    pointers.forEach((pointer, i) => expect(sha256(log.readSync(pointer).value)).toBe(sha256(values[i]!)))
    pointers.slice(1).forEach(({ offset }, i) => expect(offset).toBe(pointers[i]!.offset + pointers[i]!.len))
    await log.close()
  })

  test('go out piece by piece where they are many, also those of one call', async () => {
    const trace = new TraceFileSystem(await newMemory())
    const log = await started(trace)
    const values = Array.from({ length: 300 }, (_, i) => randomBytes(random, 16_000 + i))
    for (const all of [() => Promise.all(values.map((value) => append(log, value))), () => log.append(values.map((value) => ({ key: 'key', value })))]) {
      const before = trace.entries.length
      const pointers = await all()
      const writes = trace.entries.slice(before).filter(({ kind }) => kind === 'write')
      expect(writes.length).toBe(Math.ceil((300 * 16_200) / SYNC_WRITE_LIMIT))
      pointers.forEach((pointer, i) => expect(sha256(log.readSync(pointer).value)).toBe(sha256(values[i]!)))
    }
    expect(log.stagedBytes).toBe(0)
    await log.close()
  })

  test('keep their order beside long values, which are written at the call, and across files', async () => {
    const log = await started(await newMemory(), 2 << 20)
    const values = Array.from({ length: 120 }, (_, i) => randomBytes(random, i % 7 === 3 ? 150_000 : 9000))
    const pointers = await Promise.all(values.map((value, i) => append(log, value, i % 10 === 0)))
    pointers.forEach((pointer, i) => expect(sha256(log.readSync(pointer).value)).toBe(sha256(values[i]!)))
    const places = pointers.map(({ fid, offset }) => fid * 2 ** 31 + offset)
    expect(places).toEqual([...places].sort((a, b) => a - b))
    expect(pointers.at(-1)!.fid).toBeGreaterThan(2)
    const found = []
    for (const { fid } of log.files()) found.push(...(await collect(log.iterate(fid))))
    expect(found.length).toBe(120 + 76)
    await log.close()
  })

  test('that come while a write is under way share the next one', async () => {
    const fs = new SlowWrites(await newMemory())
    const log = await started(fs)
    let release = (): void => {}
    fs.held = new Promise((resolve) => (release = resolve))
    // Over the limit of what is written at once.
    const large = log.append(Array.from({ length: 1000 }, () => ({ key: 'key', value: randomBytes(random, 10_000) })))
    await Promise.resolve()
    const writes = fs.writes
    const later: Promise<ValuePointer>[] = []
    for (let i = 0; i < 30; i++) {
      later.push(append(log, `value ${i}`))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(fs.writes).toBe(writes)
    fs.held = undefined
    release()
    await large
    const behind = fs.writes
    const pointers = await Promise.all(later)
    expect(fs.writes - behind).toBeLessThanOrEqual(1)
    pointers.forEach((pointer, i) => expect(Buffer.from(log.readSync(pointer).value).toString()).toBe(`value ${i}`))
    await log.close()
  })

  test('sync, seal and close wait for them', async () => {
    const fs = await newMemory()
    const log = await started(fs)
    const synced = append(log, 'before the sync')
    await log.sync()
    expect(log.syncedPosition()).toEqual(log.position())
    const sealed = append(log, 'before the seal')
    await log.seal()
    const last = append(log, 'before the close')
    await log.close()
    const pointers = await Promise.all([synced, sealed, last])
    expect(pointers.map(({ fid }) => fid)).toEqual([1, 1, 2])
    const again = await openLog(fs)
    for (const pointer of pointers) expect(Buffer.from(again.readSync(pointer).value).toString()).toMatch(/^before the /)
    await again.close()
  })
})

test('law 9: all appends of a write that failed are rejected, and none of them is left half told', async () => {
  const fs = new FaultFileSystem(await newMemory())
  const log = await started(fs)
  fs.add({ operation: 'write', short: 20, errno: 'ENOSPC' })
  const failures = await Promise.all(['a', 'b', 'c'].map((value, i) => failureOf(append(log, value.repeat(50), i === 1))))
  expect(failures[0]).toBeInstanceOf(IoError)
  expect(new Set(failures).size).toBe(1)
  expect(await failureOf(append(log, 'later'))).toMatchObject({ code: 'WK_READ_ONLY', cause: failures[0] })
  expect(log.stagedBytes).toBe(0)
  await log.close()
})
