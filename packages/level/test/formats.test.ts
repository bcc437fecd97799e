/**
 * What goes in comes out, in the type that the encoding promises.
 */
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { failureOf, large, make } from './harness.js'

it.each([3, 5000])('a value of %i bytes is a plain Uint8Array for view and a Buffer for buffer', async (length) => {
  const db = make<string, Uint8Array>({ valueEncoding: 'view' })
  await db.put('k', large(length))
  const asView = [await db.get('k'), db.getSync('k'), (await db.getMany(['k']))[0], (await db.values().all())[0], (await db.iterator().all())[0]?.[1]]
  for (const value of asView) {
    expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype)
    expect(value).toEqual(large(length))
  }
  const options = { valueEncoding: 'buffer' } as const
  const asBuffer = [await db.get<string, Buffer>('k', options), db.getSync<string, Buffer>('k', options), (await db.values<string, Buffer>(options).all())[0]]
  for (const value of asBuffer) expect(Buffer.isBuffer(value) && value.equals(large(length))).toBe(true)
  expect(Object.getPrototypeOf((await db.keys<Uint8Array>({ keyEncoding: 'view' }).all())[0])).toBe(Uint8Array.prototype)
})

it('a returned value is the caller’s own', async () => {
  const db = make<string, Uint8Array>({ valueEncoding: 'view' })
  await db.put('k', large(5000))
  ;(await db.get('k'))?.fill(0)
  expect(await db.get('k')).toEqual(large(5000))
})

it.each(['', '\uFEFFwith a byte order mark', 'ünï ☃ 🦊', '\0', 'x'.repeat(5000)])('text comes back as it was: %j', async (text) => {
  const db = make()
  await db.put(`key ${text}`, text)
  expect(await db.get(`key ${text}`)).toBe(text)
  expect(db.getSync(`key ${text}`)).toBe(text)
  expect(await db.iterator().all()).toEqual([[`key ${text}`, text]])
})

it('all encodings read what another wrote', async () => {
  const db = make()
  await db.put('k', '{"a":1}')
  expect(await db.get<string, object>('k', { valueEncoding: 'json' })).toEqual({ a: 1 })
  expect(await db.get('k', { valueEncoding: 'hex' })).toBe(Buffer.from('{"a":1}').toString('hex'))
  expect(await db.get('k', { valueEncoding: 'base64' })).toBe(Buffer.from('{"a":1}').toString('base64'))
})

it('takes views that are no Uint8Array as the bytes they cover', async () => {
  const db = make<DataView | Uint8Array, DataView | Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  const bytes = large(20)
  const part = new DataView(bytes.buffer, 4, 8)
  await db.put(part, part)
  expect(await db.get(bytes.slice(4, 12))).toEqual(bytes.slice(4, 12))
  await db.batch([{ type: 'del', key: part }])
  expect(await db.has(bytes.slice(4, 12))).toBe(false)
})

it('bytes that were passed in may be reused as soon as the call returns', async () => {
  const db = make<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  const key = large(8)
  const value = large(2000)
  const written = db.put(key, value)
  key.fill(0)
  value.fill(0)
  await written
  expect(await db.get(large(8))).toEqual(large(2000))
})

it('so may those of a chained batch, before it is written', async () => {
  const db = make<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  await db.put(large(5, 1), large(5, 1))
  const row = new Uint8Array(3)
  const gone = large(5, 1)
  const chained = db.batch().del(gone)
  gone.fill(0)
  for (let i = 1; i <= 3; i++) {
    row.fill(i)
    chained.put(row, row)
  }
  expect(chained.length).toBe(4)
  await chained.write()
  expect(await db.iterator().all()).toEqual([1, 2, 3].map((i) => [new Uint8Array(3).fill(i), new Uint8Array(3).fill(i)]))
  const cleared = db.batch().put(row, row).clear().del(row)
  await cleared.write()
  expect(await db.has(new Uint8Array(3).fill(3))).toBe(false)
})

it.each(['view', 'buffer'])('bytes of another realm are bytes; what only looks like them is refused (%s)', async (encoding) => {
  const db = make<Uint8Array, Uint8Array>({ keyEncoding: encoding, valueEncoding: encoding })
  const foreign = (length: number): Uint8Array => (runInNewContext(`new Uint8Array(${length})`) as Uint8Array).fill(length)
  await db.put(foreign(1), foreign(5000))
  await db.batch([{ type: 'put', key: foreign(2), value: foreign(20) }])
  await db.batch().put(foreign(3), foreign(0)).write()
  expect([...(await db.get(foreign(1)) ?? [])]).toEqual([...foreign(5000)])
  expect((await db.getMany([foreign(2), foreign(3)])).map((value) => value?.length)).toEqual([20, 0])
  expect(await db.has(foreign(3))).toBe(true)
  expect(await db.keys({ gt: foreign(1) }).all()).toHaveLength(2)
  const moved = new Uint8Array(8)
  structuredClone(moved.buffer, { transfer: [moved.buffer] })
  for (const wrong of [moved, new Proxy(Uint8Array.of(1), {}), Object.create(Uint8Array.prototype) as Uint8Array]) {
    for (const call of [() => db.put(wrong, foreign(1)), () => db.put(foreign(1), wrong), () => db.batch([{ type: 'put', key: foreign(1), value: wrong }]), () => db.batch().put(foreign(1), wrong).write()]) {
      expect(await failureOf(call)).toBeInstanceOf(Error)
    }
  }
  expect(await db.get(foreign(1))).toHaveLength(5000)
  expect(await db.keys().all()).toHaveLength(3)
})
