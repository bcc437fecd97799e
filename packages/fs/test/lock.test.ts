import * as nodeFs from 'node:fs'
import { join } from 'node:path'
import { errnoOf, LockedError } from '@wk/codec'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MemoryFileSystem, NodeFileSystem } from '../src/index.js'
import { takeLock } from '../src/lock.js'
import { parseHolder } from '../src/lock-holder.js'
import type { LockPort } from '../src/lock-port.js'
import { loadNativeExtensions } from '../src/native-extensions.js'
import { bundle, removeBundle } from './support/bundle.js'
import { childProcess, workerThread } from './support/lock-child.js'
import { temporaryDirectory } from './support/temporary.js'

const variants = ['default', 'native', 'socket', 'pidfile'].filter(
  (variant) =>
    (variant !== 'native' || loadNativeExtensions() !== undefined) &&
    (variant !== 'socket' || process.platform === 'linux'),
)

function fileSystem(variant: string): NodeFileSystem {
  return new NodeFileSystem(variant === 'default' ? {} : { lockVariant: variant as 'native' | 'socket' | 'pidfile' })
}

async function refusal(promise: Promise<unknown>): Promise<LockedError> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason)
  expect(error).toBeInstanceOf(LockedError)
  return error as LockedError
}

beforeAll(async () => void (await bundle()))
afterAll(removeBundle)

test('the optional dependency is used where it is installed', async () => {
  const path = join(temporaryDirectory(), 'LOCK')
  const lock = await new NodeFileSystem().lock(path)
  const expected = loadNativeExtensions() !== undefined ? 'native' : process.platform === 'linux' ? 'socket' : 'pidfile'
  expect(parseHolder(nodeFs.readFileSync(path, 'latin1'))).toMatchObject({ pid: process.pid, variant: expected })
  await lock.release()
})

describe.each(variants)('directory lock, variant %s', (variant) => {
  const fs = fileSystem(variant)

  test('another process is refused, is told the pid, and gets the lock after release', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const lock = await fs.lock(path)
    const refused = await childProcess(path, variant)
    expect(refused.first).toBe(`refused WK_LOCKED ${process.pid} undefined`)
    await lock.release()
    const holder = await childProcess(path, variant)
    expect(holder.first).toBe('locked')
    const error = await refusal(fs.lock(path))
    expect(error.pid).toBe(holder.pid)
    expect(error.message).toContain(String(holder.pid))
    await holder.release()
    await (await fs.lock(path)).release()
  })

  test('SIGKILL of the holder frees the lock at once', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    for (let round = 0; round < 3; round++) {
      const holder = await childProcess(path, variant)
      expect(holder.first).toBe('locked')
      await holder.kill()
      const started = performance.now()
      const lock = await fs.lock(path)
      expect(performance.now() - started).toBeLessThan(5000)
      await lock.release()
    }
  })

  test('a second open in the same thread is refused, through other instances too', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const lock = await fs.lock(path)
    expect((await refusal(fs.lock(path))).pid).toBe(process.pid)
    expect((await refusal(fileSystem(variant).lock(path))).message).toContain(`this process (pid ${process.pid})`)
    await lock.release()
  })

  test('a worker thread is refused, and holds a lock of its own', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const lock = await fs.lock(path)
    expect((await workerThread(path, variant)).first).toBe(`refused WK_LOCKED ${process.pid} undefined`)
    await lock.release()
    const worker = await workerThread(path, variant)
    expect(worker.first).toBe('locked')
    await refusal(fs.lock(path))
    await worker.release()
    await (await fs.lock(path)).release()
  })

  test.runIf(variant !== 'pidfile')('a worker thread that is terminated lets go', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const worker = await workerThread(path, variant)
    expect(worker.first).toBe('locked')
    await worker.kill()
    await (await fs.lock(path)).release()
  })

  test('of several processes that race one wins', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const rivals = await Promise.all(Array.from({ length: 5 }, () => childProcess(path, variant)))
    expect(rivals.filter((rival) => rival.first === 'locked')).toHaveLength(1)
  })

  test('the line of a dead holder, an older boot or garbage is no obstacle', async () => {
    const dir = temporaryDirectory()
    const lines = ['', 'garbage', '1 2 3', '999999999 1 - pidfile\n', `${process.pid} 1 - pidfile\n`, `${process.pid} - 0-0 native\n`]
    for (const [index, line] of lines.entries()) {
      if (line.includes('- pidfile') && process.platform !== 'linux') continue
      const path = join(dir, `LOCK${index}`)
      nodeFs.writeFileSync(path, line)
      await (await fs.lock(path)).release()
    }
  })

  test('a LOCK that is replaced while it is held excludes no one falsely', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const first = await fs.lock(path)
    nodeFs.unlinkSync(path)
    const second = await fs.lock(path)
    await first.release()
    await refusal(fs.lock(path))
    await second.release()
    await (await fs.lock(path)).release()
  })

  test('a shared lock changes no byte of an existing LOCK, also in a directory that cannot be written', async () => {
    const dir = temporaryDirectory()
    const path = join(dir, 'LOCK')
    nodeFs.writeFileSync(path, variant === 'pidfile' ? '' : 'left alone', { mode: 0o644 })
    nodeFs.chmodSync(path, 0o444)
    nodeFs.chmodSync(dir, 0o555)
    const ids = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
    const reader = await childProcess(path, variant, 'shared', ids)
    if (reader.first.startsWith('died')) return // That user cannot read the sources at all.
    expect(reader.first).toBe('locked')
    expect((await childProcess(path, variant, 'exclusive', ids)).first).toBe('refused WK_IO undefined EACCES')
    await reader.release()
    expect(nodeFs.readFileSync(path, 'utf8')).toBe(variant === 'pidfile' ? '' : 'left alone')
    nodeFs.chmodSync(dir, 0o755)
    nodeFs.unlinkSync(path)
    nodeFs.chmodSync(dir, 0o555)
    const alone = await childProcess(path, variant, 'shared', ids)
    expect(alone.first).toBe('locked')
    await alone.release()
    expect(nodeFs.readdirSync(dir)).toEqual([])
    nodeFs.chmodSync(dir, 0o755)
  })

  test('nothing but LOCK is left in the directory', async () => {
    const dir = temporaryDirectory()
    const path = join(dir, 'LOCK')
    nodeFs.writeFileSync(path, '999999999 1 - pidfile\n')
    const lock = await fs.lock(path)
    await refusal(fs.lock(path))
    expect(nodeFs.readdirSync(dir)).toEqual(['LOCK'])
    await lock.release()
    expect(nodeFs.readdirSync(dir)).toEqual(variant === 'pidfile' ? [] : ['LOCK'])
  })
})

test('in memory, whoever locks while a reader lets go holds the lock that the path names', async () => {
  const fs = new MemoryFileSystem()
  const reader = await fs.lock('/LOCK', { shared: true })
  const released = reader.release()
  const writer = await fs.lock('/LOCK')
  await released
  await refusal(fs.lock('/LOCK'))
  await writer.release()
})

test.each(variants)('a reader leaves no LOCK where there was none, and keeps writers out until then, variant %s', async (variant) => {
  const dir = temporaryDirectory()
  const path = join(dir, 'LOCK')
  const fs = fileSystem(variant)
  const reader = await fs.lock(path, { shared: true })
  // It leaves no line that would tell, and is named all the same.
  expect(await refusal(fs.lock(path))).toMatchObject({ pid: process.pid, message: expect.stringContaining(`pid ${process.pid}`) as string })
  await reader.release()
  expect(nodeFs.readdirSync(dir)).toEqual([])
  const writer = await fs.lock(path)
  await refusal(fs.lock(path, { shared: true }))
  await writer.release()
})

describe.runIf(variants.includes('native'))('native lock', () => {
  test('readers in several processes share, writers are kept out', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const fs = new NodeFileSystem()
    const here = await fs.lock(path, { shared: true })
    const there = await childProcess(path, 'native', 'shared')
    expect(there.first).toBe('locked')
    await refusal(fs.lock(path))
    await here.release()
    expect((await refusal(fs.lock(path))).pid).toBeUndefined()
    await there.kill()
    await (await fs.lock(path)).release()
  })

  test('a LOCK that a reader made stays while another one shares it', async () => {
    const path = join(temporaryDirectory(), 'LOCK')
    const fs = new NodeFileSystem()
    const first = await fs.lock(path, { shared: true })
    const second = await fs.lock(path, { shared: true })
    await first.release()
    await refusal(fs.lock(path))
    await second.release()
    await (await fs.lock(path)).release()
  })
})

test.runIf(variants.length === 4)('holders of different variants see each other through LOCK', async () => {
  for (const [first, second] of [['native', 'socket'], ['socket', 'native'], ['pidfile', 'native'], ['native', 'pidfile']] as const) {
    const path = join(temporaryDirectory(), 'LOCK')
    const lock = await fileSystem(first).lock(path)
    expect((await childProcess(path, second)).first).toBe(`refused WK_LOCKED ${process.pid} undefined`)
    await lock.release()
    await (await fileSystem(second).lock(path)).release()
  }
})

test('a lock in a file instead of a directory is an IoError', async () => {
  const dir = temporaryDirectory()
  nodeFs.writeFileSync(join(dir, 'f'), '')
  for (const variant of variants) {
    const error = await fileSystem(variant).lock(join(dir, 'f', 'LOCK')).catch((reason: unknown) => reason)
    expect(errnoOf(error)).toBe('ENOTDIR')
    expect(error).toMatchObject({ code: 'WK_IO', operation: 'lock' })
  }
})

test('a pid file that others make and remove all the time is no lock: the attempts end with an error of the system', async () => {
  let created = 0
  const port: LockPort = {
    open: () => {
      throw Object.assign(new Error('gone'), { code: 'ENOENT' })
    },
    close: () => {},
    identity: () => '',
    identityOf: () => undefined,
    readText: () => '',
    writeText: () => {},
    createExclusive: () => {
      created++
      return false
    },
    rename: () => {},
    remove: () => {},
    processes: { bootId: () => '-', startTime: () => '-' },
  }
  const error = await takeLock(port, '/x/LOCK', {}, 'pidfile').then(() => undefined, (reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'WK_IO' })
  expect(errnoOf(error)).toBe('EIO')
  expect(created).toBeGreaterThan(1)
  expect(created).toBeLessThan(1000)
})

test.runIf(process.platform === 'linux')('a LOCK that vanishes between open and lock is not the one that is held', async () => {
  // The name is given to a second file right after the first open, as a process that destroys the directory would do.
  const files = ['first', 'second']
  const unique = `test-${process.pid}-`
  const closed: number[] = []
  let opened = 0
  const port: LockPort = {
    open: () => opened++,
    close: (fd) => void closed.push(fd),
    identity: (fd) => unique + String(files[fd]),
    identityOf: () => `${unique}second`,
    readText: () => '',
    writeText: () => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    },
    createExclusive: () => false,
    rename: () => {},
    remove: () => {},
    processes: { bootId: () => '-', startTime: () => '-' },
  }
  const lock = await takeLock(port, '/x/LOCK', {}, 'socket')
  expect([opened, closed]).toEqual([2, [0]])
  await lock.release()
  expect(closed).toEqual([0, 1])
})
