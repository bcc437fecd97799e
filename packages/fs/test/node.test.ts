import { execFileSync } from 'node:child_process'
import * as nodeFs from 'node:fs'
import { join } from 'node:path'
import { errnoOf, IoError } from '@wk/codec'
import { expect, test } from 'vitest'
import { NodeFileSystem, readFully, writeFully } from '../src/index.js'
import { temporaryDirectory } from './support/temporary.js'

const fs = new NodeFileSystem()
const unix = process.platform !== 'win32'
const linux = process.platform === 'linux'

async function failure(promise: Promise<unknown>): Promise<string | undefined> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason)
  expect(error).toBeInstanceOf(IoError)
  return errnoOf(error)
}

function openDescriptors(): number {
  return nodeFs.readdirSync('/proc/self/fd').length
}

function target(fd: string): string | undefined {
  try {
    return nodeFs.readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}

test.runIf(unix)('symbolic links are refused, whatever they point to, and nothing is created behind them', async () => {
  const dir = temporaryDirectory()
  nodeFs.writeFileSync(join(dir, 'real'), 'x')
  nodeFs.symlinkSync(join(dir, 'real'), join(dir, 'good'))
  nodeFs.symlinkSync(join(dir, 'nowhere'), join(dir, 'dangling'))
  for (const name of ['good', 'dangling']) {
    expect(await failure(fs.open(join(dir, name), 'read'))).toBe('ELOOP')
    expect(await failure(fs.open(join(dir, name), 'update'))).toBe('ELOOP')
    expect(await failure(fs.open(join(dir, name), 'create'))).toBe('EEXIST')
    expect(() => fs.openSync(join(dir, name), 'read')).toThrow(IoError)
    for (const shared of [true, false]) expect(await failure(fs.lock(join(dir, name), { shared }))).toBe('ELOOP')
  }
  expect(nodeFs.existsSync(join(dir, 'nowhere'))).toBe(false)
  expect(nodeFs.readFileSync(join(dir, 'real'), 'utf8')).toBe('x')
})

test.runIf(unix)('pipes and devices are refused without waiting', async () => {
  const dir = temporaryDirectory()
  execFileSync('mkfifo', [join(dir, 'pipe')])
  const started = performance.now()
  expect(await failure(fs.open(join(dir, 'pipe'), 'read'))).toBe('EINVAL')
  expect(await failure(fs.open(join(dir, 'pipe'), 'update'))).toBe('EINVAL')
  expect(await failure(fs.open('/dev/null', 'update'))).toBe('EINVAL')
  expect(await failure(fs.lock(join(dir, 'pipe')))).toBe('EINVAL')
  expect(performance.now() - started).toBeLessThan(5000)
})

test.runIf(unix)('directories are created 0700 and files 0600, whatever the umask allows', async () => {
  const dir = temporaryDirectory()
  await fs.mkdir(join(dir, 'a', 'b'))
  await (await fs.open(join(dir, 'a', 'f'), 'create')).close()
  await (await fs.lock(join(dir, 'a', 'LOCK'))).release()
  const mode = (name: string): number => nodeFs.statSync(join(dir, name)).mode & 0o777
  expect([mode('a'), mode('a/b'), mode('a/f'), mode('a/LOCK')]).toEqual([0o700, 0o700, 0o600, 0o600])
})

test.runIf(linux)('files are never opened for appending', async () => {
  const dir = temporaryDirectory()
  for (const mode of ['create', 'update', 'read'] as const) {
    const file = await fs.open(join(dir, 'f'), mode)
    const [fd] = nodeFs.readdirSync('/proc/self/fd').filter((name) => target(name) === join(dir, 'f'))
    const flags = /flags:\s+([0-7]+)/.exec(nodeFs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? ''
    expect(parseInt(flags, 8) & nodeFs.constants.O_APPEND).toBe(0)
    await file.close()
  }
})

test.runIf(linux)('refused opens leak no descriptor', async () => {
  const dir = temporaryDirectory()
  const before = openDescriptors()
  for (let round = 0; round < 20; round++) {
    await failure(fs.open(dir, 'read'))
    expect(() => fs.openSync(dir, 'read')).toThrow(IoError)
    await failure(fs.open(join(dir, 'none'), 'read'))
    await failure(fs.syncDir(join(dir, 'none')))
    await failure(fs.lock(dir))
  }
  expect(openDescriptors()).toBe(before)
})

test('a path that no system accepts is an IoError', async () => {
  await expect(fs.open('a\0b', 'read')).rejects.toBeInstanceOf(IoError)
  expect(() => fs.openSync('a\0b', 'read')).toThrow(IoError)
  await expect(fs.list('a\0b')).rejects.toBeInstanceOf(IoError)
  for (const path of [undefined, null, 5, {}] as never[]) {
    for (const call of [() => fs.mkdir(path), () => fs.list(path), () => fs.open(path, 'read'), () => fs.remove(path), () => fs.lock(path)]) await expect(call()).rejects.toBeInstanceOf(IoError)
  }
})

test('operations in flight at close never reach a file that got the same descriptor', async () => {
  const dir = temporaryDirectory()
  for (let round = 0; round < 20; round++) {
    const first = await fs.open(join(dir, `a${round}`), 'create')
    const bytes = new Uint8Array(200_000).fill(1)
    const writes = Array.from({ length: 8 }, (_, part) => first.write(bytes, 0, bytes.length, part * bytes.length))
    if (round % 2 === 0) first.closeSync()
    const closing = first.close()
    const second = await fs.open(join(dir, `b${round}`), 'create')
    await writeFully(second, new Uint8Array(100).fill(2), 0, 100, 0)
    await Promise.all(writes)
    await closing
    const content = new Uint8Array(200)
    expect(await readFully(second, content, 0, 200, 0)).toBe(100)
    expect(content.subarray(0, 100).every((byte) => byte === 2)).toBe(true)
    await second.close()
    expect(nodeFs.statSync(join(dir, `a${round}`)).size).toBe(8 * bytes.length)
  }
})

test.runIf(linux)('closeSync with operations in flight gives the descriptor back in the end', async () => {
  const dir = temporaryDirectory()
  const file = await fs.open(join(dir, 'f'), 'create')
  const before = openDescriptors()
  const write = file.write(new Uint8Array(1_000_000), 0, 1_000_000, 0)
  file.closeSync()
  await write
  await file.close()
  expect(openDescriptors()).toBe(before - 1)
})

test.runIf(unix)('hard links across file systems are not supported, and say so', async () => {
  const dir = temporaryDirectory()
  nodeFs.writeFileSync(join(dir, 'a'), '')
  if (!nodeFs.existsSync('/dev/shm') || nodeFs.statSync('/dev/shm').dev === nodeFs.statSync(dir).dev) return
  const target = `/dev/shm/wk-fs-link-${process.pid}`
  await expect(fs.link(join(dir, 'a'), target)).rejects.toMatchObject({ code: 'WK_NOT_SUPPORTED' })
})

test('a missing directory is made durable name by name, a present one as far as it is ours', async () => {
  const dir = temporaryDirectory()
  expect(await fs.mkdir(join(dir, 'x', '..', 'x', 'y'))).toBe(true)
  expect(nodeFs.readdirSync(join(dir, 'x'))).toEqual(['y'])
  expect(await fs.mkdir('/')).toBe(false)
})
