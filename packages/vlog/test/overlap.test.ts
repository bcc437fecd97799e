import { InterceptedFileSystem, MemoryFileSystem, type FileSystem, type Operation } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog, ValuePointer } from '../src/index.js'
import { mulberry, randomBytes, SEED } from './support/bytes.js'
import { DIR, failureOf, newMemory, openLog, readFile } from './support/memory-log.js'

/** Syncs of the files that are named here wait until they are let go, or fail. */
class SlowSyncs extends InterceptedFileSystem {
  readonly slow = new Map<string, Promise<void>>()

  constructor(inner: FileSystem) {
    super(inner, 'slow syncs')
  }

  async around<T>({ kind, path }: Operation, run: () => Promise<T>): Promise<T> {
    if (kind === 'sync') await this.slow.get(path.slice(DIR.length + 1))
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

const OPTIONS = { fileSize: 8192, prepareAhead: 4096, syncBehind: 15_000, durable: null, lock: false }

/** The first file, and those made ahead with it. */
const MADE = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => `00000${number}.vlog`)

interface Record {
  key: Uint8Array
  version: number
  pointer: ValuePointer
}

function stage(log: ValueLog, version: number, length: number): Record {
  const key = randomBytes(mulberry(version), 9)
  const pointer = { fid: 0, offset: 0, len: 0 }
  log.stage(key, version, 0, 0, 0, new Uint8Array(length).fill(version), pointer)
  return { key, version, pointer }
}

async function write(log: ValueLog, version: number, length: number): Promise<Record> {
  const record = stage(log, version, length)
  log.endGroup()
  if (!log.writeStagedSync()) await log.writeStaged()
  return record
}

function isThere(log: ValueLog, { key, version, pointer: { fid, offset, len } }: Record): boolean {
  return log.checkPointer(fid, offset, len, key, version)
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve = (): void => {}
  let reject = (_error: Error): void => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve()
}

describe('files that are not durable (ADR 0013)', () => {
  test('the next file is there when the old one is full: nobody waits for its sync, and it counts only after it', async () => {
    const memory = await newMemory()
    const fs = new SlowSyncs(memory)
    const log = await openLog(fs, OPTIONS)
    const records = [await write(log, 1, 5000)]
    await settle()
    expect(await memory.list(DIR), 'several at once: their names share a sync').toEqual(MADE)
    expect(log.files().map(({ fid }) => fid), 'without a record it is no file of the log').toEqual([1])
    const held = deferred()
    fs.slow.set('000001.vlog', held.promise)
    records.push(await write(log, 2, 5000))
    for (const version of [3, 4]) {
      records.push(stage(log, version, 100))
      log.endGroup()
      expect(log.writeStagedSync()).toBe(true)
    }
    expect(records.map(({ pointer }) => pointer.fid)).toEqual([1, 1, 2, 2])
    expect(log.files().map(({ sealed }) => sealed)).toEqual([false, false])
    expect(await failureOf(log.dropLogical([1]))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    let synced = false
    const sync = log.sync().then(() => (synced = true))
    await settle()
    expect(synced).toBe(false)
    expect(log.syncedPosition().fid).toBe(1)
    held.resolve()
    await sync
    expect(log.syncedPosition()).toEqual(log.position())
    expect(log.files().map(({ sealed }) => sealed)).toEqual([true, false])
    await log.close()
  })

  test('a bound on what is not durable: a new file waits for the oldest once more than one is behind by it', async () => {
    const fs = new SlowSyncs(await newMemory())
    const log = await openLog(fs, OPTIONS)
    const held = deferred()
    await write(log, 1, 5000)
    await settle()
    fs.slow.set('000001.vlog', held.promise)
    await write(log, 2, 5000)
    await write(log, 3, 9000)
    let written = false
    const third = write(log, 4, 10).then((record) => {
      written = true
      return record
    })
    await settle()
    expect(written).toBe(false)
    held.resolve()
    expect((await third).pointer.fid).toBe(3)
    expect(log.files().map(({ sealed }) => sealed)).toEqual([true, expect.any(Boolean), false])
    await log.close()
  })

  test('full files wait for each other, until there are enough of them or somebody wants them durable', async () => {
    const fs = new SlowSyncs(await newMemory())
    const log = await openLog(fs, { ...OPTIONS, syncBehind: 100_000 })
    log.limitFiles(8192, 30_000)
    const sealed = (): boolean[] => log.files().map((file) => file.sealed)
    for (let version = 1; version <= 4; version++) await write(log, version, 5000)
    await write(log, 5, 10)
    await settle()
    expect(sealed()).toEqual([false, false, false])
    await log.sync()
    expect(sealed()).toEqual([true, true, false])
    for (let version = 6; version <= 13; version++) await write(log, version, 5000)
    await settle()
    expect(sealed().filter((isSealed) => !isSealed).length).toBeLessThanOrEqual(3)
    expect(sealed().filter(Boolean).length).toBeGreaterThan(3)
    log.limitFiles(8192, 0)
    await settle()
    expect(sealed().filter((isSealed) => !isSealed).length).toBeLessThanOrEqual(1)
    await log.close()
  })

  test('short files: the next ones are made while there is still one left', async () => {
    const memory = await newMemory()
    const log = await openLog(memory, OPTIONS)
    const names = async (): Promise<number> => (await memory.list(DIR)).filter((name) => name.endsWith('.vlog')).length
    const made: number[] = []
    for (let version = 1, fid = 1; fid < 16; version++) {
      const { pointer } = await write(log, version, 5000)
      await settle()
      if (pointer.fid !== fid) made.push(await names())
      fid = pointer.fid
    }
    expect(made).toEqual([9, 9, 9, 9, 9, 9, 17, 17, 17, 17, 17, 17, 17, 17, 25])
    await log.close()
  })

  test('two full files are synced at once; the newer one is sealed after the older one', async () => {
    const fs = new SlowSyncs(await newMemory())
    const log = await openLog(fs, { ...OPTIONS, syncBehind: 100_000 })
    const sealed = (): boolean[] => log.files().map((file) => file.sealed)
    await write(log, 1, 5000)
    await settle()
    const [first, third] = [deferred(), deferred()]
    fs.slow.set('000001.vlog', first.promise)
    fs.slow.set('000003.vlog', third.promise)
    for (let version = 2; version <= 7; version++) await write(log, version, 5000)
    await settle()
    expect(sealed()).toEqual([false, false, false, false])
    expect(log.syncedPosition().fid).toBe(1)
    first.resolve()
    await settle()
    expect(sealed()).toEqual([true, true, false, false])
    expect(log.syncedPosition().fid).toBe(3)
    third.resolve()
    await log.close()
  })

  test('law 9: a failed sync of the old file ends writing in the new one, in its turn', async () => {
    const fs = new SlowSyncs(await newMemory())
    const failures: unknown[] = []
    const log = await openLog(fs, { ...OPTIONS, onFailure: (error) => failures.push(error) })
    await write(log, 1, 5000)
    await settle()
    const held = deferred()
    fs.slow.set('000001.vlog', held.promise)
    const last = await write(log, 2, 5000)
    const next = await write(log, 3, 10)
    const waiting = failureOf(log.sync())
    held.reject(new Error('the device is gone'))
    expect(await waiting).toBeInstanceOf(Error)
    expect(failures).toHaveLength(1)
    expect(() => log.writeStagedSync()).toThrow(expect.objectContaining({ code: 'WK_READ_ONLY' }) as Error)
    expect([last, next].map((record) => isThere(log, record))).toEqual([true, true])
    await log.close()
  })

  test('the room of the old file is lost, the new one is whole: each is cut where it is torn, and its numbers do not come back', async () => {
    const memory = await newMemory()
    const fs = new SlowSyncs(memory)
    const log = await openLog(fs, OPTIONS)
    const first = await write(log, 1, 5000)
    await settle()
    await log.sync()
    const durable = log.syncedPosition()
    fs.slow.set('000001.vlog', new Promise(() => {}))
    const lost = await write(log, 2, 5000)
    const kept = await write(log, 3, 100)
    const whole = memory.crashClone('P1')
    const bytes = readFile(whole, '000001.vlog')
    const file = whole.openSync(`${DIR}/000001.vlog`, 'update')
    await file.truncate(lost.pointer.offset + 100)
    file.closeSync()
    const reader = await openLog(whole, { ...OPTIONS, durable, readOnly: true })
    expect([reader.cutBytes, reader.maxVersion]).toEqual([100, 3])
    expect([first, lost, kept].map((record) => isThere(reader, record))).toEqual([true, false, true])
    await reader.close()
    const again = await openLog(whole, { ...OPTIONS, durable })
    expect([first, lost, kept].map((record) => isThere(again, record))).toEqual([true, false, true])
    expect(readFile(whole, '000001.vlog')).toEqual(bytes.subarray(0, lost.pointer.offset))
    expect((await write(again, 4, 10)).pointer.fid).toBe(10)
    await again.close()
    const promised = memory.crashClone('P1')
    const cut = promised.openSync(`${DIR}/000001.vlog`, 'update')
    await cut.truncate(durable.offset - 1)
    cut.closeSync()
    expect(await failureOf(openLog(promised, { ...OPTIONS, durable })), 'below the promise it is damage').toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog' })
  })

  test('a file that was made and not used does not hinder the next open, clean or not, and its number is not used again', async () => {
    const memory = await newMemory()
    const log = await openLog(memory, OPTIONS)
    const record = await write(log, 1, 5000)
    await settle()
    const torn = memory.crashClone('P1')
    await log.close()
    const size = readFile(memory, '000001.vlog').length
    for (const [image, options] of [[memory, { ...OPTIONS, durable: undefined, cleanEnd: { fid: 1, size } }], [torn, OPTIONS]] as const) {
      expect(await image.list(DIR)).toEqual(MADE)
      const again = await openLog(image, options)
      expect(isThere(again, record)).toBe(true)
      expect((await write(again, 2, 10)).pointer.fid).toBe(10)
      await again.sync()
      await again.close()
    }
    expect(await memory.list(DIR)).toEqual(['000001.vlog', '000010.vlog'])
  })

  test('crash before every operation: what was synced is there, what is not is an ordered prefix for a host that stops at the first gap', async () => {
    const memory = await newMemory()
    const images: { fs: MemoryFileSystem; must: number; durable: { fid: number; offset: number }; count: number; where: string }[] = []
    const records: Record[] = []
    let synced = 0
    const log = await openLog(memory, { ...OPTIONS, fileSize: 4096, prepareAhead: 2048 })
    memory.onMutatingOperation = (index, { kind, path }) => {
      for (const policy of ['P0', 'P2', 'P3', 'P4', 'P5'] as const) {
        images.push({
          fs: memory.crashClone(policy, SEED + index),
          must: synced,
          durable: log.syncedPosition(),
          count: records.length,
          where: `${policy} before ${index}: ${kind} ${path}; replay: WK_SEED=${SEED}`,
        })
      }
    }
    for (let version = 1; version <= 60; version++) {
      records.push(stage(log, version, (version * 397) % 1500))
      log.endGroup()
      // Without a pause, so that many operations come between the write and the sync of an old file.
      if (!log.writeStagedSync()) await log.writeStaged()
      if (version % 9 === 0) {
        await log.sync()
        synced = version
      }
    }
    memory.onMutatingOperation = undefined
    expect(images.length).toBeGreaterThan(500)
    let torn = 0
    for (const { fs, must, durable, count, where } of images) {
      const again = await openLog(fs, { ...OPTIONS, durable })
      const there = records.slice(0, count).map((record) => isThere(again, record))
      expect(there.slice(0, must), where).toEqual(Array.from({ length: must }, () => true))
      if (there.indexOf(false) < there.lastIndexOf(true) && there.includes(false)) torn++
      expect((await write(again, 99, 10)).pointer.fid, `a number came back, ${where}`).toBeGreaterThan(Math.max(0, ...records.slice(0, must).map(({ pointer }) => pointer.fid)))
      await again.close()
    }
    expect(torn, 'a gap before a whole file was seen').toBeGreaterThan(0)
    await log.close()
  })
})
