import { NotSupportedError } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import { MemoryFileSystem, writeFully } from '../src/index.js'
import type { MutatingOperation } from '../src/index.js'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

async function read(fs: MemoryFileSystem, path: string): Promise<string> {
  const file = fs.openSync(path, 'read')
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0, bytes.length, 0)
  return new TextDecoder().decode(bytes)
}

async function withFile(options: ConstructorParameters<typeof MemoryFileSystem>[0] = {}) {
  const fs = new MemoryFileSystem(options)
  await fs.mkdir('/db')
  const file = await fs.open('/db/f', 'create')
  await fs.syncDir('/db')
  return { fs, file }
}

describe('the hook', () => {
  test('is called before every mutating operation, with consecutive numbers, and sees the state before', async () => {
    const { fs, file } = await withFile()
    const start = fs.opCount
    const seen: [number, MutatingOperation][] = []
    const sizes: number[] = []
    fs.onMutatingOperation = (index, operation) => {
      seen.push([index, operation])
      sizes.push(fs.crashClone('P1').totalBytes())
    }
    await file.write(text('abc'), 0, 3, 0)
    file.writeSync(text('d'), 0, 1, 3)
    await file.sync()
    file.syncSync()
    await file.truncate(2)
    await fs.rename('/db/f', '/db/g')
    await fs.link('/db/g', '/db/h')
    await fs.remove('/db/h')
    await fs.syncDir('/db')
    await fs.mkdir('/db/d/e')
    await fs.rmdir('/db/d/e')
    await (await fs.lock('/db/LOCK')).release()
    await (await fs.lock('/db/LOCK')).release()
    expect(seen.map(([index]) => index - start)).toEqual(seen.map((_, index) => index))
    expect(seen.map(([, operation]) => operation.kind)).toEqual([
      'write', 'write', 'sync', 'sync', 'truncate', 'rename', 'link', 'remove', 'syncDir',
      'mkdir', 'syncDir', 'mkdir', 'syncDir', 'rmdir', 'create',
    ])
    expect(seen[0]?.[1]).toEqual({ kind: 'write', path: '/db/f', position: 0, length: 3 })
    expect(seen[5]?.[1]).toEqual({ kind: 'rename', path: '/db/f', to: '/db/g' })
    expect(sizes.slice(0, 6)).toEqual([0, 3, 4, 4, 4, 2])
    expect(fs.opCount - start).toBe(seen.length)
  })

  test('is not called for reads, empty writes and operations that fail', async () => {
    const { fs, file } = await withFile()
    const count = fs.opCount
    await expect(fs.open('/db/f', 'create')).rejects.toThrow()
    await expect(fs.remove('/db/none')).rejects.toThrow()
    await expect(fs.rmdir('/db')).rejects.toThrow()
    await file.write(text(''), 0, 0, 5)
    await fs.list('/db')
    await fs.mkdir('/db')
    expect(fs.opCount).toBe(count)
  })

  test('that throws stops the operation', async () => {
    const { fs, file } = await withFile()
    fs.onMutatingOperation = () => {
      throw new Error('stop here')
    }
    await expect(file.write(text('x'), 0, 1, 0)).rejects.toThrow('stop here')
    expect(() => file.writeSync(text('x'), 0, 1, 0)).toThrow('stop here')
    await expect(fs.remove('/db/f')).rejects.toThrow('stop here')
    fs.onMutatingOperation = undefined
    expect(file.sizeSync()).toBe(0)
    expect(await fs.list('/db')).toEqual(['f'])
  })
})

describe('a directory', () => {
  test('is no file: nothing replaces it, links to it or opens it, and it keeps what it has', async () => {
    const { fs } = await withFile()
    await fs.mkdir('/db/d')
    const count = fs.opCount
    await expect(fs.rename('/db/f', '/db/d')).rejects.toMatchObject({ code: 'WK_IO', cause: { code: 'EISDIR' } })
    await expect(fs.link('/db/d', '/db/l')).rejects.toMatchObject({ code: 'WK_IO', cause: { code: 'EISDIR' } })
    for (const operation of [() => fs.open('/', 'read'), () => fs.remove('/'), () => fs.lock('/'), () => fs.rename('/db/f', '/')]) {
      await expect(operation()).rejects.toMatchObject({ code: 'WK_IO', cause: { code: 'EISDIR' } })
    }
    expect(fs.opCount).toBe(count)
    expect(await fs.list('/')).toEqual(['db'])
    expect(await fs.list('/db')).toEqual(['d', 'f'])
  })
})

describe('asynchronous operations', () => {
  test('take effect later, synchronous ones at once', async () => {
    const { file } = await withFile()
    const write = file.write(text('abc'), 0, 3, 0)
    expect(file.sizeSync()).toBe(0)
    await write
    expect(file.sizeSync()).toBe(3)
    file.writeSync(text('d'), 0, 1, 3)
    expect(file.sizeSync()).toBe(4)
  })

  test('a sync covers only writes that had completed when it was called', async () => {
    const { fs, file } = await withFile()
    const write = file.write(text('abc'), 0, 3, 0)
    await file.sync()
    await write
    expect(await read(fs.crashClone('P0'), '/db/f')).toBe('')
    await file.sync()
    expect(await read(fs.crashClone('P0'), '/db/f')).toBe('abc')
  })

  test('a directory sync covers only names that were there when it was called', async () => {
    const { fs } = await withFile()
    const create = fs.open('/db/late', 'create')
    await fs.syncDir('/db')
    await create
    expect(await fs.crashClone('P0').list('/db')).toEqual(['f'])
  })

  test('a late copy sees a buffer that was reused too early', async () => {
    for (const [lateCopy, expected] of [[false, 'abc'], [true, 'xyz']] as const) {
      const { fs, file } = await withFile({ lateCopy })
      const bytes = text('abc')
      const write = file.write(bytes, 0, 3, 0)
      bytes.set(text('xyz'))
      await write
      expect(await read(fs, '/db/f')).toBe(expected)
    }
  })

  test('a Buffer is copied, not kept', async () => {
    const { fs, file } = await withFile()
    const bytes = Buffer.from('abc')
    file.writeSync(bytes, 0, 3, 0)
    bytes.fill('x')
    expect(await read(fs.crashClone('P2', 1), '/db/f')).not.toContain('x')
    expect(await read(fs.crashClone('P1'), '/db/f')).toBe('abc')
  })
})

test('mkdir makes every directory it creates durable', async () => {
  const fs = new MemoryFileSystem()
  await fs.mkdir('/x/y/z')
  expect(await fs.crashClone('P0').list('/x/y')).toEqual(['z'])
})

test('a rename over a synced name leaves the old or the new file after a crash, never neither', async () => {
  const { fs, file } = await withFile()
  await writeFully(file, text('old'), 0, 3, 0)
  await file.sync()
  const temporary = await fs.open('/db/f.tmp', 'create')
  await writeFully(temporary, text('new'), 0, 3, 0)
  await temporary.sync()
  await fs.rename('/db/f.tmp', '/db/f')
  const seen = new Set<string>()
  for (let seed = 0; seed < 100; seed++) for (const policy of ['P2', 'P3', 'P4'] as const) seen.add(await read(fs.crashClone(policy, seed), '/db/f'))
  expect([...seen].sort()).toEqual(['new', 'old'])
})

test('hard links stay links in a clone', async () => {
  const { fs } = await withFile()
  await fs.link('/db/f', '/db/g')
  await fs.syncDir('/db')
  for (const policy of ['P0', 'P1', 'P3'] as const) {
    const clone = fs.crashClone(policy, 3)
    const file = clone.openSync('/db/f', 'update')
    file.writeSync(text('shared'), 0, 6, 0)
    expect(await read(clone, '/db/g')).toBe('shared')
  }
})

test('P4 puts foreign bytes where P3 leaves zeros', async () => {
  const { fs, file } = await withFile()
  await file.sync()
  file.writeSync(new Uint8Array(8192).fill(7), 0, 8192, 0)
  const foreign = async (policy: 'P3' | 'P4'): Promise<boolean> => {
    for (let seed = 0; seed < 50; seed++) {
      const clone = fs.crashClone(policy, seed).openSync('/db/f', 'read')
      const bytes = new Uint8Array(clone.sizeSync())
      clone.readSync(bytes, 0, bytes.length, 0)
      if (bytes.some((byte) => byte !== 0 && byte !== 7)) return true
    }
    return false
  }
  expect(await foreign('P3')).toBe(false)
  expect(await foreign('P4')).toBe(true)
})

describe('not crashable', () => {
  test('keeps only the current bytes and refuses to be cloned', async () => {
    const { fs, file } = await withFile({ crashable: false })
    await writeFully(file, text('abc'), 0, 3, 0)
    expect(() => fs.crashClone('P0')).toThrow(NotSupportedError)
    expect(fs.totalBytes()).toBe(3)
  })

  // Again where the machine stood still for a moment: a cost that grows does so each time.
  test('appends at a cost that does not grow with the file', { retry: 2 }, async () => {
    const { fs, file } = await withFile({ crashable: false })
    const block = new Uint8Array(4096).fill(1)
    const blocks = 8192
    const half = (from: number): number => {
      const start = performance.now()
      for (let index = from; index < from + blocks / 2; index++) file.writeSync(block, 0, block.length, index * block.length)
      return performance.now() - start
    }
    const [first, second] = [half(0), half(blocks / 2)]
    expect(fs.totalBytes()).toBe(blocks * block.length)
    expect(second).toBeLessThan(first * 8 + 200)
  })
})

test('taking a clone before every operation of a long workload stays cheap', async () => {
  const { fs, file } = await withFile()
  let clones = 0
  const started = performance.now()
  fs.onMutatingOperation = () => {
    fs.crashClone('P3', clones++)
  }
  for (let index = 0; index < 1000; index++) {
    file.writeSync(new Uint8Array(300), 0, 300, index * 300)
    if (index % 10 === 9) file.syncSync()
  }
  expect(clones).toBe(1100)
  expect(performance.now() - started).toBeLessThan(15_000)
})

test('open files are counted, however often they are closed', async () => {
  const fs = new MemoryFileSystem()
  const [a, b] = [await fs.open('/a', 'create'), fs.openSync('/b', 'create')]
  expect(fs.openFiles).toBe(2)
  await Promise.all([a.close(), a.close()])
  a.closeSync()
  expect(fs.openFiles).toBe(1)
  b.closeSync()
  await b.close()
  expect(fs.openFiles).toBe(0)
})
