/** Bytes of another realm, as a `vm` context or a test runner's environment makes them, are bytes everywhere. */
import { randomBytes } from 'node:crypto'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { all, cleanUp, expectCode, large, memoryPlace, onBothFileSystems, text } from './harness.js'

afterEach(cleanUp)

const emptyOf = runInNewContext('(length, isShared) => new Uint8Array(isShared ? new SharedArrayBuffer(length) : length)') as (length: number, isShared?: boolean) => Uint8Array

/** The same bytes as an array of another realm. */
function foreign(bytes: string | Uint8Array, isShared = false): Uint8Array {
  const from = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  const array = emptyOf(from.length, isShared)
  array.set(from)
  expect(array instanceof Uint8Array).toBe(false)
  return array
}

onBothFileSystems('bytes of another realm', (place) => {
  it('are keys, bounds and targets of every call', async () => {
    const db = await place().open()
    await db.put(foreign('a'), foreign('1'))
    await db.batch([{ type: 'put', key: foreign('b'), value: foreign('2') }, { type: 'put', key: foreign('c'), value: foreign('') }, { type: 'put', key: foreign(''), value: 'empty' }])
    expect([await db.get(foreign('a')), db.getSync(foreign('b')), ...(await db.getMany([foreign('c'), foreign('')]))].map(text)).toEqual(['1', '2', '', 'empty'])
    expect([await db.has(foreign('a')), text((await db.getEntry(foreign('b')))?.value), (await db.versions(foreign('a'))).length]).toEqual([true, '2', 1])
    const range = { gte: foreign('a'), lt: foreign('c') }
    expect([(await db.iterator(range).all()).length, (await db.keys(range).all()).map(text), (await db.values({ gt: foreign('a'), lte: foreign('c') }).all()).map(text)]).toEqual([2, ['a', 'b'], ['2', '']])
    const iterator = db.keys()
    iterator.seek(foreign('b'))
    expect(text(await iterator.next())).toBe('b')
    await iterator.close()
    expect(await db.approximateSize(range)).toBeGreaterThanOrEqual(0)
    await db.compact(range)
    await db.transaction(async (txn) => {
      expect([text(await txn.get(foreign('a'))), await txn.has(foreign('b')), (await txn.getMany([foreign('a')])).map(text)]).toEqual(['1', true, ['1']])
      txn.put(foreign('t'), foreign('in the transaction'))
      txn.del(foreign('a'))
      expect(await all(txn.keys({ gte: foreign('b') }))).toHaveLength(3)
    })
    await db.del(foreign('b'))
    await db.clear({ gte: foreign('c'), lt: foreign('d') })
    expect((await db.keys().all()).map(text)).toEqual(['', 't'])
  })

  for (const options of [{}, { valueCompression: 'lz4' as const }, { encryptionKey: foreign('0123456789abcdef') }]) {
    it(`are values of every length, shared or not (${Object.keys(options).join() || 'plain'})`, async () => {
      const somewhere = place()
      const db = await somewhere.open({ ...options, valueLogFileSize: 16 * 1024 * 1024 })
      const lengths = [0, 10, 100, 5000, 70_000, 300_000, 3_000_000]
      for (const isShared of [false, true]) {
        const values = lengths.map((length) => (isShared ? new Uint8Array(randomBytes(length)) : large(length, 3)))
        for (const [i, value] of values.entries()) {
          const given = foreign(value, isShared)
          const put = db.put(`${isShared}${i}`, given)
          given.fill(7)
          await put
        }
        await db.batch(values.map((value, i) => ({ type: 'put' as const, key: `batch ${isShared}${i}`, value: foreign(value, isShared) })))
        for (const [i, value] of values.entries()) expect(await db.getMany([`${isShared}${i}`, `batch ${isShared}${i}`])).toEqual([value, value])
      }
      await db.close()
      const again = await somewhere.open(options)
      expect((await again.verify()).problems).toEqual([])
      expect(await again.get('true6')).toHaveLength(3_000_000)
    })
  }

  it('are chunks of a backup', async () => {
    const db = await place().open()
    await db.put('k', large(1000))
    const chunks = (await all(db.backup())).map((chunk) => foreign(chunk))
    const other = await memoryPlace().open()
    await other.load(chunks)
    expect(await other.get('k')).toEqual(large(1000))
    await expectCode(() => other.load(foreign('abc') as never), 'WK_INVALID_ARGUMENT')
  })
})

/** Its methods make arrays of its own class (`subarray` calls the constructor), which it cannot be made from bytes. */
class Hex extends Uint8Array<ArrayBuffer> {
  constructor(text: string) {
    if (typeof text !== 'string') throw new TypeError('text is wanted')
    super(new Uint8Array(Buffer.from(text, 'hex')).buffer)
  }
}

describe('bytes in a class of the caller', () => {
  it.each([{}, { valueCompression: 'lz4' as const }, { encryptionKey: new Hex('ab'.repeat(16)) }])('are bytes of every length, and end no writing (%o)', async (options) => {
    const at = memoryPlace()
    const hex = (length: number): Hex => new Hex('ab'.repeat(length))
    const db = await at.open({ ...options, valueLogFileSize: 16 * 1024 * 1024 })
    const lengths = [0, 1, 100, 5000, 70_000, 300_003, 3_000_002]
    for (const length of lengths) {
      await db.put(hex(length % 60_000), hex(length))
      await db.batch([{ type: 'put', key: `batch ${length}`, value: hex(length) }])
      await db.transaction(async (txn) => txn.put(`txn ${length}`, hex(length)))
    }
    for (const length of lengths) {
      for (const key of [hex(length % 60_000), `batch ${length}`, `txn ${length}`]) expect(await db.get(key)).toEqual(new Uint8Array(length).fill(0xab))
    }
    const chunks = (await all(db.backup())).map((chunk) => new Hex(Buffer.from(chunk).toString('hex')))
    const other = await memoryPlace().open()
    await other.load(chunks)
    expect(await other.keys().all()).toHaveLength((await db.keys().all()).length)
    expect((await db.verify()).problems).toEqual([])
  })
})

describe('what only looks like bytes, or has lost its memory', () => {
  it('is WK_INVALID_ARGUMENT in every call, and changes nothing', async () => {
    const db = await memoryPlace().open()
    await db.put('k', 'v')
    const moved = new Uint8Array(8)
    structuredClone(moved.buffer, { transfer: [moved.buffer] })
    for (const wrong of [new Proxy(Uint8Array.of(1), {}), Object.create(Uint8Array.prototype) as Uint8Array, moved]) {
      const calls = [
        () => db.put(wrong, 'v'),
        () => db.put('k', wrong),
        () => db.get(wrong),
        () => db.getSync(wrong),
        () => db.getMany([wrong]),
        () => db.has(wrong),
        () => db.getEntry(wrong),
        () => db.versions(wrong),
        () => db.del(wrong),
        () => db.batch([{ type: 'put', key: 'k', value: wrong }]),
        () => db.batch([{ type: 'del', key: wrong }]),
        () => all(db.iterator({ gte: wrong })),
        () => db.clear({ lt: wrong }),
        () => db.load([wrong]),
        () => db.transaction((txn) => txn.get(wrong)),
        () => db.transaction((txn) => Promise.resolve(txn.put('k', wrong))),
      ]
      for (const call of calls) await expectCode(call, 'WK_INVALID_ARGUMENT')
      await expectCode(() => memoryPlace().open({ encryptionKey: wrong }), 'WK_INVALID_ARGUMENT')
    }
    expect((await db.iterator().all()).map((entry) => entry.map(text))).toEqual([['k', 'v']])
    await db.close()
  })
})
