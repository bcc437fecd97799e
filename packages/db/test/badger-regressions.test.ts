/**
 * Ten failures of Badger v4's value log, each reproduced on the real engine (R1 to R10 of the project's notes), as
 * tests of this one. The set-up of each is the one that broke there.
 */
import { MemoryFileSystem, type FileSystem } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, expectCode, keep, large, SMALL, text, type Options } from './harness.js'

const open = async (fs: FileSystem, options: Options = {}): Promise<DB> => keep(await DB.open('/db', { ...SMALL, fs, ...options }))
const named = async (fs: FileSystem, pattern: RegExp): Promise<string[]> => (await fs.list('/db')).filter((name) => pattern.test(name))
const unlessNothing = (err: unknown): void => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' })

async function edit(fs: FileSystem, name: string, change: (content: Uint8Array) => Uint8Array): Promise<void> {
  const file = await fs.open(`/db/${name}`, 'update')
  const content = new Uint8Array(await file.size())
  await file.read(content, 0, content.length, 0)
  const changed = change(content)
  await file.truncate(changed.length)
  await file.write(changed, 0, changed.length, 0)
  await file.sync()
  await file.close()
}

const flip = (at: number) => (content: Uint8Array): Uint8Array => content.map((byte, i) => (i === at ? byte ^ 0xff : byte))

describe('R1 to R10', () => {
  it('R1: a key deleted before GC starts does not come back by GC and a compaction after it', async () => {
    const fs = new MemoryFileSystem()
    let db = await open(fs)
    await db.put('k', large(4096))
    await db.flush()
    await db.compact()
    await db.close()
    db = await open(fs)
    await db.del('k')
    for (let i = 0; i < 3; i++) await db.put(`more${i}`, 'x')
    await db.flush()
    await db.runValueLogGC(0.01).catch(unlessNothing)
    expect(await db.get('k')).toBeUndefined()
    await db.compact()
    expect(await db.get('k')).toBeUndefined()
    await db.close()
    db = await open(fs)
    expect(await db.get('k')).toBeUndefined()
    expect((await all(db.keys())).map(text)).toEqual(['more0', 'more1', 'more2'])
  })

  it('R2: GC that removes the file between finding a value and reading it', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    await db.put('k', large(3000))
    for (let i = 0; i < 20; i++) await db.put(`other${i}`, large(500, i))
    const iterator = db.iterator()
    const [reading, snapshot] = [db.get('k'), db.snapshot()]
    await db.clear()
    await db.compact()
    for (let i = 0; i < 10; i++) await db.runValueLogGC(0.01).catch(unlessNothing)
    expect(await reading).toEqual(large(3000))
    expect(await db.get('k', { snapshot })).toEqual(large(3000))
    expect((await iterator.next())?.[1]).toEqual(large(3000))
    await iterator.close()
  })

  it('R2: GC that finds a file which only an iterator still reads', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    for (let i = 0; i < 20; i++) await db.put(`k${String(i).padStart(2, '0')}`, large(500, i))
    await db.flush()
    const iterator = db.iterator()
    await db.clear()
    await db.compact()
    for (let i = 0; i < 5; i++) await db.runValueLogGC(0.01).catch(unlessNothing)
    let seen = 0
    for await (const [, value] of iterator) expect(value).toEqual(large(500, seen++))
    expect(seen).toBe(20)
    await db.gc()
    expect((await named(fs, /\.(vlog|rlog)$/)).length).toBeLessThan(3)
  })

  it.each(['after a clean end', 'below a promise, after a kill'])('R3a: one flipped byte in the newest file, %s, loses no other value, and no value reads as empty', async (end) => {
    const isClosed = end === 'after a clean end'
    const disk = new MemoryFileSystem()
    const db = await open(disk, { valueLogFileSize: 1 << 20 })
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(200, i))
    if (isClosed) await db.close()
    else {
      await db.sync()
      // The next write says what the sync made durable.
      await db.put('next', 'small')
    }
    const fs = isClosed ? disk : disk.crashClone('P1')
    const [log] = await named(fs, /\.vlog$/)
    await edit(fs, log as string, flip(20 + 60))
    const again = await open(fs).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_CORRUPTION', file: log }))
    if (again instanceof DB) {
      await expectCode(() => again.get('k0'), 'WK_CORRUPTION')
      for (let i = 1; i < 50; i++) expect(await again.get(`k${i}`)).toEqual(large(200, i))
    }
    const file = await fs.open(`/db/${log}`, 'read')
    expect(await file.size()).toBeGreaterThan(50 * 200)
    await file.close()
  })

  it('R3b: one flipped byte in an older file: GC stops, keeps the file, and the others stay readable', async () => {
    const fs = new MemoryFileSystem()
    let db = await open(fs, { valueLogFileSize: 12_000 })
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(200, i))
    for (let i = 0; i < 60; i++) await db.put(`later${i}`, large(200, i))
    for (let i = 1; i < 50; i += 2) await db.del(`k${i}`)
    await db.flush()
    await db.compact()
    await db.close()
    const [log] = await named(fs, /\.vlog$/)
    await edit(fs, log as string, flip(20 + 60))
    db = await open(fs)
    await expectCode(() => db.runValueLogGC(0.1), 'WK_CORRUPTION')
    expect(await named(fs, /\.vlog$/)).toContain(log)
    await expectCode(() => db.get('k0'), 'WK_CORRUPTION')
    for (let i = 2; i < 50; i += 2) expect(await db.get(`k${i}`)).toEqual(large(200, i))
  })

  it('R4: an empty numbered value-log file does not keep the database from opening', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    await db.put('k', large(500))
    await db.close()
    await (await fs.open('/db/000700.vlog', 'create')).close()
    await fs.syncDir('/db')
    const again = await open(fs)
    expect(await again.get('k')).toEqual(large(500))
    await again.put('more', large(500, 1))
    expect(await again.get('more')).toEqual(large(500, 1))
  })

  it('R5: a value log that is gone is an error, never an empty value', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    for (let i = 0; i < 40; i++) await db.put(`k${i}`, large(500, i))
    await db.flush()
    await db.close()
    const [log] = await named(fs, /\.vlog$/)
    await fs.remove(`/db/${log}`)
    await fs.syncDir('/db')
    const err = await expectCode(async () => {
      const again = await open(fs)
      for (let i = 0; i < 40; i++) expect((await again.get(`k${i}`))?.length).toBe(500)
    }, 'WK_CORRUPTION')
    expect(err.file).toBe(log)
  })

  it('R6: 200 overwrites of one 64 KiB value are found by GC', async () => {
    const fs = new MemoryFileSystem({ crashable: false })
    const db = await open(fs, { valueLogFileSize: 1 << 20, memTableSize: 8 << 20, valueThreshold: 1024 })
    for (let i = 0; i < 200; i++) await db.put('k', large(65_536, i))
    const files = (await named(fs, /\.vlog$/)).length
    expect(files).toBeGreaterThan(10)
    const { bytesReclaimed } = await db.runValueLogGC(0.01)
    expect(bytesReclaimed).toBeGreaterThan(1 << 20)
    for (let i = 0; i < 20; i++) await db.runValueLogGC(0.01).catch(unlessNothing)
    expect((await named(fs, /\.(vlog|rlog)$/)).length).toBeLessThanOrEqual(2)
    expect(await db.get('k')).toEqual(large(65_536, 199))
  })

  it('R7: a pointer whose length wraps around 32 bits is refused without allocating for it', async () => {
    const fs = new MemoryFileSystem()
    const log = await ValueLog.open('/db', { fs })
    const [pointer] = await log.append([{ key: new Uint8Array([1]), value: large(500) }])
    if (pointer === undefined) throw new Error('no pointer')
    for (const bad of [{ ...pointer, offset: 100, len: 0xffff_ffff }, { ...pointer, len: 0x7fff_ffff }, { ...pointer, offset: 0xffff_fff0 }, { ...pointer, len: 0 }, { ...pointer, fid: 999 }]) {
      const before = process.memoryUsage().rss
      await expectCode(() => log.read(bad), 'WK_CORRUPTION')
      await expectCode(() => log.readSync(bad), 'WK_CORRUPTION')
      expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
    }
    await log.close()
  })

  it('R8: a flipped byte in the WAL of an unclean image, below what was synced, is an error, not a shorter history', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    for (let i = 0; i < 10; i++) await db.put(`k${i}`, `value ${i}`, { sync: true })
    const image = fs.crashClone('P1')
    await db.close()
    const [wal] = (await named(image, /\.wal$/)).slice(-1)
    let length = 0
    await edit(image, wal as string, (content) => {
      length = content.length
      return content
    })
    await edit(image, wal as string, flip(Math.floor(length * 0.4)))
    const err = await expectCode(() => open(image), 'WK_CORRUPTION')
    expect(err.file).toBe(wal)
  })

  it('R9: a crash while an iterator holds a collected file back leaks no file', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    for (let i = 0; i < 40; i++) await db.put(`k${i}`, large(500, i))
    await db.flush()
    const iterator = db.iterator()
    await iterator.next()
    await db.clear()
    await db.compact()
    await db.runValueLogGC(0.01).catch(unlessNothing)
    const image = fs.crashClone('P1')
    await iterator.close()
    let again = await open(image)
    await again.compact()
    await again.runValueLogGC(0.01).catch(unlessNothing)
    await again.close()
    again = await open(image)
    await again.runValueLogGC(0.01).catch(unlessNothing)
    expect((await named(image, /\.(vlog|rlog)$/)).length).toBeLessThanOrEqual(1)
    expect(await all(again.keys())).toEqual([])
  })

  it('R10: WAL kept, value-log bytes lost with the power: the key is not there, rather than empty', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    await db.put('durable', large(500, 1), { sync: true })
    // In a batch: of a single put the WAL would be told later.
    for (let i = 0; i < 5; i++) await db.batch([{ type: 'put', key: `k${i}`, value: large(500, i) }])
    const image = fs.crashClone('P1')
    const { size } = await (async () => {
      const probe = fs.crashClone('P0')
      const [log] = (await named(probe, /\.vlog$/)).slice(-1)
      const file = await probe.open(`/db/${log}`, 'read')
      return { size: await file.size() }
    })()
    await db.close()
    const [log] = (await named(image, /\.vlog$/)).slice(-1)
    await edit(image, log as string, (content) => content.map((byte, i) => (i < size ? byte : 0)))
    const again = await open(image)
    expect(await again.get('durable')).toEqual(large(500, 1))
    for (let i = 0; i < 5; i++) {
      expect(await again.get(`k${i}`)).toBeUndefined()
      expect(await again.has(`k${i}`)).toBe(false)
    }
    expect((await again.verify()).ok).toBe(true)
  })
})
