import { errnoOf, IoError } from '@wk/codec'
import { expect, test } from 'vitest'
import { FaultFileSystem, MemoryFileSystem } from '../src/index.js'
import type { FaultRule } from '../src/index.js'

const bytes = new Uint8Array(10).fill(1)

async function withFile(...rules: FaultRule[]) {
  const memory = new MemoryFileSystem()
  const fs = new FaultFileSystem(memory)
  const file = await fs.open('/f', 'create')
  await fs.syncDir('/')
  for (const rule of rules) fs.add(rule)
  return { memory, fs, file }
}

async function errno(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => 'no failure', errnoOf)
}

test('a rule acts once, several times, or for ever, after the operations it lets pass', async () => {
  const { fs, file } = await withFile({ operation: 'write', index: 1, errno: 'ENOSPC' })
  const results = async (): Promise<(string | undefined)[]> => {
    const list: (string | undefined)[] = []
    for (let turn = 0; turn < 4; turn++) list.push(await errno(file.write(bytes, 0, 1, 0)))
    return list
  }
  expect(await results()).toEqual(['no failure', 'ENOSPC', 'no failure', 'no failure'])
  fs.add({ operation: 'write', index: 1, times: 2 })
  expect(await results()).toEqual(['no failure', 'EIO', 'EIO', 'no failure'])
  fs.add({ operation: 'write', times: Infinity })
  expect(await results()).toEqual(['EIO', 'EIO', 'EIO', 'EIO'])
  fs.clear()
  expect(await results()).toEqual(Array(4).fill('no failure'))
  expect(fs.injected).toHaveLength(7)
  expect(fs.injected[0]).toMatchObject({ kind: 'write', path: '/f', rule: { errno: 'ENOSPC' } })
})

test('rules choose by operation and path, and see both paths of a rename', async () => {
  const { fs } = await withFile({ operation: ['open', 'create'], path: /\.sst$/, times: Infinity, errno: 'EMFILE' }, { operation: 'rename', path: 'CURRENT' })
  expect(await errno(fs.open('/1.sst', 'create'))).toBe('EMFILE')
  expect(() => fs.openSync('/1.sst', 'read')).toThrow(IoError)
  await (await fs.open('/1.wal', 'create')).close()
  expect(await errno(fs.rename('/1.wal', '/CURRENT'))).toBe('EIO')
  expect(await errno(fs.rename('/1.wal', '/CURRENT'))).toBe('no failure')
})

test('every kind of operation can fail, asynchronous and synchronous', async () => {
  const { fs, file } = await withFile()
  await fs.mkdir('/d')
  const calls: Record<string, () => Promise<unknown>> = {
    open: () => fs.open('/f', 'read'),
    create: () => fs.open('/g', 'create'),
    rename: () => fs.rename('/f', '/g'),
    remove: () => fs.remove('/f'),
    list: () => fs.list('/'),
    mkdir: () => fs.mkdir('/e'),
    rmdir: () => fs.rmdir('/d'),
    link: () => fs.link('/f', '/g'),
    syncDir: () => fs.syncDir('/'),
    lock: () => fs.lock('/LOCK'),
    read: () => file.read(bytes, 0, 1, 0),
    write: () => file.write(bytes, 0, 1, 0),
    truncate: () => file.truncate(0),
    sync: () => file.sync(),
    size: () => file.size(),
  }
  for (const [operation, call] of Object.entries(calls)) {
    fs.add({ operation: operation as FaultRule['operation'] & string, errno: 'EACCES' })
    expect(await errno(call()), operation).toBe('EACCES')
  }
  for (const call of [() => file.readSync(bytes, 0, 1, 0), () => file.writeSync(bytes, 0, 1, 0), () => file.syncSync(), () => file.sizeSync()]) {
    fs.add({})
    expect(call).toThrow(IoError)
  }
  expect(await fs.list('/')).toEqual(['d', 'f'])
})

test('short writes and reads move less; with an errno they move that and then fail', async () => {
  const { file } = await withFile({ operation: 'write', short: 4 }, { operation: 'write', short: 3, errno: 'ENOSPC', index: 1 }, { operation: 'read', short: 2 })
  expect(await file.write(bytes, 0, 10, 0)).toBe(4)
  expect(await errno(file.write(bytes, 0, 10, 4))).toBe('ENOSPC')
  expect(file.sizeSync()).toBe(7)
  expect(file.readSync(new Uint8Array(10), 0, 10, 0)).toBe(2)
})

test('a failure can be reported although the operation took place', async () => {
  const { fs } = await withFile({ operation: 'rename', after: true })
  expect(await errno(fs.rename('/f', '/g'))).toBe('EIO')
  expect(await fs.list('/')).toEqual(['g'])
})

test('after a failed sync later ones may lie', async () => {
  const { memory, file } = await withFile({ operation: 'sync', thenLie: true })
  await file.write(bytes, 0, 10, 0)
  expect(await errno(file.sync())).toBe('EIO')
  await file.sync()
  file.syncSync()
  expect(memory.crashClone('P0').openSync('/f', 'read').sizeSync()).toBe(0)
})

test('syncs of a file that was created anew do not lie', async () => {
  const { memory, fs, file } = await withFile({ operation: 'sync', thenLie: true })
  expect(await errno(file.sync())).toBe('EIO')
  await file.close()
  await fs.remove('/f')
  const again = await fs.open('/f', 'create')
  await again.write(bytes, 0, 10, 0)
  await again.sync()
  await fs.syncDir('/')
  expect(memory.crashClone('P0').openSync('/f', 'read').sizeSync()).toBe(10)
})

test('a failed close closes all the same', async () => {
  const { file } = await withFile({ operation: 'close' })
  expect(await errno(file.close())).toBe('EIO')
  expect(await errno(file.size())).toBe('EBADF')
})

test('operations are counted over all kinds, for a harness that fails each in turn', async () => {
  const { fs, file } = await withFile()
  const start = fs.opCount
  await file.write(bytes, 0, 1, 0)
  file.syncSync()
  await file.close()
  expect(fs.opCount - start).toBe(3)
})

test('a file whose opening is reported as failed after it took place does not stay open', async () => {
  const { memory, fs, file } = await withFile({ operation: 'create', after: true, times: 2 })
  await file.close()
  expect(await errno(fs.open('/g', 'create'))).toBe('EIO')
  expect(() => fs.openSync('/h', 'create')).toThrow(IoError)
  expect(await memory.list('/')).toEqual(['f', 'g', 'h'])
  expect(memory.openFiles).toBe(0)
})
