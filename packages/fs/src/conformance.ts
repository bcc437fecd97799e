/**
 * The suite every {@link FileSystem} passes, for any test runner that has `describe` and `test`.
 *
 * Guarantees: needs nothing from the runner but those two; leaves nothing behind in the directory it is given except
 * below it. Left to others: durability (see the crash tests of the in-memory file system) and locks across processes.
 */
import { errnoOf, InvalidArgumentError, IoError, LockedError, NotSupportedError } from '@wk/codec'
import type { File, FileSystem } from './file-system.js'
import { isNotFound } from './errno.js'
import { readFully, readFullySync, writeFully, writeFullySync } from './full-io.js'

/** What the suite needs of a test runner. */
export interface TestApi {
  describe(name: string, body: () => void): void
  test(name: string, body: () => Promise<void>): void
}

/** A file system under test, made afresh for every test. */
export interface ConformanceSubject {
  fs: FileSystem
  /** An existing empty directory to work in. */
  dir: string
  /** Called when the test is over. */
  dispose?(): Promise<void>
}

export interface ConformanceOptions {
  /** Tests that are known to fail: name of the test to reason. A name that is no test of the suite is an error. */
  knownGaps?: Readonly<Record<string, string>>
}

type Case = (fs: FileSystem, dir: string) => Promise<void>

/** Declares the suite. @param subject makes the file system for one test */
export function fileSystemConformance(
  api: TestApi,
  name: string,
  subject: () => Promise<ConformanceSubject>,
  options: ConformanceOptions = {},
): void {
  const gaps = options.knownGaps ?? {}
  const unknown = Object.keys(gaps).find((gap) => !(gap in CASES))
  if (unknown !== undefined) throw new InvalidArgumentError(`knownGaps names no test of the suite: ${unknown}`)
  api.describe(`file system conformance: ${name}`, () => {
    for (const [title, body] of Object.entries(CASES)) {
      if (title in gaps) continue
      api.test(title, async () => {
        const { fs, dir, dispose } = await subject()
        try {
          await body(fs, dir)
        } finally {
          await dispose?.()
        }
      })
    }
  })
}

const CASES: Readonly<Record<string, Case>> = {
  'create is exclusive and opens for reading and writing': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    same(file.path, `${dir}/a`, 'path')
    await writeFully(file, text('hello'), 0, 5, 0)
    same(await contentOf(file), 'hello', 'content')
    await fails(fs.open(`${dir}/a`, 'create'), 'EEXIST')
    throws(() => fs.openSync(`${dir}/a`, 'create'), 'EEXIST')
    await file.close()
  },

  'read and update need an existing file; read refuses to write': async (fs, dir) => {
    await fails(fs.open(`${dir}/a`, 'read'), 'ENOENT')
    await fails(fs.open(`${dir}/a`, 'update'), 'ENOENT')
    throws(() => fs.openSync(`${dir}/a`, 'read'), 'ENOENT')
    check(isNotFound(await caught(fs.open(`${dir}/a`, 'read'))), 'isNotFound')
    await put(fs, `${dir}/a`, 'one')
    const update = fs.openSync(`${dir}/a`, 'update')
    writeFullySync(update, text('two'), 0, 3, 0)
    const read = await fs.open(`${dir}/a`, 'read')
    same(await contentOf(read), 'two', 'content')
    check((await caught(read.write(text('x'), 0, 1, 0))) instanceof IoError, 'write through a read handle')
    throws(() => read.writeSync(text('x'), 0, 1, 0))
    await Promise.all([update.close(), read.close()])
  },

  'files in missing directories, directories as files and files as directories are refused': async (fs, dir) => {
    await put(fs, `${dir}/f`, '')
    await fs.mkdir(`${dir}/d`)
    await fails(fs.open(`${dir}/none/f`, 'create'), 'ENOENT')
    await fails(fs.open(`${dir}/f/x`, 'read'), 'ENOTDIR')
    await fails(fs.open(`${dir}/d`, 'read'), 'EISDIR')
    check((await caught(fs.open(`${dir}/d`, 'update'))) instanceof IoError, 'directory for update')
    await fails(fs.open(`${dir}/d`, 'create'), 'EEXIST')
    throws(() => fs.openSync(`${dir}/d`, 'read'), 'EISDIR')
  },

  'reads and writes use the given part of the buffer and the given place': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    await writeFully(file, text('..abc..'), 2, 3, 0)
    writeFullySync(file, text('DE'), 0, 2, 3)
    same(file.sizeSync(), 5, 'size')
    const into = new Uint8Array(8).fill(46)
    same(await readFully(file, into, 1, 6, 0), 5, 'bytes read')
    same(string(into), '.abcDE..', 'buffer')
    same(readFullySync(file, into, 0, 2, 3), 2, 'bytes read')
    same(string(into), 'DEbcDE..', 'buffer')
    same(await file.read(into, 0, 8, 5), 0, 'at the end')
    same(file.readSync(into, 0, 8, 500), 0, 'behind the end')
    same(await file.read(into, 0, 0, 0), 0, 'nothing asked')
    same(file.readSync(new Uint8Array(0), 0, 0, 0), 0, 'empty buffer')
    same(await file.write(into, 0, 0, 100), 0, 'nothing written')
    same(await file.size(), 5, 'size')
    await file.close()
  },

  'a write overwrites in place, wherever it is: files are not opened for appending': async (fs, dir) => {
    await put(fs, `${dir}/a`, 'abcdef')
    const file = await fs.open(`${dir}/a`, 'update')
    await writeFully(file, text('XY'), 0, 2, 1)
    writeFullySync(file, text('Z'), 0, 1, 4)
    same(await contentOf(file), 'aXYdZf', 'content')
    await file.close()
  },

  'a gap reads as zeros': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    await writeFully(file, text('x'), 0, 1, 200_000)
    same(await file.size(), 200_001, 'size')
    const into = new Uint8Array(200_001).fill(1)
    same(await readFully(file, into, 0, into.length, 0), into.length, 'bytes read')
    check(into.subarray(0, 200_000).every((byte) => byte === 0), 'zeros')
    same(into[200_000], 120, 'last byte')
    await file.close()
  },

  'truncate cuts, and extends with zeros': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    const bytes = new Uint8Array(150_000).fill(7)
    await writeFully(file, bytes, 0, bytes.length, 0)
    await file.truncate(70_000)
    same(await file.size(), 70_000, 'size')
    await file.truncate(140_000)
    const into = new Uint8Array(140_000).fill(1)
    same(await readFully(file, into, 0, into.length, 0), into.length, 'bytes read')
    check(into.subarray(0, 70_000).every((byte) => byte === 7), 'kept')
    check(into.subarray(70_000).every((byte) => byte === 0), 'zeros')
    await file.truncate(0)
    same(file.sizeSync(), 0, 'size')
    await file.close()
  },

  'ranges outside the buffer or the file are refused': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    const bytes = new Uint8Array(4)
    for (const [offset, length, position] of [[0, 5, 0], [3, 2, 0], [-1, 1, 0], [0, -1, 0], [0, 1, -1], [0, 0.5, 0], [0, 1, NaN]]) {
      const range = [offset as number, length as number, position as number] as const
      check((await caught(file.read(bytes, ...range))) instanceof InvalidArgumentError, `read ${range}`)
      check((await caught(file.write(bytes, ...range))) instanceof InvalidArgumentError, `write ${range}`)
      check(thrown(() => file.readSync(bytes, ...range)) instanceof InvalidArgumentError, `readSync ${range}`)
      check(thrown(() => file.writeSync(bytes, ...range)) instanceof InvalidArgumentError, `writeSync ${range}`)
    }
    check((await caught(file.truncate(-1))) instanceof InvalidArgumentError, 'truncate')
    same(await file.size(), 0, 'size')
    await file.close()
  },

  'sync and syncDir succeed, on read handles too': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    await writeFully(file, text('x'), 0, 1, 0)
    await file.sync()
    file.syncSync()
    await fs.syncDir(dir)
    const read = await fs.open(`${dir}/a`, 'read')
    await read.sync()
    await Promise.all([file.close(), read.close()])
    check(isNotFound(await caught(fs.syncDir(`${dir}/none`))), 'missing directory')
    await fails(fs.syncDir(`${dir}/a`), 'ENOTDIR')
  },

  'a closed file refuses everything, and closing is idempotent': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    const bytes = new Uint8Array(1)
    const closing = file.close()
    throws(() => file.readSync(bytes, 0, 1, 0), 'EBADF')
    throws(() => file.writeSync(bytes, 0, 1, 0), 'EBADF')
    throws(() => file.syncSync(), 'EBADF')
    throws(() => file.sizeSync(), 'EBADF')
    await closing
    for (const refused of [file.read(bytes, 0, 1, 0), file.write(bytes, 0, 1, 0), file.truncate(0), file.sync(), file.size()]) {
      await fails(refused, 'EBADF')
    }
    await file.close()
    file.closeSync()
  },

  'close waits for the operations in flight': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    const bytes = new Uint8Array(100_000).fill(5)
    const writes = [0, 1, 2, 3].map((part) => writeFully(file, bytes, part * 25_000, 25_000, part * 25_000))
    const settled = Promise.allSettled(writes)
    await file.close()
    for (const result of await settled) same(result.status, 'fulfilled', 'write in flight at close')
    const again = await fs.open(`${dir}/a`, 'read')
    const into = new Uint8Array(100_000)
    const reads = [again.read(into, 0, 50_000, 0), again.read(into, 50_000, 50_000, 50_000)]
    again.closeSync()
    same((await Promise.all(reads)).every((count) => count > 0), true, 'reads in flight at closeSync')
    throws(() => again.readSync(into, 0, 1, 0), 'EBADF')
    await again.close()
  },

  'rename replaces, keeps the content, and needs a source': async (fs, dir) => {
    await put(fs, `${dir}/a`, 'new')
    await put(fs, `${dir}/b`, 'old')
    const open = await fs.open(`${dir}/b`, 'read')
    await fs.rename(`${dir}/a`, `${dir}/b`)
    same((await fs.list(dir)).join(), 'b', 'names')
    same(await get(fs, `${dir}/b`), 'new', 'content')
    same(await contentOf(open), 'old', 'content behind an open handle')
    await open.close()
    await fails(fs.rename(`${dir}/a`, `${dir}/c`), 'ENOENT')
    await fails(fs.rename(`${dir}/b`, `${dir}/none/b`), 'ENOENT')
    same((await fs.list(dir)).join(), 'b', 'names')
  },

  'remove unlinks files only; open handles stay usable': async (fs, dir) => {
    await put(fs, `${dir}/a`, 'bytes')
    const file = await fs.open(`${dir}/a`, 'update')
    await fs.remove(`${dir}/a`)
    same((await fs.list(dir)).length, 0, 'names')
    await writeFully(file, text('B'), 0, 1, 0)
    same(await contentOf(file), 'Bytes', 'content')
    await file.close()
    await fails(fs.remove(`${dir}/a`), 'ENOENT')
    await fs.mkdir(`${dir}/d`)
    check((await caught(fs.remove(`${dir}/d`))) instanceof IoError, 'remove of a directory')
    same((await fs.list(dir)).join(), 'd', 'names')
  },

  'list gives sorted names of files and directories': async (fs, dir) => {
    for (const name of ['b', 'a', 'B', '10', '9', '.hidden']) await put(fs, `${dir}/${name}`, '')
    await fs.mkdir(`${dir}/c`)
    same((await fs.list(dir)).join(), '.hidden,10,9,B,a,b,c', 'names')
    await fails(fs.list(`${dir}/none`), 'ENOENT')
    await fails(fs.list(`${dir}/a`), 'ENOTDIR')
  },

  'mkdir creates parents, says whether it created, and refuses files': async (fs, dir) => {
    same(await fs.mkdir(`${dir}/x/y/z`), true, 'created')
    same(await fs.mkdir(`${dir}/x/y/z`), false, 'created')
    same(await fs.mkdir(`${dir}/x/y/w/`), true, 'created')
    same(await fs.mkdir(dir), false, 'created')
    same((await fs.list(`${dir}/x/y`)).join(), 'w,z', 'names')
    await put(fs, `${dir}/f`, '')
    await fails(fs.mkdir(`${dir}/f`), 'EEXIST')
    await fails(fs.mkdir(`${dir}/f/d`), 'ENOTDIR')
    const results = await Promise.all([fs.mkdir(`${dir}/p/q`), fs.mkdir(`${dir}/p/q`)])
    check(results.includes(true), 'one of two creates')
  },

  'rmdir removes empty directories only': async (fs, dir) => {
    await fs.mkdir(`${dir}/d`)
    await put(fs, `${dir}/d/f`, '')
    await fails(fs.rmdir(`${dir}/d`), 'ENOTEMPTY')
    await fails(fs.rmdir(`${dir}/d/f`), 'ENOTDIR')
    await fs.remove(`${dir}/d/f`)
    await fs.rmdir(`${dir}/d`)
    await fails(fs.rmdir(`${dir}/d`), 'ENOENT')
  },

  'link gives a file a second name': async (fs, dir) => {
    await put(fs, `${dir}/a`, 'one')
    await fs.link(`${dir}/a`, `${dir}/b`)
    const file = await fs.open(`${dir}/b`, 'update')
    await writeFully(file, text('two'), 0, 3, 0)
    await file.close()
    same(await get(fs, `${dir}/a`), 'two', 'content through the first name')
    await fs.remove(`${dir}/a`)
    same(await get(fs, `${dir}/b`), 'two', 'content through the second name')
    await put(fs, `${dir}/c`, '')
    await fails(fs.link(`${dir}/b`, `${dir}/c`), 'EEXIST')
    await fails(fs.link(`${dir}/none`, `${dir}/d`), 'ENOENT')
  },

  'punch makes a range zeros, gives room back and keeps the size; or it is not supported': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    const bytes = new Uint8Array(65_536).fill(7)
    await writeFully(file, bytes, 0, bytes.length, 0)
    await file.sync()
    const before = await file.usage()
    same(before.links, 1, 'names')
    const error = await file.punch(5_000, 40_000).then(() => undefined, (reason: unknown) => reason)
    if (error === undefined) {
      bytes.fill(0, 5_000, 45_000)
      check((await file.usage()).allocated <= before.allocated, 'room')
      await file.punch(60_000, 100_000)
      bytes.fill(0, 60_000)
      await file.punch(70_000, 10)
      await file.punch(3, 0)
    } else {
      check(error instanceof NotSupportedError, `punch: ${String(error)}`)
    }
    same(await file.size(), 65_536, 'size')
    same(await contentOf(file), string(bytes), 'content')
    await fs.link(`${dir}/a`, `${dir}/b`)
    same((await file.usage()).links, 2, 'names after a link')
    await fs.remove(`${dir}/a`)
    same((await file.usage()).links, 1, 'names after a removal')
    await file.close()
    await fails(file.usage(), 'EBADF')
    const read = await fs.open(`${dir}/b`, 'read')
    if (error === undefined) await caught(read.punch(0, 4_096))
    same(await contentOf(read), string(bytes), 'content after a refused hole')
    await read.close()
  },

  'a lock excludes, is released once, and can be taken again': async (fs, dir) => {
    const path = `${dir}/LOCK`
    const lock = await fs.lock(path)
    check((await caught(fs.lock(path))) instanceof LockedError, 'second lock')
    check((await caught(fs.lock(path, { shared: true }))) instanceof LockedError, 'shared beside exclusive')
    await lock.release()
    await lock.release()
    const again = await fs.lock(path)
    await lock.release()
    check((await caught(fs.lock(path))) instanceof LockedError, 'released only once')
    await again.release()
    check(isNotFound(await caught(fs.lock(`${dir}/none/LOCK`))), 'missing directory')
  },

  'shared locks exclude an exclusive one': async (fs, dir) => {
    const path = `${dir}/LOCK`
    const first = await fs.lock(path, { shared: true })
    const second = await fs.lock(path, { shared: true })
    check((await caught(fs.lock(path))) instanceof LockedError, 'exclusive beside two shared')
    await first.release()
    check((await caught(fs.lock(path))) instanceof LockedError, 'exclusive beside one shared')
    await second.release()
    await (await fs.lock(path)).release()
  },

  'a shared lock leaves no file where there was none': async (fs, dir) => {
    await (await fs.lock(`${dir}/LOCK`, { shared: true })).release()
    same((await fs.list(dir)).join(), '', 'after the only reader')
    await (await fs.lock(`${dir}/LOCK`)).release()
    const before = (await fs.list(dir)).join()
    await (await fs.lock(`${dir}/LOCK`, { shared: true })).release()
    same((await fs.list(dir)).join(), before, 'beside a file that was there')
  },

  'of many that want the lock at once one gets it': async (fs, dir) => {
    const results = await Promise.allSettled(Array.from({ length: 16 }, () => fs.lock(`${dir}/LOCK`)))
    const granted = results.filter((result) => result.status === 'fulfilled')
    same(granted.length, 1, 'locks granted')
    for (const result of granted) await result.value.release()
  },

  'failures name the path and the operation': async (fs, dir) => {
    const error = await caught(fs.open(`${dir}/none`, 'read'))
    check(error instanceof IoError, 'IoError')
    same(error.file, `${dir}/none`, 'file')
    same(error.operation, 'open', 'operation')
    same(errnoOf(error.cause), 'ENOENT', 'cause')
  },

  'large content survives in any pieces': async (fs, dir) => {
    const file = await fs.open(`${dir}/a`, 'create')
    const bytes = new Uint8Array(300_000)
    for (let index = 0; index < bytes.length; index++) bytes[index] = (index * 31 + (index >> 8)) & 255
    let at = 0
    for (let piece = 1; at < bytes.length; piece = (piece * 7) % 40_009) {
      const length = Math.min(piece, bytes.length - at)
      if (piece % 2 === 0) await writeFully(file, bytes, at, length, at)
      else writeFullySync(file, bytes, at, length, at)
      at += length
    }
    const into = new Uint8Array(bytes.length)
    for (at = 0; at < into.length; at += 10_007) {
      const length = Math.min(10_007, into.length - at)
      same(await readFully(file, into, at, length, at), length, 'bytes read')
    }
    check(into.every((byte, index) => byte === bytes[index]), 'content')
    await file.close()
  },
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`file system conformance: ${what}`)
}

function same(actual: unknown, expected: unknown, what: string): void {
  check(Object.is(actual, expected), `${what}: expected ${String(expected)}, got ${String(actual)}`)
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('file system conformance: expected a failure')
}

function thrown(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('file system conformance: expected a failure')
}

async function fails(promise: Promise<unknown>, errno: string): Promise<void> {
  requireErrno(await caught(promise), errno)
}

function throws(run: () => unknown, errno?: string): void {
  requireErrno(thrown(run), errno)
}

function requireErrno(error: unknown, errno: string | undefined): void {
  check(error instanceof IoError, `expected an IoError, got ${String(error)}`)
  if (errno !== undefined) same(errnoOf(error), errno, 'errno')
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function string(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes)
}

async function contentOf(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.size())
  same(await readFully(file, bytes, 0, bytes.length, 0), bytes.length, 'bytes read')
  return string(bytes)
}

async function put(fs: FileSystem, path: string, content: string): Promise<void> {
  const file = await fs.open(path, 'create')
  await writeFully(file, text(content), 0, content.length, 0)
  await file.close()
}

async function get(fs: FileSystem, path: string): Promise<string> {
  const file = await fs.open(path, 'read')
  try {
    return await contentOf(file)
  } finally {
    await file.close()
  }
}
