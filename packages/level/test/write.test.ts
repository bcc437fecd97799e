/**
 * Writes: options of ours on methods of Level, ranges that are cleared, what the engine beneath offers.
 */
import { MemoryFileSystem, TraceFileSystem } from '@wk/fs'
import { expect, it, vi } from 'vitest'
import { failureOf, fill, make, numbered } from './harness.js'

it('sync, of put, del, batch, chained batch and clear, reaches the device before it resolves', async () => {
  const fs = new TraceFileSystem(new MemoryFileSystem())
  const db = make({ fs }, '/db')
  await db.put('warm', 'up')
  const syncs = (): number => fs.entries.filter(({ kind }) => kind.startsWith('sync')).length
  for (const write of [
    (sync: boolean) => db.put('a', '1', { sync }),
    (sync: boolean) => db.del('b', { sync }),
    (sync: boolean) => db.batch([{ type: 'put', key: 'c', value: '3' }], { sync }),
    (sync: boolean) => db.batch().put('d', '4').write({ sync } as object),
    (sync: boolean) => db.clear({ gte: 'c', sync }),
    (sync: boolean) => db.sublevel('s').put('a', '1', { sync } as object),
  ]) {
    const before = syncs()
    await write(false)
    expect(syncs()).toBe(before)
    await db.put('c', '3')
    await write(true)
    expect(syncs()).toBeGreaterThan(before)
  }
})

it('ttl and userMeta reach the engine, as defaults of a batch too', async () => {
  const db = make()
  const now = Date.now()
  await db.put('a', '1', { ttl: 1000, userMeta: 7 })
  await db.batch([{ type: 'put', key: 'b', value: '2' }, { type: 'put', key: 'c', value: '3', ...{ ttl: 5000 } }], { ttl: 2000 })
  const seconds = async (key: string): Promise<number> => ((await db.engine.getEntry(key))?.expiresAt ?? 0) - now / 1000
  expect(await seconds('a')).toBeCloseTo(1000, -1)
  expect(await seconds('b')).toBeCloseTo(2000, -1)
  expect(await seconds('c')).toBeCloseTo(5000, -1)
  expect(await db.engine.getEntry('a')).toMatchObject({ userMeta: 7 })
  await db.batch().put('d', '4').put('e', '5', { ttl: 3000, userMeta: 1 } as object).write({ ttl: 4000, userMeta: 9 } as object)
  expect(await seconds('d')).toBeCloseTo(4000, -1)
  expect(await seconds('e')).toBeCloseTo(3000, -1)
  expect(await db.engine.getEntry('d')).toMatchObject({ userMeta: 9 })
  expect(await db.engine.getEntry('e')).toMatchObject({ userMeta: 1 })
  expect(await failureOf(() => db.put('a', '1', { ttl: -1 }))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  await db.put('short', '1', { ttl: 1 })
  await vi.waitFor(async () => expect(await db.get('short')).toBeUndefined(), { timeout: 5000, interval: 100 })
})

it('what is written is visible to whatever is called next', async () => {
  const db = make()
  await db.open()
  void db.put('a', '1')
  expect(db.getSync('a')).toBe('1')
  const entries = db.iterator().all()
  void db.del('a')
  expect(db.getSync('a')).toBeUndefined()
  expect(await entries).toEqual([['a', '1']])
})

it('clear of a snapshot deletes what it held, and nothing that came later', async () => {
  const db = make()
  await fill(db, 2500)
  const snapshot = db.snapshot()
  await db.put('later', '1')
  await db.put(numbered(10), 'rewritten')
  const progress: number[] = []
  await db.clear({ snapshot, gte: numbered(5), lt: numbered(2400), onProgress: ({ done }) => progress.push(done) })
  expect(await db.keys().all()).toEqual([...Array.from({ length: 5 }, (_, i) => numbered(i)), ...Array.from({ length: 100 }, (_, i) => numbered(2400 + i)), 'later'])
  expect(progress).toEqual([1000, 2000, 2395])
  await db.clear({ snapshot, reverse: true, limit: 1 })
  expect(await db.has(numbered(2499))).toBe(false)
  await snapshot.close()
})

it('clear without one leaves what was written after the call', async () => {
  const db = make()
  await fill(db, 3000)
  const cleared = db.clear()
  const written = db.put(numbered(2999), 'after')
  await Promise.all([cleared, written])
  expect(await db.iterator().all()).toEqual([[numbered(2999), 'after']])
})

it('compactRange drops what was deleted, whichever encoding its keys have', async () => {
  const db = make()
  await fill(db, 2000)
  await db.engine.flush()
  await db.clear()
  await db.compactRange('0', '9')
  expect(db.engine.stats()).toMatchObject({ tables: 0 })
  await db.compactRange(new Uint8Array([0]), new Uint8Array([255]), { keyEncoding: 'view' })
  await expect((db.compactRange as () => Promise<void>)()).rejects.toThrow(TypeError)
  expect(db.supports.additionalMethods).toMatchObject({ approximateSize: true, compactRange: true })
})

it('sublevels, hooks and events work over large values as over small ones', async () => {
  const db = make()
  const images = db.sublevel<string, Uint8Array>('images', { valueEncoding: 'view' })
  const events: string[] = []
  db.on('write', (operations: { type: string }[]) => events.push(...operations.map(({ type }) => type)))
  db.hooks.prewrite.add((operation, batch) => {
    if (operation.type === 'put') batch.add({ type: 'put', key: `index ${String(operation.key)}`, value: '' })
  })
  await db.batch([{ type: 'put', key: 'a', value: new Uint8Array(20_000), sublevel: images, valueEncoding: 'view' } as never, { type: 'put', key: 'b', value: 'small' }])
  expect((await images.get('a'))?.length).toBe(20_000)
  expect(events).toEqual(['put', 'put', 'put', 'put'])
  await images.clear()
  expect(await images.keys().all()).toEqual([])
  expect(await db.get('b')).toBe('small')
})
