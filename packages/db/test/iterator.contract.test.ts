import { TraceFileSystem } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { all, expectCode, keep, large, memoryPlace, onBothFileSystems, text } from './harness.js'

const name = (i: number): string => `k${String(i).padStart(3, '0')}`

onBothFileSystems('iterator', (place) => {
  /** 100 keys: a third in tables, a third overwritten in a newer table, a third in memory, every tenth deleted. */
  async function filled() {
    const db = await place().open()
    for (let i = 0; i < 100; i++) await db.put(name(i), large(400, i))
    await db.flush()
    for (let i = 0; i < 66; i++) await db.put(name(i), large(i * 5, i + 1))
    await db.flush()
    for (let i = 0; i < 33; i++) await db.put(name(i), large(i * 7, i + 2))
    for (let i = 0; i < 100; i += 10) await db.del(name(i))
    return db
  }
  const value = (i: number): Uint8Array => (i < 33 ? large(i * 7, i + 2) : i < 66 ? large(i * 5, i + 1) : large(400, i))
  const live = Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 10 !== 0)
  const entries = (numbers: number[]): [string, Uint8Array][] => numbers.map((i) => [name(i), value(i)])
  const named = (found: [Uint8Array, Uint8Array][]): [string, Uint8Array][] => found.map(([key, bytes]) => [text(key) as string, bytes])

  it('gives all entries in byte order, both ways, as entries, keys and values', async () => {
    const db = await filled()
    expect(named(await all(db.iterator()))).toEqual(entries(live))
    expect(named(await all(db.iterator({ reverse: true })))).toEqual(entries([...live].reverse()))
    expect((await all(db.keys())).map(text)).toEqual(live.map(name))
    expect((await all(db.keys({ reverse: true }))).map(text)).toEqual([...live].reverse().map(name))
    expect(await all(db.values())).toEqual(live.map(value))
    expect(await all(db.values({ reverse: true }))).toEqual([...live].reverse().map(value))
  })

  it('ranges: every pair of bounds, both ways; gte wins over gt, lte over lt', async () => {
    const db = await filled()
    for (const low of [undefined, 20, 21, 55]) {
      for (const high of [undefined, 20, 60, 61, 99]) {
        for (const lowKind of ['gt', 'gte'] as const) {
          for (const highKind of ['lt', 'lte'] as const) {
            const wanted = live.filter((i) => (low === undefined || (lowKind === 'gt' ? i > low : i >= low)) && (high === undefined || (highKind === 'lt' ? i < high : i <= high)))
            const range = { ...(low === undefined ? {} : { [lowKind]: name(low) }), ...(high === undefined ? {} : { [highKind]: name(high) }) }
            expect((await all(db.keys(range))).map(text)).toEqual(wanted.map(name))
            expect((await all(db.keys({ ...range, reverse: true }))).map(text)).toEqual([...wanted].reverse().map(name))
          }
        }
      }
    }
    expect((await all(db.keys({ gt: name(50), gte: name(95) }))).map(text)).toEqual([95, 96, 97, 98, 99].map(name))
    expect((await all(db.keys({ gte: name(1), gt: name(97) }))).length).toBe(live.length)
    expect((await all(db.keys({ lt: name(50), lte: name(3) }))).map(text)).toEqual([1, 2, 3].map(name))
    expect(await all(db.keys({ gt: name(5), lt: name(5) }))).toEqual([])
    expect(await all(db.keys({ gte: name(9), lte: name(3) }))).toEqual([])
    expect(await all(db.keys({ gte: 'zzz' }))).toEqual([])
  })

  it('limit counts, 0 is nothing, -1 is no limit', async () => {
    const db = await filled()
    expect(named(await all(db.iterator({ limit: 3 })))).toEqual(entries([1, 2, 3]))
    expect(named(await all(db.iterator({ limit: 3, reverse: true })))).toEqual(entries([99, 98, 97]))
    expect(await all(db.iterator({ limit: 0 }))).toEqual([])
    expect((await all(db.iterator({ limit: -1 }))).length).toBe(90)
    expect((await all(db.iterator({ limit: 1000 }))).length).toBe(90)
  })

  it('calls that overlap are answered in their order, whatever they are', async () => {
    const db = await place().open()
    for (let i = 0; i < 40; i++) await db.put(`k${10 + i}`, large(i % 3 === 0 ? 300 : 10, i))
    const keys = Array.from({ length: 40 }, (_, i) => `k${10 + i}`)
    const several = db.iterator()
    const entries = await Promise.all(Array.from({ length: 42 }, () => several.next()))
    expect(entries.map((entry) => entry && text(entry[0]))).toEqual([...keys, undefined, undefined])
    await several.close()
    const mixed = db.keys()
    const parts = await Promise.all([mixed.next(), mixed.nextv(5), mixed.next(), mixed.nextv(3), mixed.all()])
    expect(parts.flat().map((key) => text(key as Uint8Array))).toEqual(keys)
    const walk = db.keys({ limit: 3 })[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: 6 }, () => walk.next()))
    expect(results.map(({ value, done }) => (done ? 'done' : text(value)))).toEqual(['k10', 'k11', 'k12', 'done', 'done', 'done'])
    expect(await walk.next()).toEqual({ done: true, value: undefined })
  })

  it('next() gives entries, then undefined, again and again', async () => {
    const db = await filled()
    const iterator = db.iterator({ gte: name(98) })
    expect(text((await iterator.next())?.[0])).toBe(name(98))
    expect(text((await iterator.next())?.[0])).toBe(name(99))
    for (let i = 0; i < 3; i++) expect(await iterator.next()).toBeUndefined()
    expect(await iterator.nextv(5)).toEqual([])
    await iterator.close()
    const keys = db.keys({ gte: name(99) })
    expect(text(await keys.next())).toBe(name(99))
    await keys.close()
    const values = db.values({ gte: name(99) })
    expect(await values.next()).toEqual(value(99))
    await values.close()
  })

  it('nextv(n) gives at most n and is empty at the end', async () => {
    const db = await filled()
    const iterator = db.iterator()
    const found: [Uint8Array, Uint8Array][] = []
    for (;;) {
      const some = await iterator.nextv(7)
      expect(some.length).toBeLessThanOrEqual(7)
      if (some.length === 0) break
      found.push(...some)
    }
    expect(named(found)).toEqual(entries(live))
    expect(await iterator.nextv(1)).toEqual([])
    await iterator.close()
  })

  it('nextv is bounded by highWaterMarkBytes as well, but always gives one', async () => {
    const db = await filled()
    const iterator = db.iterator({ gte: name(70), highWaterMarkBytes: 1200 })
    const some = await iterator.nextv(20)
    expect(some.length).toBeGreaterThanOrEqual(1)
    expect(some.length).toBeLessThanOrEqual(4)
    await iterator.close()
    const tight = db.iterator({ gte: name(70), highWaterMarkBytes: 1 })
    const found: [Uint8Array, Uint8Array][] = []
    for (let batch = await tight.nextv(20); batch.length > 0; batch = await tight.nextv(20)) found.push(...batch)
    expect(named(found)).toEqual(entries(live.filter((i) => i >= 70)))
    await tight.close()
  })

  it('seek goes to the first entry at or after, in reverse at or before; outside the range is the end', async () => {
    const db = await filled()
    const after = async (options: object, target: string, first?: number): Promise<(string | undefined)[]> => {
      const iterator = db.iterator(options)
      for (let i = 0; i < (first ?? 0); i++) await iterator.next()
      iterator.seek(target)
      const found = (await iterator.nextv(2)).map(([key]) => text(key))
      await iterator.close()
      return found
    }
    expect(await after({}, name(50))).toEqual([name(51), name(52)])
    expect(await after({}, name(51))).toEqual([name(51), name(52)])
    expect(await after({}, name(51), 60)).toEqual([name(51), name(52)])
    expect(await after({}, '')).toEqual([name(1), name(2)])
    expect(await after({ reverse: true }, name(50))).toEqual([name(49), name(48)])
    expect(await after({ reverse: true }, name(49))).toEqual([name(49), name(48)])
    expect(await after({ reverse: true }, 'z')).toEqual([name(99), name(98)])
    expect(await after({ gte: name(20), lt: name(30) }, name(25))).toEqual([name(25), name(26)])
    expect(await after({ gte: name(20), lt: name(30) }, name(29))).toEqual([name(29)])
    for (const target of [name(19), name(30), name(31), '']) {
      expect(await after({ gte: name(20), lt: name(30) }, target), target).toEqual([])
      expect(await after({ gte: name(20), lt: name(30), reverse: true }, target), target).toEqual([])
    }
    expect(await after({ gt: name(20), lte: name(30) }, name(20))).toEqual([])
    expect(await after({ limit: 3 }, name(50), 2)).toEqual([name(51)])
  })

  it('seek on keys() and values(), and after reading ahead', async () => {
    const db = await filled()
    const keys = db.keys()
    await keys.nextv(30)
    keys.seek(name(3))
    expect(text(await keys.next())).toBe(name(3))
    keys.seek(name(97))
    expect((await keys.nextv(9)).map(text)).toEqual([97, 98, 99].map(name))
    await keys.close()
    const values = db.values({ reverse: true })
    await values.next()
    values.seek(name(35))
    expect(await values.next()).toEqual(value(35))
    await values.close()
  })

  it('for await closes, also when it is left early', async () => {
    const db = await filled()
    const iterator = db.iterator()
    for await (const [key] of iterator) if (text(key) === name(5)) break
    await expectCode(() => iterator.next(), 'WK_CLOSED')
    const ended = db.keys()
    await all(ended)
    await expectCode(() => ended.next(), 'WK_CLOSED')
  })

  it('after close() everything is WK_CLOSED; close is idempotent and disposes', async () => {
    const db = await filled()
    const iterator = db.iterator()
    await iterator.next()
    await iterator.close()
    await iterator.close()
    await expectCode(() => iterator.next(), 'WK_CLOSED')
    await expectCode(() => iterator.nextv(1), 'WK_CLOSED')
    await expectCode(() => all(iterator), 'WK_CLOSED')
    const other = db.iterator()
    {
      await using used = other
      await used.next()
    }
    await expectCode(() => other.next(), 'WK_CLOSED')
  })

  it('a call made before close(), of the iterator or the database, is answered', async () => {
    const db = await filled()
    const wanted = named(await all(db.iterator()))
    const [own, databases] = [db.iterator(), db.iterator()]
    const calls = [own, databases].map((iterator) => Promise.all([iterator.next(), iterator.nextv(30), iterator.next()]))
    const walk = db.keys()[Symbol.asyncIterator]()
    const steps = Promise.all([walk.next(), walk.return?.()])
    await own.close()
    await db.close()
    for (const call of calls) {
      const [first, many, last] = await call
      expect(named([first!, ...many, last!])).toEqual(wanted.slice(0, 32))
    }
    expect((await steps).map((step) => step?.done)).toEqual([false, true])
    for (const iterator of [own, databases]) await expectCode(() => iterator.next(), 'WK_CLOSED')
  })

  it('does not move while the map under it is overwritten, cleared, flushed, compacted and collected', async () => {
    const db = await filled()
    const [forward, backward] = [db.iterator(), db.iterator({ reverse: true })]
    const found = [await forward.nextv(10), await backward.nextv(10)]
    for (let i = 0; i < 100; i++) await db.put(name(i), large(300, i + 77))
    await db.flush()
    await db.clear()
    await db.flush()
    await db.compact()
    for (let i = 0; i < 3; i++) await db.runValueLogGC(0.01).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
    for (const [i, iterator] of [forward, backward].entries()) for (let more = await iterator.nextv(13); more.length > 0; more = await iterator.nextv(13)) found[i]?.push(...more)
    expect(named(found[0] ?? [])).toEqual(entries(live))
    expect(named(found[1] ?? [])).toEqual(entries([...live].reverse()))
    await forward.close()
    await backward.close()
    expect(await all(db.keys())).toEqual([])
  })

  it('seek takes its turn behind calls that are not answered yet', async () => {
    const db = await filled()
    const target = new TextEncoder().encode(name(50))
    const range = { gte: 'k', lt: 'l' }
    const walks = [db.iterator(range), db.iterator({ ...range, reverse: true }), db.iterator({ ...range, limit: 7 })]
    for (const [i, iterator] of walks.entries()) {
      const first = iterator.next()
      const second = iterator.next()
      iterator.seek(target)
      const sought = iterator.nextv(2)
      iterator.seek('outside')
      const outside = iterator.next()
      iterator.seek(name(10))
      const again = iterator.next()
      const last = iterator.nextv(2)
      const bytes = target.slice()
      target.fill(0)
      const found = [await first, await second, ...(await sought), await again, ...(await last)].map((entry) => text(entry?.[0]))
      const [up, down] = [(from: number) => live.filter((n) => n >= from), (from: number) => live.filter((n) => n <= from).reverse()]
      const from = i === 1 ? down : up
      const wanted = [...from(i === 1 ? Infinity : 0).slice(0, 2), ...from(50).slice(0, 2), ...from(10).slice(0, 3)].map((n) => name(n))
      expect(found).toEqual(wanted)
      expect(await outside).toBeUndefined()
      expect(await iterator.next()).toEqual(i === 2 ? undefined : expect.anything())
      target.set(bytes)
      await iterator.close()
    }
  })

  it('a seek behind a call that is not answered yet: refused at once; one made before close is made', async () => {
    const db = await filled()
    const iterator = db.iterator()
    const first = iterator.next()
    await expectCode(() => iterator.seek(5 as never), 'WK_INVALID_ARGUMENT')
    iterator.seek(name(51))
    const second = iterator.next()
    const closing = iterator.close()
    await expectCode(() => iterator.seek(name(1)), 'WK_CLOSED')
    expect([text((await first)?.[0]), text((await second)?.[0])]).toEqual([name(live[0]!), name(51)])
    await closing
    await db.transaction(async (txn) => {
      const reader = txn.keys()
      const before = reader.next()
      reader.seek(name(51))
      const behind = reader.next()
      expect([text(await before), text(await behind)]).toEqual([name(live[0]!), name(51)])
    })
  })

  it('a walk with for await goes on from where it was sought, whatever is under way', async () => {
    const db = await filled()
    const iterator = db.keys()
    const steps = iterator[Symbol.asyncIterator]()
    const first = steps.next()
    iterator.seek(name(50))
    const second = steps.next()
    expect([(await first).value, (await second).value].map(text)).toEqual([name(live[0]!), name(live.find((n) => n >= 50)!)])
    await steps.return?.()
  })

  it('many iterators side by side do not disturb each other', async () => {
    const db = await filled()
    const iterators = Array.from({ length: 20 }, (_, i) => db.iterator({ gte: name(i * 3), reverse: i % 2 === 1 }))
    const found = await Promise.all(iterators.map((iterator) => all(iterator)))
    for (const [i, list] of found.entries()) {
      const wanted = live.filter((n) => n >= i * 3)
      expect(named(list)).toEqual(entries(i % 2 === 1 ? wanted.reverse() : wanted))
    }
  })
})

describe('a damaged value', () => {
  it('ends the walk when its turn comes: everything before it is delivered', async () => {
    const at = memoryPlace()
    const db = await at.open({ valueLogFileSize: 1 << 20 })
    for (let i = 0; i < 100; i++) await db.put(name(i), large(400, i))
    await db.close()
    const [log] = (await at.names()).filter((file) => file.endsWith('.vlog'))
    const file = at.fs.openSync(`${at.dir}/${log}`, 'update')
    const content = new Uint8Array(file.sizeSync())
    file.readSync(content, 0, content.length, 0)
    const victim = Buffer.from(content).indexOf(large(400, 70))
    file.writeSync(Uint8Array.of(content[victim + 200]! ^ 1), 0, 1, victim + 200)
    file.closeSync()
    const again = await at.open({ valueLogFileSize: 1 << 20 })
    const expected = Array.from({ length: 70 }, (_, i) => large(400, i))
    for (const size of [1, 1000]) {
      const iterator = again.values()
      const seen: Uint8Array[] = []
      const walk = async (): Promise<void> => {
        for (let part = await iterator.nextv(size); part.length > 0; part = await iterator.nextv(size)) seen.push(...part)
      }
      await expectCode(walk, 'WK_CORRUPTION')
      expect(seen).toEqual(expected)
      await expectCode(() => iterator.next(), 'WK_CORRUPTION')
      iterator.seek(name(71))
      expect((await iterator.nextv(1000)).length).toBe(29)
      await iterator.close()
    }
  })
})

describe('keys() and has()', () => {
  it('never read the value log: counted, over tables, memtables, moved values, snapshots and missing keys', async () => {
    const at = memoryPlace()
    const fs = new TraceFileSystem(at.fs)
    const db = await at.open({ fs })
    for (let i = 0; i < 300; i++) await db.put(name(i), large(400, i))
    await db.flush()
    for (let i = 0; i < 300; i += 2) await db.put(name(i), large(300, i))
    await db.flush()
    await db.compact()
    expect((await db.gc({ maxSpaceAmp: 1.05 })).bytesMoved).toBeGreaterThan(0)
    for (let i = 0; i < 50; i++) await db.put(name(i), large(200, i))
    const snapshot = db.snapshot()
    for (let i = 100; i < 150; i++) await db.del(name(i))
    const valueReads = (): number => fs.entries.filter(({ kind, path }) => kind === 'read' && /\.(vlog|rlog)$/.test(path)).length
    fs.entries.length = 0
    expect((await all(db.keys())).length).toBe(250)
    expect((await all(db.keys({ reverse: true, snapshot }))).length).toBe(300)
    const keys = db.keys({ gte: name(90) })
    expect((await keys.nextv(20)).length).toBe(20)
    keys.seek(name(200))
    expect(text(await keys.next())).toBe(name(200))
    await keys.close()
    for (let i = 0; i < 310; i++) {
      expect(await db.has(name(i))).toBe(i < 300 && (i < 100 || i >= 150))
      expect(await db.has(name(i), { snapshot })).toBe(i < 300)
    }
    expect(valueReads()).toBe(0)
    // The count counts: each of these is a read.
    expect(await db.get(name(250))).toEqual(large(300, 250))
    expect(db.getSync(name(251))).toEqual(large(400, 251))
    expect(valueReads()).toBe(2)
  })
})

describe('an open iterator', () => {
  it('keeps its view through writes, flushes, compactions and the moving of values it has still to read', async () => {
    const db = await memoryPlace().open()
    const random = new Rng(11)
    let model = new Map<string, Uint8Array>()
    const write = async (count: number): Promise<void> => {
      model = new Map(model)
      for (let i = 0; i < count; i++) {
        const key = name(random.below(400))
        if (random.below(5) === 0) {
          model.delete(key)
          await db.del(key)
        } else {
          const value = large(100 + random.below(300), random.below(1000))
          model.set(key, value)
          await db.put(key, value)
        }
      }
    }
    await write(600)
    const walks: { iterator: ReturnType<DB['iterator']>; found: [string, Uint8Array][]; expected: [string, Uint8Array][] }[] = []
    let moved = 0
    for (let round = 0; round < 12; round++) {
      const reverse = round % 2 === 1
      const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1))
      const snapshot = db.snapshot()
      walks.push({ iterator: db.iterator({ reverse, snapshot }), found: [], expected: reverse ? expected.reverse() : expected })
      snapshot.close()
      await write(300)
      await db.flush()
      if (round % 3 === 2) await db.compact()
      moved += (await db.gc({ maxSpaceAmp: 1.05 })).bytesMoved
      for (const { iterator, found } of walks) found.push(...(await iterator.nextv(7)).map(([key, value]): [string, Uint8Array] => [text(key)!, value]))
    }
    expect(moved).toBeGreaterThan(0)
    for (const { iterator, found, expected } of walks) {
      for await (const [key, value] of iterator) found.push([text(key)!, value])
      expect(found).toEqual(expected)
    }
  })

  it('for await: what comes after db.close() was called is WK_CLOSED, though it was fetched ahead', async () => {
    const db = keep(await memoryPlace().open())
    for (let i = 0; i < 200; i++) await db.put(`k${i}`, 'v')
    const walk = db.iterator()[Symbol.asyncIterator]()
    for (let i = 0; i < 25; i++) expect((await walk.next()).done).toBe(false)
    const closing = db.close()
    await expectCode(() => walk.next(), 'WK_CLOSED')
    await closing
    expect(await walk.next()).toEqual({ done: true, value: undefined })
  })
})
