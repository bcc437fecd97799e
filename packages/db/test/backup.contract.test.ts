import { defaultRuntime, MemoryFileSystem } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, all, expectCode, keep, large, memoryPlace, onBothFileSystems, text, type Options } from './harness.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 20 : 1))

interface Taken {
  chunks: Uint8Array[]
  last: number
  bytes: Uint8Array
}

async function take(db: DB, options?: Parameters<DB['backup']>[0]): Promise<Taken> {
  const stream = db.backup(options)
  const chunks: Uint8Array[] = []
  for (;;) {
    const step = await stream.next()
    if (step.done === true) return { chunks, last: step.value, bytes: new Uint8Array(Buffer.concat(chunks)) }
    chunks.push(step.value)
  }
}

/** Everything a database shows, with attributes but without versions. */
const contentOf = async (db: DB): Promise<unknown[]> => {
  const entries = []
  for await (const key of db.keys()) {
    const versions = await db.versions(key)
    entries.push([text(key), ...versions.map(({ value, userMeta, expiresAt }) => [Buffer.from(value).toString('base64'), userMeta, expiresAt])])
  }
  return entries
}

/** An empty database of its own. */
const fresh = async (options: Options = {}): Promise<DB> => keep(await DB.open('/db', { ...SMALL, fs: new MemoryFileSystem({ crashable: false }), ...options }))

onBothFileSystems('backup', (place) => {
  it('is loaded from a source that reads all of it into one buffer', async () => {
    const [source, target] = [keep(await memoryPlace().open()), keep(await memoryPlace().open())]
    for (let i = 0; i < 20; i++) await source.put(`k${i}`, large(100_000, i))
    const stream = Buffer.concat(await all(source.backup()))
    const buffer = Buffer.alloc(777)
    await target.load(
      (function* () {
        for (let at = 0; at < stream.length; at += buffer.length) yield buffer.subarray(0, stream.copy(buffer, 0, at, at + buffer.length))
      })(),
    )
    for (let i = 0; i < 20; i++) expect(await target.get(`k${i}`)).toEqual(large(100_000, i))
  })

  it('of everything, loaded into an empty database, gives the same', async () => {
    const db = await place().open()
    for (let i = 0; i < 300; i++) await db.put(`k${i % 80}`, i % 3 === 0 ? large(900, i) : `v${i}`, { userMeta: i % 256, ...(i % 7 === 0 ? { ttl: 1000 } : {}) })
    await db.del('k3')
    await db.put('', '')
    await db.flush()
    await db.put('k4', large(5000, 4))
    const { chunks, last } = await take(db)
    const target = await fresh()
    await target.load(chunks)
    expect(await contentOf(target)).toEqual(await contentOf(db))
    expect((await target.verify()).problems).toEqual([])
    const snapshot = db.snapshot()
    expect(last).toBe(snapshot.version)
    snapshot.close()
  })

  it('carries what has changed since, deletions included, and nothing else', async () => {
    const db = await place().open()
    for (let i = 0; i < 200; i++) await db.put(`k${i}`, large(300, i))
    const full = await take(db, { since: 0 })
    await db.put('k5', 'changed')
    await db.del('k6')
    await db.put('new', large(700, 1))
    const first = await take(db, { since: full.last })
    expect(first.bytes.length).toBeLessThan(1200)
    await db.del('new')
    const second = await take(db, { since: first.last })
    const nothing = await take(db, { since: second.last })
    expect(nothing.last).toBe(second.last)
    const target = await fresh()
    await target.load(full.chunks)
    for (const one of [first, second, nothing]) {
      await target.load(one.chunks)
      if (one === first) expect(await target.get('new')).toEqual(large(700, 1))
    }
    expect(await contentOf(target)).toEqual(await contentOf(db))
    expect(await target.has('k6')).toBe(false)
  })

  it('is what was there at its beginning, whatever comes while it is read', async () => {
    const db = await place().open()
    for (let i = 0; i < 60; i++) await db.put(`k${i}`, large(60_000, i))
    const before = await contentOf(db)
    const target = await fresh()
    await target.load(
      (async function* () {
        let at = 0
        for await (const chunk of db.backup()) {
          yield chunk
          for (let i = 0; i < 10; i++) await db.put(`k${(at * 7 + i) % 60}`, large(100, at++))
          await db.del(`k${at % 60}`)
          if (at === 20) {
            await db.compact()
            await db.gc({ maxSpaceAmp: 1.05 })
          }
        }
        expect(at).toBeGreaterThan(20)
      })(),
    )
    expect(await contentOf(target)).toEqual(before)
  })

  it('of a database opened read-only after a crash, and of one in memory', async () => {
    const here = place()
    const db = await here.open()
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(200, i))
    const content = await contentOf(db)
    await db.close()
    const reader = await here.open({ readOnly: true })
    const { chunks } = await take(reader)
    await expectCode(() => reader.load(chunks), 'WK_READ_ONLY')
    const memory = keep(await DB.open('', { inMemory: true }))
    await memory.load(chunks)
    expect(await contentOf(memory)).toEqual(content)
    const target = await fresh()
    await target.load((await take(memory)).chunks)
    expect(await contentOf(target)).toEqual(content)
  })
})

describe('backup', () => {
  it('keeps histories: as many versions as the database keeps, in their order', async () => {
    const db = await fresh({ numVersionsToKeep: 3 })
    const target = await fresh({ numVersionsToKeep: 3 })
    for (let i = 0; i < 5; i++) await db.put('k', `v${i}`)
    await db.put('gone', '1')
    const full = await take(db)
    await db.put('k', 'v5')
    await db.del('gone')
    await db.put('gone', 'back')
    const more = await take(db, { since: full.last })
    await target.load(full.chunks)
    expect((await target.versions('k')).map(({ value }) => text(value))).toEqual(['v4', 'v3', 'v2'])
    await target.load(more.chunks)
    expect((await target.versions('k')).map(({ value }) => text(value))).toEqual(['v5', 'v4', 'v3'])
    expect((await target.versions('gone')).map(({ value }) => text(value))).toEqual(['back'])
  })

  it('what has expired is a deletion', async () => {
    let seconds = 1_700_000_000
    const runtime = { ...defaultRuntime, now: () => seconds * 1000 }
    const db = await fresh({ runtime })
    await db.put('k', 'old')
    const full = await take(db)
    await db.put('k', 'short', { ttl: 10 })
    await db.put('long', 'v', { ttl: 1000 })
    seconds += 10
    const more = await take(db, { since: full.last })
    const target = await fresh({ runtime })
    await target.load(full.chunks)
    await target.load(more.chunks)
    expect(await target.has('k')).toBe(false)
    expect((await target.getEntry('long'))?.expiresAt).toBe(1_700_001_000)
  })

  it('is refused before the first chunk once a compaction has dropped a deletion made since, and after reopening', async () => {
    const place = memoryPlace()
    let db = await place.open()
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, `v${i}`)
    const full = await take(db)
    await db.del('k1')
    const told = await take(db, { since: full.last })
    await db.flush()
    await db.compact()
    const refused = async (since: number): Promise<void> => {
      const error = await expectCode(() => db.backup({ since }).next(), 'WK_NOT_SUPPORTED')
      expect(error.message).toMatch(/full backup/)
    }
    await refused(full.last)
    await db.close()
    db = await place.open()
    await refused(full.last)
    await db.checkpoint('/copy')
    const copy = keep(await DB.open('/copy', { ...SMALL, fs: place.fs }))
    await expectCode(() => copy.backup({ since: full.last }).next(), 'WK_NOT_SUPPORTED')
    await db.put('k2', 'later')
    const after = await take(db, { since: told.last })
    const target = await fresh()
    for (const { chunks } of [full, told, after]) await target.load(chunks)
    expect(await contentOf(target)).toEqual(await contentOf(db))
    expect((await take(db)).last).toBe(after.last)
  })

  it('and is not while a snapshot from the last one is held', async () => {
    const db = await fresh()
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, `v${i}`)
    const snapshot = db.snapshot()
    const full = await take(db)
    for (let i = 0; i < 20; i++) await db.del(`k${i}`)
    await db.flush()
    await db.compact()
    const more = await take(db, { since: full.last })
    snapshot.close()
    const target = await fresh()
    await target.load(full.chunks)
    await target.load(more.chunks)
    expect(await contentOf(target)).toEqual(await contentOf(db))
  })

  it('what it covers survives a loss of power: no version that was backed up comes back for another write', async () => {
    const fs = new MemoryFileSystem()
    const db = keep(await DB.open('/db', { ...SMALL, fs }))
    for (let i = 0; i < 20; i++) await db.put(`k${i}`, `v${i}`)
    const stream = db.backup()
    await stream.next()
    const image = fs.crashClone('P0', 1)
    await stream.return(0)
    const after = keep(await DB.open('/db', { ...SMALL, fs: image }))
    expect(await contentOf(after)).toEqual(await contentOf(db))
  })

  it('chunks stay small, whatever the database holds', async () => {
    const db = await fresh({ memTableSize: 1024 * 1024, valueLogFileSize: 1024 * 1024 })
    for (let i = 0; i < 400; i++) await db.put(`k${i}`, large(10_000, i))
    const { chunks } = await take(db)
    expect(chunks.length).toBeGreaterThan(4)
    for (const { length } of chunks) expect(length).toBeLessThan(1.1 * 1024 * 1024)
  })

  it('tells progress, ends with the signal, and gives up its view however it ends', async () => {
    const db = await fresh({ valueLogFileSize: 1024 * 1024 })
    for (let i = 0; i < 300; i++) await db.put(`k${i}`, large(10_000, i))
    const iterators = (): number => db.stats().iterators
    const controller = new AbortController()
    const phases = new Set<string>()
    await expectCode(async () => {
      for await (const chunk of db.backup({ signal: controller.signal, onProgress: ({ phase }) => phases.add(phase) })) if (chunk.length > 100_000) controller.abort()
    }, 'WK_ABORTED')
    expect([...phases]).toEqual(['backup'])
    expect(iterators()).toBe(0)
    for await (const chunk of db.backup()) if (chunk.length > 0) break
    expect(iterators()).toBe(0)
    const left = db.backup()
    await left.next()
    expect(iterators()).toBe(1)
    await db.close()
    await expectCode(() => left.next(), 'WK_CLOSED')
    await expectCode(() => db.backup().next(), 'WK_CLOSED')
  })

  it('wrong arguments are WK_INVALID_ARGUMENT', async () => {
    const db = await fresh()
    for (const since of [-1, 1.5, '0', Number.NaN, 1]) await expectCode(() => db.backup({ since: since as never }).next(), 'WK_INVALID_ARGUMENT')
    for (const chunks of [undefined, null, 5, new Uint8Array(5), {}, ['text'], [5]]) await expectCode(() => db.load(chunks as never), 'WK_INVALID_ARGUMENT')
  })
})

describe('load', () => {
  it('takes chunks cut in any way, from any iterable, and does not keep them', async () => {
    const db = await fresh()
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, large(i * 8, i))
    const { bytes } = await take(db)
    const content = await contentOf(db)
    const rng = new Rng(FIRST_SEED)
    for (const most of [1, 7, 100, 5000, 10_000_000]) {
      const target = await fresh()
      await target.load(
        (function* () {
          const chunk = new Uint8Array(most)
          for (let at = 0; at < bytes.length; ) {
            const length = Math.min(rng.between(0, most), bytes.length - at)
            chunk.set(bytes.subarray(at, at + length))
            yield chunk.subarray(0, length)
            at += length
          }
        })(),
      )
      expect(await contentOf(target)).toEqual(content)
    }
  })

  it('an empty, cut, damaged, lengthened or reordered stream is WK_CORRUPTION', async () => {
    const db = await fresh()
    for (let i = 0; i < 20; i++) await db.put(`k${i}`, large(30, i))
    const { bytes, chunks } = await take(db)
    const target = await fresh()
    await expectCode(() => target.load([]), 'WK_CORRUPTION')
    await expectCode(() => target.load([new Uint8Array(0)]), 'WK_CORRUPTION')
    for (let length = 0; length < bytes.length; length++) await expectCode(() => target.load([bytes.subarray(0, length)]), 'WK_CORRUPTION')
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice()
      damaged[at] = (damaged[at] as number) ^ [0x01, 0x80, 0xff][at % 3]!
      const error = await expectCode(() => target.load([damaged]), 'WK_CORRUPTION')
      expect(error.offset).toBeLessThanOrEqual(at)
    }
    expect(chunks).toHaveLength(3)
    const [head, records, end] = chunks as [Uint8Array, Uint8Array, Uint8Array]
    for (const wrong of [[records, end], [head, end], [head, records], [head, records, records, end], [head, head, records, end], [end], [head, records, end, new Uint8Array(1)], [head, records, end, end], [head, records, end, head]]) {
      await expectCode(() => target.load(wrong), 'WK_CORRUPTION')
    }
    await target.load(chunks)
    expect(await contentOf(target)).toEqual(await contentOf(db))
  })

  it('a length that is not there is not allocated', async () => {
    const target = await fresh()
    const hostile = new Uint8Array(100)
    new DataView(hostile.buffer).setUint32(4, 1024 * 1024 * 1024, true)
    const before = process.memoryUsage().arrayBuffers
    await expectCode(() => target.load([hostile]), 'WK_CORRUPTION')
    new DataView(hostile.buffer).setUint32(4, 0xffff_ffff, true)
    await expectCode(() => target.load([hostile]), 'WK_CORRUPTION')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('into a database that holds something writes over it', async () => {
    const db = await fresh()
    await db.put('a', '1')
    await db.put('b', '1')
    await db.del('c')
    const { chunks } = await take(db)
    const target = await fresh()
    for (let i = 0; i < 50; i++) for (const key of ['a', 'c', 'd']) await target.put(key, `mine ${i}`)
    await target.load(chunks)
    expect((await target.iterator().all()).map(([key, value]) => `${text(key)}=${text(value)}`)).toEqual(['a=1', 'b=1', 'd=mine 49'])
  })

  it('conflicts with transactions like any other write', async () => {
    const db = await fresh()
    await db.put('a', '1')
    const { chunks } = await take(db)
    const target = await fresh()
    await expectCode(
      () =>
        target.transaction(async (txn) => {
          await txn.get('a')
          await target.load(chunks)
          txn.put('b', '2')
        }),
      'WK_CONFLICT',
    )
  })

  it('an aborted one is told so, whatever its source throws when it is ended', async () => {
    const target = await fresh()
    const { chunks } = await take(await fresh())
    const controller = new AbortController()
    const source = {
      [Symbol.iterator]: () => ({
        next: () => (controller.abort(), { done: false as const, value: chunks[0]! }),
        return: (): never => {
          throw new Error('of the source')
        },
      }),
    }
    await expectCode(() => target.load(source, { signal: controller.signal }), 'WK_ABORTED')
  })

  it('an aborted one ends at once, even while its source hangs, and the source is told', async () => {
    const target = await fresh()
    let told = false
    const hanging = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}), return: async () => ((told = true), { done: true as const, value: undefined }) }) }
    const controller = new AbortController()
    const outcome = expectCode(() => target.load(hanging, { signal: controller.signal }), 'WK_ABORTED')
    setTimeout(() => controller.abort(), 5)
    await outcome
    expect(told).toBe(true)
    const closing = expectCode(() => target.load(hanging), 'WK_CLOSED')
    await new Promise((resolve) => setTimeout(resolve, 5))
    await target.close()
    await closing
    const failing = await fresh()
    await expect(failing.load((async function* () { yield await Promise.reject(new Error('mine')) })())).rejects.toThrow('mine')
  })

  it('is durable when it resolves, and versions go on above those of the stream', async () => {
    const db = await fresh()
    for (let i = 0; i < 300; i++) await db.put(`k${i % 10}`, large(100, i))
    const full = await take(db)
    const fs = new MemoryFileSystem()
    const target = keep(await DB.open('/db', { ...SMALL, fs }))
    await target.load(full.chunks)
    const image = keep(await DB.open('/db', { ...SMALL, fs: fs.crashClone('P0', 1) }))
    for (const one of [target, image]) {
      expect(await contentOf(one)).toEqual(await contentOf(db))
      await one.put('k1', 'after')
      expect((await one.getEntry('k1'))?.version).toBe(full.last + 1)
      const increment = await take(one, { since: full.last })
      expect(increment.last).toBe(full.last + 1)
      const third = await fresh()
      await third.load(full.chunks)
      await third.load(increment.chunks)
      expect(await contentOf(third)).toEqual(await contentOf(one))
    }
  })

  it(`a full backup and its increments restore the source, seeds ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    let refusals = 0
    let increments = 0
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const rng = new Rng(seed)
      const keepVersions = rng.pick([1, 1, 3])
      let seconds = 1_700_000_000
      const options = { numVersionsToKeep: keepVersions, runtime: { ...defaultRuntime, now: () => seconds * 1000 }, l0CompactionTrigger: rng.pick([2, 8]) }
      const db = await fresh(options)
      let target = await fresh(options)
      let since = 0
      for (let i = 0; i < 200; i++) {
        const key = `k${rng.below(15)}`
        const choice = rng.weighted({ put: 10, ttl: 1, del: 2, time: 0.5, flush: 0.3, compact: 0.15, gc: 0.2, backup: 0.8 })
        if (choice === 'put') await db.put(key, large(rng.pick([3, 70, 500]), i), { userMeta: i % 256 })
        else if (choice === 'ttl') await db.put(key, `t${i}`, { ttl: rng.between(1, 30) })
        else if (choice === 'del') await db.del(key)
        else if (choice === 'time') seconds += rng.below(10)
        else if (choice === 'flush') await db.flush()
        else if (choice === 'compact') await db.compact()
        else if (choice === 'gc') await db.runValueLogGC(0.3).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
        else if (choice === 'backup' || i === 199) {
          const taken = await take(db, { since }).catch(async (err: { code: string }) => {
            expect(err.code).toBe('WK_NOT_SUPPORTED')
            refusals++
            await target.close()
            target = await fresh(options)
            return take(db)
          })
          if (since > 0) increments++
          since = taken.last
          await target.load(taken.chunks)
          expect(await contentOf(target), `seed ${seed} at ${i}, replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/backup.contract.test.ts`).toEqual(await contentOf(db))
        }
      }
      await db.close()
      await target.close()
    }
    if (RUNS < 10) return
    expect(increments).toBeGreaterThan(RUNS * 3)
    expect(refusals).toBeGreaterThan(0)
  })
})
