/**
 * Locations, locks, opening and closing, destroying: what classic-level tests beyond abstract-level's suite, anew.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { WkLevel } from '../src/index.js'
import { failureOf, fill, make, temporaryDirectory } from './harness.js'

it('a database that a second process holds is LEVEL_LOCKED, and is there once that process was killed', async () => {
  expect(existsSync(fileURLToPath(new URL('../dist/index.js', import.meta.url))), 'this test runs the build: build first').toBe(true)
  const location = join(temporaryDirectory(), 'db')
  const child = spawn(process.execPath, [fileURLToPath(new URL('hold-child.mjs', import.meta.url)), location], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  try {
    await once(child.stdout, 'data')
    const db = make({}, location)
    const failure = await failureOf(() => db.open())
    expect(failure).toMatchObject({ code: 'LEVEL_DATABASE_NOT_OPEN', cause: { code: 'LEVEL_LOCKED', message: expect.stringContaining(String(child.pid)) as string } })
    expect(await failureOf(() => WkLevel.destroy(location))).toMatchObject({ code: 'LEVEL_LOCKED' })
    child.kill('SIGKILL')
    await gone
    await db.open()
    expect(await db.get('from the child')).toBe('x'.repeat(5000))
  } finally {
    child.kill('SIGKILL')
  }
})

it('hanging iterators, snapshots and batches are closed with the database', async () => {
  const db = make()
  await fill(db, 50)
  const sublevel = db.sublevel('s')
  const iterators = [db.iterator(), db.keys(), db.values(), db.iterator({ reverse: true }), sublevel.iterator()]
  await db.iterator().next()
  await iterators[0]?.next()
  await iterators[1]?.nextv(3)
  const pending = iterators[2]?.next()
  db.snapshot()
  const batch = db.batch().put('unwritten', '1')
  await db.close()
  expect(await pending).toBe('0')
  for (const iterator of iterators) expect((await failureOf(() => iterator.next())).code).toBe('LEVEL_ITERATOR_NOT_OPEN')
  expect((await failureOf(() => batch.write())).code).toBe('LEVEL_BATCH_NOT_OPEN')
  await db.open()
  expect(await db.has('unwritten')).toBe(false)
  expect(db.engine.stats()).toMatchObject({ iterators: 0, snapshots: 0 })
})

it('iterators that are left to their fate do not hold up a close', async () => {
  const db = make()
  await fill(db, 1000)
  for (let i = 0; i < 1000; i++) void db.iterator().next()
  await db.close()
  expect(db.status).toBe('closed')
})

it('opens, closes and opens again, as often as one likes', async () => {
  const db = make()
  for (let i = 0; i < 20; i++) {
    await db.open()
    await db.put(String(i), String(i))
    await db.close()
    await db.close()
  }
  await db.open()
  expect((await db.keys().all()).length).toBe(20)
})

it('calls made while it opens wait for it', async () => {
  const db = make()
  void db.put('a', '1')
  void db.batch([{ type: 'put', key: 'b', value: '2' }])
  const entries = db.iterator().all()
  const value = db.get('b')
  const compacted = db.compactRange('a', 'z')
  expect(await value).toBe('2')
  expect(await entries).toEqual([['a', '1'], ['b', '2']])
  await compacted
})

it('is disposable', async () => {
  const location = join(temporaryDirectory(), 'db')
  let seen: WkLevel
  {
    await using db = new WkLevel(location)
    seen = db
    await db.put('a', '1')
    await using iterator = db.iterator()
    await using snapshot = db.snapshot()
    await db.put('a', '2')
    expect(await iterator.next()).toEqual(['a', '1'])
    expect(await db.get('a', { snapshot })).toBe('1')
  }
  expect(seen.status).toBe('closed')
})

it.each(['a b', 'ünïcödé', '文件.db', '🦊', "quote'\"`", '%41', 'new\nline', '-rf', 'a\\b', '.hidden', 'x'.repeat(200), 'not/there/yet'])('keeps a database at the odd path %j', async (name) => {
  const location = join(temporaryDirectory(), name)
  const db = make({}, location)
  await db.put('a', '1')
  await db.close()
  expect(existsSync(location)).toBe(true)
  expect(db.location).toBe(location)
  await db.open()
  expect(await db.get('a')).toBe('1')
  await db.close()
  await WkLevel.destroy(location)
  expect(existsSync(location)).toBe(false)
})

it('refuses what is no path', async () => {
  for (const location of ['', undefined, 1, null, {}] as string[]) {
    expect(() => new WkLevel(location)).toThrow(TypeError)
    expect(await failureOf(() => WkLevel.destroy(location))).toBeInstanceOf(TypeError)
  }
  const file = join(temporaryDirectory(), 'file')
  writeFileSync(file, '')
  expect((await failureOf(() => make({}, file).open())).code).toBe('LEVEL_DATABASE_NOT_OPEN')
  expect((await failureOf(() => make({}, join(file, 'below')).open())).cause?.code).toBe('LEVEL_IO_ERROR')
})

it('a relative location whose working directory is gone is LEVEL_IO_ERROR', async () => {
  const gone = temporaryDirectory()
  const before = process.cwd()
  process.chdir(gone)
  rmdirSync(gone)
  try {
    expect((await failureOf(() => new WkLevel('relative').open())).cause).toMatchObject({ code: 'LEVEL_IO_ERROR', cause: { code: 'WK_IO' } })
    expect(await failureOf(() => WkLevel.destroy('relative'))).toMatchObject({ code: 'LEVEL_IO_ERROR' })
  } finally {
    process.chdir(before)
  }
})

it('a relative location means the directory of the open, also after chdir', async () => {
  const location = join(temporaryDirectory(), 'db')
  const before = process.cwd()
  try {
    process.chdir(dirname(location))
    const db = make({}, basename(location))
    await db.put('a', 'x'.repeat(2000))
    process.chdir(temporaryDirectory())
    await db.compactRange('', '~')
    await db.put('b', 'y'.repeat(2000))
    await db.close()
    expect(db.location).toBe('db')
    expect(readdirSync('.')).toEqual([])
  } finally {
    process.chdir(before)
  }
  expect(await make({}, location).keys().all()).toEqual(['a', 'b'])
})

it('destroy removes our files, leaves foreign ones and their directory, and needs no database', async () => {
  const db = make()
  await fill(db, 10, () => 'x'.repeat(2000))
  await db.close()
  writeFileSync(join(db.location, 'notes.txt'), 'mine')
  writeFileSync(join(db.location, '000001.ldb'), 'another engine’s')
  mkdirSync(join(db.location, 'folder'))
  await WkLevel.destroy(db.location)
  expect(readdirSync(db.location).sort()).toEqual(['000001.ldb', 'folder', 'notes.txt'])
  await WkLevel.destroy(join(db.location, 'nothing'))
  await WkLevel.destroy(db.location)
})

it('destroy of an open database is LEVEL_LOCKED and destroys nothing', async () => {
  const db = make()
  await db.put('a', '1')
  expect(await failureOf(() => WkLevel.destroy(db.location))).toMatchObject({ code: 'LEVEL_LOCKED', cause: { code: 'WK_LOCKED' } })
  expect(await db.get('a')).toBe('1')
})

it('takes the option names of classic-level', async () => {
  const db = make({ compression: false, cacheSize: 1024 * 1024, writeBufferSize: 1024, maxFileSize: 1024 * 1024, blockSize: 4096, maxOpenFiles: 100 })
  await fill(db, 3000, (i) => `${i}`.repeat(50))
  await db.compactRange('', '~')
  expect(await db.get('002999')).toBe('2999'.repeat(50))
  await db.close()
  await db.open({ compression: true })
  expect(await db.get('000042')).toBe('42'.repeat(50))
})
