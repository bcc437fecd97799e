import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { locksAreShared } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, contentsOf, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, temporaryDirectory, text, unprivileged } from './harness.js'

onBothFileSystems('open', (place) => {
  it('creates a missing directory with its parents and keeps what was written', async () => {
    const at = place()
    const db = await at.open()
    await db.put('k', 'v')
    await db.close()
    const again = await at.open({ errorIfExists: false })
    expect(text(await again.get('k'))).toBe('v')
  })

  it('createIfMissing: false on nothing is WK_NOT_FOUND and creates nothing', async () => {
    const at = place()
    await expectCode(() => at.open({ createIfMissing: false }), 'WK_NOT_FOUND')
    expect(await at.names().catch(() => [])).toEqual([])
  })

  it('a directory with nothing but a lock is no database either, and gives the lock back', async () => {
    const at = place()
    const other = await at.open()
    await other.close()
    for (const name of await at.names()) {
      if (name === 'LOCK') continue
      if (at.fs === undefined) unlinkSync(join(at.dir, name))
      else await at.fs.remove(`${at.dir}/${name}`)
    }
    const before = await at.names()
    for (const options of [{ createIfMissing: false }, { readOnly: true }]) await expectCode(() => at.open(options), 'WK_NOT_FOUND')
    expect(await at.names()).toEqual(before)
    const db = await at.open()
    await db.put('k', 'v')
    expect(text(await db.get('k'))).toBe('v')
  })

  it('errorIfExists is WK_EXISTS where a database is, and harmless', async () => {
    const at = place()
    const db = await at.open({ errorIfExists: true })
    await db.put('k', 'v')
    await db.close()
    await expectCode(() => at.open({ errorIfExists: true }), 'WK_EXISTS')
    expect(text(await (await at.open()).get('k'))).toBe('v')
  })

  it('two opens at once: one wins, the other is WK_LOCKED, and the winner works', async () => {
    const at = place()
    const outcomes = await Promise.allSettled([at.open(), at.open()])
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected'])
    const lost = outcomes.find((outcome) => outcome.status === 'rejected')
    expect(lost?.reason).toMatchObject({ code: 'WK_LOCKED' })
  })

  it('a second open of an open database is WK_LOCKED, names the pid, and leaves the owner unharmed', async () => {
    const at = place()
    const db = await at.open()
    const err = await expectCode(() => at.open(), 'WK_LOCKED')
    if (at.kind === 'node') expect(err.message).toContain(String(process.pid))
    await expectCode(() => at.open({ readOnly: true }), 'WK_LOCKED')
    await db.put('k', 'v')
    await db.close()
    await (await at.open()).close()
  })

  it('a failed open gives the lock back', async () => {
    const at = place()
    await expectCode(() => at.open({ createIfMissing: false }), 'WK_NOT_FOUND')
    await (await at.open()).close()
    await expectCode(() => at.open({ errorIfExists: true }), 'WK_EXISTS')
    await at.open()
  })

  it('options may differ from open to open', async () => {
    const at = place()
    const values = [0, 1, 63, 64, 65, 500, 5000].map((size) => large(size, size))
    for (const [round, valueThreshold] of [64, 0, 100_000, 1, 512].entries()) {
      const db = await at.open({ valueThreshold, compression: round % 2 === 0 ? 'none' : 'lz4', valueLogFileSize: 4096 << round })
      for (const [i, value] of values.entries()) {
        await db.put(`${round}/${i}`, value)
        for (let old = 0; old <= round; old++) expect(await db.get(`${old}/${i}`)).toEqual(value)
      }
      if (round % 2 === 0) await db.flush()
      await db.close()
    }
  })

  it('[Symbol.asyncDispose] closes', async () => {
    const at = place()
    {
      await using db = await at.open()
      await db.put('k', 'v')
    }
    expect(text(await (await at.open()).get('k'))).toBe('v')
  })
})

describe('open refuses, and changes nothing in', () => {
  it('a file in place of a directory', async () => {
    const path = join(temporaryDirectory(), 'file')
    writeFileSync(path, 'mine')
    const err = await expectCode(() => DB.open(path), 'WK_IO')
    expect((err.cause as NodeJS.ErrnoException | undefined)?.code).toMatch(/ENOTDIR|EEXIST/)
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  it('a parent that is a file', async () => {
    const path = join(temporaryDirectory(), 'file')
    writeFileSync(path, 'mine')
    await expectCode(() => DB.open(join(path, 'db')), 'WK_IO')
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  it('an unwritable directory', async () => {
    const dir = temporaryDirectory()
    chmodSync(dir, 0o555)
    await unprivileged(async () => {
      for (const path of [dir, join(dir, 'db')]) {
        const err = await expectCode(() => DB.open(path), 'WK_IO')
        expect((err.cause as NodeJS.ErrnoException).code).toBe('EACCES')
      }
    })
    expect(readdirSync(dir)).toEqual([])
  })

  it('a path with a NUL byte or of another type, or empty', async () => {
    await expectCode(() => DB.open('/tmp/wk\0db'), 'WK_INVALID_ARGUMENT')
    await expectCode(() => DB.open(42 as unknown as string), 'WK_INVALID_ARGUMENT')
    await expectCode(() => DB.open(undefined as unknown as string), 'WK_INVALID_ARGUMENT')
    await expectCode(() => DB.open(''), 'WK_INVALID_ARGUMENT')
  })

  it('a directory that holds our tables or value logs but no manifest', async () => {
    const at = nodePlace()
    const db = await at.open()
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(300, i))
    await db.flush()
    await db.close()
    for (const name of readdirSync(at.dir)) if (name === 'CURRENT' || name.startsWith('MANIFEST')) unlinkSync(join(at.dir, name))
    for (const options of [{}, { createIfMissing: true }, { createIfMissing: false }, { readOnly: true }]) {
      const before = contentsOf(at.dir)
      await expectCode(() => at.open(options), 'WK_CORRUPTION')
      expect(contentsOf(at.dir)).toEqual(before)
    }
  })

  it('CURRENT that names nothing, or nonsense', async () => {
    for (const content of ['MANIFEST-999999\n', '../../etc/passwd\n', 'MANIFEST-1', '', 'rubbish']) {
      const at = nodePlace()
      const db = await at.open()
      await db.put('k', large(500))
      await db.flush()
      await db.close()
      writeFileSync(join(at.dir, 'CURRENT'), content)
      const before = contentsOf(at.dir)
      await expectCode(() => at.open(), 'WK_CORRUPTION')
      expect(contentsOf(at.dir)).toEqual(before)
    }
  })
})

describe('missing pieces', () => {
  for (const [what, pattern] of [
    ['table', /\.sst$/],
    ['value log', /\.vlog$/],
    ['manifest', /^MANIFEST-/],
  ] as const) {
    it(`a ${what} that is gone is WK_CORRUPTION with its name and no offset`, async () => {
      const at = nodePlace()
      const db = await at.open()
      for (let i = 0; i < 60; i++) await db.put(`k${i}`, large(300, i))
      await db.flush()
      await db.close()
      const name = readdirSync(at.dir).find((one) => pattern.test(one)) as string
      unlinkSync(join(at.dir, name))
      const before = contentsOf(at.dir)
      const err = await expectCode(async () => {
        const broken = await at.open()
        await broken.close()
      }, 'WK_CORRUPTION')
      expect(err.file).toBe(name)
      expect(err.offset).toBeUndefined()
      expect(contentsOf(at.dir)).toEqual(before)
    })
  }

  it('a value log that only a log of an unclean end refers to is named, and trying again leaves nothing behind', async () => {
    const at = memoryPlace()
    const db = await at.open()
    for (let i = 0; i < 60; i++) await db.put(`k${i}`, large(300, i), { sync: true })
    const fs = at.fs.crashClone('P1', 1)
    await fs.remove(`${at.dir}/000001.vlog`)
    const names: string[][] = []
    for (let attempt = 0; attempt < 4; attempt++) {
      const err = await expectCode(() => at.open({ fs }), 'WK_CORRUPTION')
      expect(err).toMatchObject({ file: '000001.vlog', offset: undefined })
      names.push(await fs.list(at.dir))
    }
    expect(names.map((list) => list.filter((name) => name.startsWith('MANIFEST-')).length)).toEqual([1, 1, 1, 1])
    expect(names.map((list) => list.filter((name) => name.endsWith('.sst')).length)).toEqual([0, 0, 0, 0])
  })

  it('the tables that a refused opening has written are gone again', async () => {
    const at = memoryPlace()
    const db = await at.open({ memTableSize: 4 << 20, valueThreshold: 1000 })
    for (let i = 0; i < 1000; i++) await db.put(`k${i}`, large(300, i))
    for (let i = 0; i < 10; i++) await db.put(`long${i}`, large(2000, i), { sync: true })
    const fs = at.fs.crashClone('P1', 1)
    await fs.remove(`${at.dir}/000001.vlog`)
    const before = await fs.list(at.dir)
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await expectCode(() => at.open({ fs }), 'WK_CORRUPTION')).toMatchObject({ file: '000001.vlog', offset: undefined })
      const after = await fs.list(at.dir)
      expect(after).toHaveLength(before.length)
      expect(after.filter((name) => !before.includes(name) && !name.startsWith('MANIFEST-'))).toEqual([])
    }
  })

  it('stray empty files alone are no database that has lost its manifest', async () => {
    const at = nodePlace()
    mkdirSync(at.dir)
    for (const name of ['000900.vlog', '000901.sst', '000902.wal']) writeFileSync(join(at.dir, name), '')
    await expectCode(() => at.open({ createIfMissing: false }), 'WK_NOT_FOUND')
    const db = await at.open()
    expect(await all(db.keys())).toEqual([])
    await db.put('k', large(300))
    await db.close()
    // The highest number of a value log stays until a higher one is there.
    await (await at.open()).close()
    for (const name of readdirSync(at.dir)) if (name !== 'LOCK') expect(statSync(join(at.dir, name)).size, name).toBeGreaterThan(0)
  })

  it('stray empty files with numbered names of ours are ignored and removed, foreign files are left alone', async () => {
    const at = nodePlace()
    const db = await at.open()
    for (let i = 0; i < 20; i++) await db.put(`k${i}`, large(300, i))
    await db.close()
    const strays = ['000900.vlog', '000901.sst', '000902.wal', '000007.rlog', '000007.rlog.tmp']
    const foreign = ['notes.txt', '.DS_Store', '._000001.vlog', '1.vlog', '000001.vlog.bak', 'MANIFEST-x', '-1.sst']
    for (const name of [...strays, ...foreign]) if (!existsSync(join(at.dir, name))) writeFileSync(join(at.dir, name), foreign.includes(name) ? 'mine' : '')
    mkdirSync(join(at.dir, 'sub'))
    const again = await at.open()
    for (let i = 0; i < 20; i++) expect(await again.get(`k${i}`)).toEqual(large(300, i))
    await again.put('more', large(300))
    await again.close()
    const names = readdirSync(at.dir)
    for (const name of strays) expect(names).not.toContain(name)
    for (const name of foreign) expect(readFileSync(join(at.dir, name), 'utf8'), name).toBe('mine')
    expect(statSync(join(at.dir, 'sub')).isDirectory()).toBe(true)
  })

  it('a stray empty value log is removed by opening alone, its number the highest or not', async () => {
    for (const name of ['000900.vlog', '000002.vlog']) {
      const at = nodePlace()
      const db = await at.open()
      await db.put('k', large(300))
      await db.close()
      const before = readdirSync(at.dir).filter((one) => one.endsWith('.vlog'))
      writeFileSync(join(at.dir, name), '')
      const again = await at.open()
      expect(await again.get('k')).toEqual(large(300))
      expect(readdirSync(at.dir).filter((one) => one.endsWith('.vlog'))).toEqual(before)
      await again.put('k', large(300, 1))
      await again.close()
      const third = await at.open()
      expect(await third.get('k')).toEqual(large(300, 1))
      expect((await third.verify()).ok).toBe(true)
      await third.close()
    }
  })

  it('a symbolic link in place of a file is refused and not followed', async () => {
    const at = nodePlace()
    const db = await at.open()
    await db.put('k', large(300))
    await db.flush()
    await db.close()
    const target = join(temporaryDirectory(), 'target')
    const name = readdirSync(at.dir).find((one) => one.endsWith('.sst')) as string
    writeFileSync(target, readFileSync(join(at.dir, name)))
    unlinkSync(join(at.dir, name))
    symlinkSync(target, join(at.dir, name))
    await expect(at.open().then((again) => again.get('k'))).rejects.toMatchObject({ code: expect.stringMatching(/WK_CORRUPTION|WK_IO/) as string })
  })
})

describe('readOnly', () => {
  async function filled(): Promise<ReturnType<typeof nodePlace>> {
    const at = nodePlace()
    const db = await at.open()
    for (let i = 0; i < 40; i++) await db.put(`k${i}`, large(i * 20, i))
    await db.flush()
    for (let i = 0; i < 10; i++) await db.put(`k${i}`, large(500, 100 + i))
    await db.close()
    return at
  }

  it('reads everything, changes no file, and shares the directory with other readers where locks can be shared', async () => {
    const at = await filled()
    const readers = (await locksAreShared(`${at.dir}/LOCK`)) ? 2 : 1
    const before = contentsOf(at.dir)
    const opened = await Promise.all(Array.from({ length: readers }, () => at.open({ readOnly: true })))
    for (const db of opened) {
      for (let i = 0; i < 40; i++) expect(await db.get(`k${i}`)).toEqual(i < 10 ? large(500, 100 + i) : large(i * 20, i))
      expect((await all(db)).length).toBe(40)
      expect((await db.verify()).ok).toBe(true)
    }
    for (const db of opened) await db.close()
    expect(contentsOf(at.dir)).toEqual(before)
  })

  it('refuses every write with WK_READ_ONLY', async () => {
    const db = await (await filled()).open({ readOnly: true })
    for (const write of [
      () => db.put('k', 'v'),
      () => db.del('k'),
      () => db.batch([{ type: 'del', key: 'k' }]),
      () => db.clear(),
      () => db.flush(),
      () => db.compact(),
      () => db.runValueLogGC(0.5),
    ]) {
      await expectCode(write, 'WK_READ_ONLY')
    }
  })

  it('on nothing is WK_NOT_FOUND and creates nothing', async () => {
    const at = nodePlace()
    await expectCode(() => at.open({ readOnly: true }), 'WK_NOT_FOUND')
    expect(existsSync(at.dir)).toBe(false)
  })

  it('keeps a writer out as long as it is open', async () => {
    const at = await filled()
    const reader = await at.open({ readOnly: true })
    await expectCode(() => at.open(), 'WK_LOCKED')
    await reader.close()
    await at.open()
  })

  it('works on an unclean image: the WAL is replayed in memory, no file changes', async () => {
    const at = memoryPlace()
    const db = await at.open()
    await db.put('a', large(300, 1))
    await db.flush()
    await db.put('b', large(300, 2))
    await db.put('c', 'small')
    const image = at.fs.crashClone('P1', 1)
    const reader = memoryPlace(image)
    let operations = 0
    image.onMutatingOperation = () => {
      operations++
    }
    const view = await reader.open({ readOnly: true })
    expect(await view.get('a')).toEqual(large(300, 1))
    expect(await view.get('b')).toEqual(large(300, 2))
    expect(text(await view.get('c'))).toBe('small')
    await view.close()
    expect(operations).toBe(0)
  })

  it('works in an unwritable directory', async () => {
    const at = await filled()
    for (const name of readdirSync(at.dir)) chmodSync(join(at.dir, name), 0o444)
    chmodSync(at.dir, 0o555)
    chmodSync(dirname(at.dir), 0o755)
    await unprivileged(async () => {
      const db = await at.open({ readOnly: true })
      expect(await db.get('k5')).toEqual(large(500, 105))
      await db.close()
    })
    chmodSync(at.dir, 0o700)
  })

  async function all(db: DB): Promise<unknown[]> {
    const out: unknown[] = []
    for await (const entry of db.iterator()) out.push(entry)
    return out
  }
})

describe('DB.destroy', () => {
  it('is WK_LOCKED while open, then removes our files and the empty directory, and again resolves', async () => {
    const at = nodePlace()
    const db = await at.open()
    await db.put('k', large(500))
    await expectCode(() => at.destroy(), 'WK_LOCKED')
    expect(await db.get('k')).toEqual(large(500))
    await db.close()
    await at.destroy()
    expect(existsSync(at.dir)).toBe(false)
    await at.destroy()
  })

  it('leaves foreign files, and directories of any name, and their directory', async () => {
    const at = nodePlace()
    const db = await at.open()
    for (let i = 0; i < 30; i++) await db.put(`k${i}`, large(500, i))
    await db.flush()
    await db.close()
    writeFileSync(join(at.dir, 'notes.txt'), 'mine')
    mkdirSync(join(at.dir, '000777.sst'))
    writeFileSync(join(at.dir, '000777.sst', 'inside.txt'), 'mine')
    await at.destroy()
    expect(readdirSync(at.dir).sort()).toEqual(['000777.sst', 'notes.txt'])
    expect(readdirSync(join(at.dir, '000777.sst'))).toEqual(['inside.txt'])
    rmSync(at.dir, { recursive: true })
  })

  it('through a link removes our files and leaves the link with its empty directory, and again resolves', async () => {
    const at = nodePlace()
    await (await at.open()).close()
    const link = `${at.dir}-link`
    symlinkSync(at.dir, link)
    await DB.destroy(link)
    expect(readdirSync(link)).toEqual([])
    await DB.destroy(link)
    rmSync(link)
    rmSync(at.dir, { recursive: true })
  })

  it('leaves an empty directory that a file system is mounted at, and tells of any other one that cannot go', async () => {
    const memory = new MemoryFileSystem()
    const fs = new FaultFileSystem(memory, [
      { operation: 'rmdir', errno: 'EBUSY' },
      { operation: 'rmdir', index: 1, errno: 'EACCES' },
    ])
    await (await DB.open('/db', { fs })).close()
    await DB.destroy('/db', { fs })
    expect(await memory.list('/db')).toEqual([])
    await expectCode(() => DB.destroy('/db', { fs }), 'WK_IO')
  })

  it('works in memory', async () => {
    const at = memoryPlace()
    const db = await at.open()
    await db.put('k', large(500))
    await db.close()
    await at.destroy()
    expect(await at.fs.list(at.dir).catch(() => [])).toEqual([])
    expect(await (await at.open()).get('k')).toBeUndefined()
  })
})

describe('option values', () => {
  const bad: Record<string, unknown[]> = {
    createIfMissing: ['yes', 1],
    valueThreshold: [-1, 1.5, NaN, '64'],
    valueLogFileSize: [0, 4095, 2 ** 31 + 1, 1.5],
    valueLogMaxEntries: [0, -1],
    memTableSize: [0, 65535, NaN],
    blockSize: [0],
    bloomBitsPerKey: [-1],
    tableSize: [0],
    compression: ['zstd'],
    maxBatchCount: [0],
    maxBatchSize: [0],
    maxOpenFiles: [0],
    workers: [-1],
    syncWrites: ['true'],
    gc: [{ maxSpaceAmp: 1 }, { maxSpaceAmp: 0 }, 5],
  }
  for (const [name, values] of Object.entries(bad)) {
    it(`${name} out of range is WK_INVALID_ARGUMENT, and nothing is created`, async () => {
      const at = nodePlace()
      for (const value of values) await expectCode(() => at.open({ [name]: value } as never), 'WK_INVALID_ARGUMENT')
      expect(existsSync(at.dir)).toBe(false)
    })
  }

  it('the smallest sizes of the contract are accepted', async () => {
    const db = keep(await DB.open(nodePlace().dir, { memTableSize: 65536, valueLogFileSize: 4096, valueLogMaxEntries: 1, valueThreshold: 0 }))
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(i, i))
    for (let i = 0; i < 50; i++) expect(await db.get(`k${i}`)).toEqual(large(i, i))
  })
})
