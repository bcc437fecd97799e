import { ClosedError, InvalidArgumentError, errnoOf } from '@wk/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FaultFileSystem, HandleCache, MemoryFileSystem } from '../src/index.js'
import type { File } from '../src/index.js'
import { property } from './support/property.js'

async function withFiles(count: number, maxOpen: number) {
  const fs = new FaultFileSystem(new MemoryFileSystem())
  for (let index = 0; index < count; index++) await (await fs.open(`/${index}`, 'create')).close()
  return { fs, cache: new HandleCache(fs, maxOpen) }
}

function isOpen(file: File): boolean {
  try {
    file.sizeSync()
    return true
  } catch {
    return false
  }
}

test('stays within its bound unless more is pinned, and never closes what is pinned', async () => {
  const action = fc.record({ path: fc.nat(9).map((index) => `/${index}`), kind: fc.constantFrom('acquire', 'acquire', 'release', 'forget') })
  await property(
    200,
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(action, { maxLength: 60 }), async (maxOpen, actions) => {
      const { cache } = await withFiles(10, maxOpen)
      const pins: { path: string; file: File }[] = []
      for (const { path, kind } of actions) {
        if (kind === 'acquire') pins.push({ path, file: cache.acquireSync(path) })
        else if (kind === 'forget') cache.forget(path)
        else {
          const index = pins.findIndex((pin) => pin.path === path)
          if (index >= 0) {
            pins.splice(index, 1)
            cache.release(path)
          }
        }
        for (const { file } of pins) expect(isOpen(file)).toBe(true)
        expect(cache.openCount).toBeLessThanOrEqual(Math.max(maxOpen, new Set(pins.map((pin) => pin.path)).size))
      }
      await cache.close()
      expect(cache.openCount).toBe(0)
      for (const { file, path } of pins) {
        expect(isOpen(file)).toBe(false)
        cache.release(path)
      }
    }),
  )
})

test('closes the least recently used file first', async () => {
  const { cache } = await withFiles(4, 3)
  const files = ['/0', '/1', '/2'].map((path) => {
    const file = cache.acquireSync(path)
    cache.release(path)
    return file
  })
  expect(cache.acquireSync('/0')).toBe(files[0])
  cache.release('/0')
  cache.acquireSync('/3')
  expect(files.map(isOpen)).toEqual([true, false, true])
})

test('a forgotten file is closed at once, or when its last pin goes', async () => {
  const { cache } = await withFiles(2, 2)
  const idle = cache.acquireSync('/0')
  cache.release('/0')
  cache.forget('/0')
  expect(isOpen(idle)).toBe(false)
  const pinned = cache.acquireSync('/1')
  cache.acquireSync('/1')
  cache.forget('/1')
  cache.release('/1')
  expect(isOpen(pinned)).toBe(true)
  cache.release('/1')
  expect(isOpen(pinned)).toBe(false)
})

test('a handle that fails as it is closed is closed all the same, and who reads does not hear of it', async () => {
  const { fs, cache } = await withFiles(3, 1)
  fs.add({ operation: 'close', errno: 'EIO', times: Infinity })
  const [first, second, third] = ['/0', '/1', '/2'].map((path) => cache.acquireSync(path)) as [File, File, File]
  cache.release('/0')
  cache.forget('/1')
  cache.release('/1')
  cache.forget('/2')
  cache.release('/2')
  expect(fs.injected).toHaveLength(3)
  expect([first, second, third].map(isOpen)).toEqual([false, false, false])
})

test('a read in flight survives eviction', async () => {
  const { cache } = await withFiles(2, 1)
  const file = cache.acquireSync('/0')
  const read = file.read(new Uint8Array(4), 0, 4, 0)
  cache.release('/0')
  cache.acquireSync('/1')
  expect(await read).toBe(0)
  expect(isOpen(file)).toBe(false)
})

test('out of descriptors: gives half of its own back and tries once more', async () => {
  const { fs, cache } = await withFiles(9, 100)
  for (let index = 0; index < 8; index++) {
    cache.acquireSync(`/${index}`)
    cache.release(`/${index}`)
  }
  fs.add({ operation: 'open', errno: 'EMFILE' })
  expect(isOpen(cache.acquireSync('/8'))).toBe(true)
  expect(cache.openCount).toBe(5)
  fs.add({ operation: 'open', errno: 'EMFILE', times: Infinity })
  expect(() => cache.acquireSync('/0')).toThrow(expect.objectContaining({ code: 'WK_IO' }))
  fs.clear()
  expect(isOpen(cache.acquireSync('/0'))).toBe(true)
})

test('a file that cannot be opened is not cached', async () => {
  const { cache } = await withFiles(0, 2)
  let failure: unknown
  try {
    cache.acquireSync('/none')
  } catch (error) {
    failure = error
  }
  expect(errnoOf(failure)).toBe('ENOENT')
  expect(cache.openCount).toBe(0)
})

test('misuse is noticed', async () => {
  const { fs, cache } = await withFiles(1, 1)
  for (const wrong of [0, -1, 1.5, Number.NaN, '3', undefined, null] as never[]) expect(() => new HandleCache(fs, wrong)).toThrow(InvalidArgumentError)
  for (const wrong of [undefined, null, 5, {}] as never[]) {
    expect(() => new HandleCache(wrong, 1)).toThrow(InvalidArgumentError)
    expect(() => cache.acquireSync(wrong)).toThrow(InvalidArgumentError)
    expect(() => cache.release(wrong)).toThrow(InvalidArgumentError)
  }
  expect(() => cache.release('/0')).toThrow(InvalidArgumentError)
  await cache.close()
  await cache.close()
  expect(() => cache.acquireSync('/0')).toThrow(ClosedError)
})
