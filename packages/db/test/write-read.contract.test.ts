import { expect, it } from 'vitest'
import { all, bytes, expectCode, large, onBothFileSystems, text } from './harness.js'

onBothFileSystems('put, get and del', (place) => {
  it('strings are UTF-8, and the same as their bytes', async () => {
    const db = await place().open()
    await db.put('schlüssel €', 'wert 😀')
    expect(text(await db.get(bytes('schlüssel €')))).toBe('wert 😀')
    await db.put(bytes('b'), bytes('x'))
    expect(text(await db.get('b'))).toBe('x')
  })

  it('a missing key is undefined everywhere', async () => {
    const db = await place().open()
    await db.put('a', 'b')
    expect(await db.get('nope')).toBeUndefined()
    expect(db.getSync('nope')).toBeUndefined()
    expect(await db.getMany(['nope', 'a', 'nope'])).toEqual([undefined, bytes('b'), undefined])
    expect(await db.has('nope')).toBe(false)
    expect(await db.getEntry('nope')).toBeUndefined()
    await db.del('nope')
  })

  for (const state of ['in the memtable', 'in a table', 'after reopening'] as const) {
    it(`empty keys and values, and values around the threshold, ${state}`, async () => {
      const at = place()
      let db = await at.open()
      const sizes = [0, 1, 2, 62, 63, 64, 65, 66, 127, 128, 1000, 4095, 4096, 4097, 20_000, 70_000, 300_000]
      await db.put('', '')
      await db.put(new Uint8Array([0]), new Uint8Array())
      for (const size of sizes) await db.put(`size ${size}`, large(size, size))
      if (state === 'in a table') await db.flush()
      if (state === 'after reopening') {
        await db.close()
        db = await at.open()
      }
      const empty = await db.get('')
      expect(empty).toBeInstanceOf(Uint8Array)
      expect(empty?.length).toBe(0)
      expect(db.getSync(new Uint8Array([0]))?.length).toBe(0)
      expect(await db.has('')).toBe(true)
      for (const size of sizes) {
        expect(await db.get(`size ${size}`)).toEqual(large(size, size))
        expect(db.getSync(`size ${size}`)).toEqual(large(size, size))
      }
      const many = await db.getMany(sizes.map((size) => `size ${size}`))
      expect(many).toEqual(sizes.map((size) => large(size, size)))
      await db.put('', 'now something')
      await db.del(new Uint8Array([0]))
      expect(text(await db.get(''))).toBe('now something')
      expect(await db.has(new Uint8Array([0]))).toBe(false)
    })
  }

  it('the longest key is legal, one byte more is refused', async () => {
    const at = place()
    const db = await at.open()
    const longest = new Uint8Array(65_000).fill(0x61)
    const prefix = longest.slice(0, 64_999)
    await db.put(longest, large(500))
    await db.put(prefix, 'shorter')
    await expectCode(() => db.put(new Uint8Array(65_001), 'v'), 'WK_INVALID_ARGUMENT')
    await expectCode(() => db.put('é'.repeat(32_501), 'v'), 'WK_INVALID_ARGUMENT')
    await expectCode(() => db.get(new Uint8Array(65_001)), 'WK_INVALID_ARGUMENT')
    await db.flush()
    expect(await db.get(longest)).toEqual(large(500))
    await db.close()
    const again = await at.open()
    expect(await again.get(longest)).toEqual(large(500))
    expect(text(await again.get(prefix))).toBe('shorter')
    expect((await all(again.keys())).map((key) => key.length)).toEqual([64_999, 65_000])
  })

  it('keys that are prefixes of each other, and keys with 0x00 and 0xff, keep byte order', async () => {
    const db = await place().open()
    const keys = [[], [0], [0, 0], [0, 1], [0x61], [0x61, 0], [0x61, 0x62], [0x7f], [0x80], [0xff], [0xff, 0], [0xff, 0xff]].map((key) => Uint8Array.from(key))
    for (const [i, key] of [...keys.entries()].reverse()) await db.put(key, large(i * 20, i))
    for (const flush of [false, true]) {
      if (flush) await db.flush()
      expect(await all(db.keys())).toEqual(keys)
      expect(await all(db.keys({ reverse: true }))).toEqual([...keys].reverse())
    }
  })

  it('a write is visible right after the call, in call order, also to getSync and iterators', async () => {
    const db = await place().open()
    const pending: Promise<void>[] = []
    for (let i = 0; i < 200; i++) {
      const size = i % 2 === 0 ? 10 : 400
      pending.push(db.put('k', large(size, i)))
      expect(db.getSync('k')).toEqual(large(size, i))
      if (i % 10 === 0) {
        pending.push(db.del('k'))
        expect(db.getSync('k')).toBeUndefined()
      }
      if (i % 7 === 0) {
        pending.push(db.batch([{ type: 'put', key: 'k', value: large(300, 1000 + i) }, { type: 'put', key: 'other', value: `${i}` }]))
        expect(db.getSync('k')).toEqual(large(300, 1000 + i))
        expect(text(db.getSync('other'))).toBe(`${i}`)
      }
    }
    await Promise.all(pending)
  })

  it('a read takes its snapshot at the call: later writes of the same turn do not show', async () => {
    const db = await place().open()
    await db.put('k', large(300, 1))
    await db.flush()
    const [single, many, has, scan] = [db.get('k'), db.getMany(['k', 'new']), db.has('new'), all(db.iterator())]
    const writes = [db.put('k', large(300, 2)), db.put('new', 'x'), db.del('k')]
    expect(await single).toEqual(large(300, 1))
    expect(await many).toEqual([large(300, 1), undefined])
    expect(await has).toBe(false)
    expect((await scan).length).toBeLessThanOrEqual(1)
    await Promise.all(writes)
    expect(await db.get('k')).toBeUndefined()
  })

  it('an iterator takes its snapshot when it is made', async () => {
    const db = await place().open()
    await db.put('a', large(300, 1))
    const iterator = db.iterator()
    const writes = [db.put('a', large(300, 2)), db.put('b', 'x')]
    expect(await all(iterator)).toEqual([[bytes('a'), large(300, 1)]])
    await Promise.all(writes)
  })

  it('bytes passed in may be reused as soon as the call returns', async () => {
    const db = await place().open()
    const key = bytes('key-0')
    const value = large(900)
    const pending: Promise<void>[] = []
    for (let i = 0; i < 10; i++) {
      key[4] = 0x30 + i
      value.fill(i)
      pending.push(i % 2 === 0 ? db.put(key, value) : db.batch([{ type: 'put', key, value }], { sync: true }))
    }
    key.fill(0)
    value.fill(0xee)
    await Promise.all(pending)
    for (let i = 0; i < 10; i++) expect(await db.get(`key-${i}`)).toEqual(new Uint8Array(900).fill(i))
    const probe = bytes('key-3')
    const reads = [db.get(probe), db.getMany([probe]), db.has(probe)] as const
    probe.fill(0)
    expect(await reads[0]).toEqual(new Uint8Array(900).fill(3))
    expect(await reads[1]).toEqual([new Uint8Array(900).fill(3)])
    expect(await reads[2]).toBe(true)
  })

  it('so may the key of a read whose value takes a trip to the disk', async () => {
    const at = place()
    let db = await at.open({ valueLogFileSize: 1 << 20 })
    const value = (i: number): Uint8Array => large(100_000, i)
    for (let i = 0; i < 8; i++) await db.put(`key-${i}`, value(i))
    await db.close()
    db = await at.open({ valueLogFileSize: 1 << 20 })
    const key = bytes('key-3')
    const keys = Array.from({ length: 8 }, (_, i) => bytes(`key-${i}`))
    const reads = [db.get(key), db.getEntry(key), db.getMany(keys), all(db.values({ gte: key, limit: 2 }))] as const
    key.fill(0)
    for (const one of keys.splice(0)) one.fill(0)
    expect(await reads[0]).toEqual(value(3))
    expect(await reads[1]).toMatchObject({ key: bytes('key-3'), value: value(3) })
    expect(await reads[2]).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map(value))
    expect(await reads[3]).toEqual([value(3), value(4)])
  })

  it('returned arrays are plain, exact and private', async () => {
    const db = await place().open()
    for (const size of [0, 10, 900]) {
      await db.put('k', large(size, 1))
      for (const flush of [false, true]) {
        if (flush) await db.flush()
        for (const read of [() => db.get('k'), () => db.getSync('k'), async () => (await db.getMany(['k']))[0], async () => (await all(db.values()))[0], async () => (await all(db.iterator()))[0]?.[1]]) {
          const value = await read()
          expect(value).toEqual(large(size, 1))
          expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype)
          expect(value?.buffer).toBeInstanceOf(ArrayBuffer)
          value?.fill(0)
        }
        const [key] = await all(db.keys())
        key?.fill(0)
        expect(await all(db.keys())).toEqual([bytes('k')])
      }
      expect(await db.get('k')).toEqual(large(size, 1))
    }
  })

  it('getMany keeps the order, with repeats, empty and missing keys, from memory and from tables', async () => {
    const db = await place().open()
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, large((i * 37) % 700, i))
    expect(await db.getMany([])).toEqual([])
    for (const flush of [false, true]) {
      if (flush) await db.flush()
      const order = [50, 3, 99, 3, 200, 0, 77, 76, 75]
      expect(await db.getMany(order.map((i) => `k${i}`))).toEqual(order.map((i) => (i < 100 ? large((i * 37) % 700, i) : undefined)))
    }
  })

  it('sync: true, syncWrites and db.sync() are accepted and acknowledge', async () => {
    const at = place()
    const db = await at.open({ syncWrites: true })
    await Promise.all([db.put('a', '1'), db.put('b', large(400), { sync: true }), db.del('c', { sync: false }), db.sync()])
    await db.sync()
    expect(text(await db.get('a'))).toBe('1')
  })

  it('getEntry tells version, expiry and user byte, also of large values', async () => {
    const at = place()
    let db = await at.open()
    await db.put('small', 'v', { userMeta: 7 })
    await db.put('large', large(500), { userMeta: 255 })
    await db.put('plain', large(500))
    for (const round of ['memory', 'table', 'reopened']) {
      if (round === 'table') await db.flush()
      if (round === 'reopened') {
        await db.close()
        db = await at.open()
      }
      const small = await db.getEntry('small')
      expect(small).toMatchObject({ key: bytes('small'), value: bytes('v'), expiresAt: 0, userMeta: 7 })
      const big = await db.getEntry('large')
      expect(big).toMatchObject({ value: large(500), expiresAt: 0, userMeta: 255 })
      expect(await db.getEntry('plain')).toMatchObject({ value: large(500), userMeta: 0, expiresAt: 0 })
      expect(big?.version).toBeGreaterThan(small?.version ?? Infinity)
    }
  })
})

onBothFileSystems('batch', (place) => {
  it('is atomic and in order: the last write of a key wins', async () => {
    const db = await place().open()
    await db.put('gone', 'x')
    await db.batch([
      { type: 'put', key: 'a', value: '1' },
      { type: 'del', key: 'gone' },
      { type: 'put', key: 'a', value: large(500, 2) },
      { type: 'put', key: 'b', value: '1' },
      { type: 'del', key: 'b' },
      { type: 'put', key: 'c', value: large(100, 3), userMeta: 9 },
    ])
    expect(await db.getMany(['a', 'gone', 'b', 'c'])).toEqual([large(500, 2), undefined, undefined, large(100, 3)])
    expect((await db.getEntry('c'))?.userMeta).toBe(9)
  })

  it('an empty batch resolves', async () => {
    const db = await place().open()
    await db.batch([])
    await db.batch([], { sync: true })
  })

  it('one bad operation refuses all of it', async () => {
    const db = await place().open()
    const put = { type: 'put', key: 'a', value: '1' } as const
    for (const bad of [{ type: 'put', key: 'b' }, { type: 'delete', key: 'b' }, { type: 'put', key: 5, value: 'x' }, null, { type: 'put', key: new Uint8Array(65_001), value: '' }, { type: 'put', key: 'b', value: 'v', userMeta: 256 }]) {
      await expectCode(() => db.batch([put, bad as never]), 'WK_INVALID_ARGUMENT')
    }
    await expectCode(() => db.batch('x' as never), 'WK_INVALID_ARGUMENT')
    expect(await db.get('a')).toBeUndefined()
  })

  it('too many operations or bytes is WK_TXN_TOO_BIG, and nothing of it is there', async () => {
    const db = await place().open({ maxBatchCount: 10, maxBatchSize: 5000 })
    const puts = (count: number, size: number) => Array.from({ length: count }, (_, i) => ({ type: 'put' as const, key: `k${i}`, value: large(size) }))
    await expectCode(() => db.batch(puts(11, 1)), 'WK_TXN_TOO_BIG')
    await expectCode(() => db.batch(puts(10, 501)), 'WK_TXN_TOO_BIG')
    expect(await all(db.keys())).toEqual([])
    await db.batch(puts(10, 400))
    expect((await all(db.keys())).length).toBe(10)
  })

  it('larger than a memtable, still whole, also after reopening', async () => {
    const at = place()
    const db = await at.open({ valueThreshold: 2000 })
    const operations = Array.from({ length: 300 }, (_, i) => ({ type: 'put' as const, key: `k${String(i).padStart(3, '0')}`, value: large(1000, i) }))
    await db.put('before', 'x')
    await db.batch(operations)
    await db.put('after', 'x')
    expect((await all(db.keys())).length).toBe(302)
    await db.close()
    const again = await at.open()
    for (const { key, value } of operations) expect(await again.get(key)).toEqual(value)
  })
})

onBothFileSystems('clear', (place) => {
  const fill = async (at: ReturnType<typeof place>) => {
    const db = await at.open()
    for (let i = 0; i < 50; i++) await db.put(`k${String(i).padStart(2, '0')}`, large(i * 10, i))
    return db
  }
  it('everything, in memory and in tables', async () => {
    for (const flush of [false, true]) {
      const db = await fill(place())
      if (flush) await db.flush()
      await db.clear()
      expect(await all(db.keys())).toEqual([])
      expect(await db.get('k05')).toBeUndefined()
      await db.put('k05', 'back')
      expect((await all(db.keys())).length).toBe(1)
      await db.close()
      await place().destroy()
    }
  })

  it('a range, with limit and reverse, and nothing else', async () => {
    const db = await fill(place())
    const left = async () => (await all(db.keys())).map((key) => Number(text(key)?.slice(1)))
    await db.clear({ gte: 'k10', lt: 'k20' })
    expect((await left()).length).toBe(40)
    await db.clear({ gt: 'k20', lte: 'k22' })
    expect((await left()).slice(10, 13)).toEqual([20, 23, 24])
    await db.clear({ gte: 'k40', lt: 'k30' })
    expect((await left()).length).toBe(38)
    await db.clear({ limit: 2, reverse: true } as never)
    expect((await left()).at(-1)).toBe(47)
  })

  it('with a snapshot deletes the keys that it holds, those written again since included, and none that came later', async () => {
    const db = await fill(place())
    const snapshot = db.snapshot()
    await db.put('k05', 'again')
    await db.del('k06')
    await db.put('k055', 'new')
    await db.clear({ snapshot, lt: 'k10' })
    expect((await all(db.keys({ lt: 'k11' }))).map(text)).toEqual(['k055', 'k10'])
    await db.flush()
    await db.clear({ snapshot, reverse: true, limit: 1 })
    expect((await all(db.keys())).length).toBe(40)
    await db.clear({ snapshot })
    expect((await all(db.keys())).map(text)).toEqual(['k055'])
    expect((await all(db.keys({ snapshot }))).length).toBe(50)
    snapshot.close()
    await expectCode(() => db.clear({ snapshot }), 'WK_CLOSED')
    await expectCode(() => db.clear({ snapshot: {} as never }), 'WK_INVALID_ARGUMENT')
  })

  it('an aborted signal is WK_ABORTED, with the name AbortError', async () => {
    const db = await fill(place())
    const err = await expectCode(() => db.clear({ signal: AbortSignal.abort() }), 'WK_ABORTED')
    expect(err.name).toBe('AbortError')
    expect((await all(db.keys())).length).toBe(50)
  })
})
