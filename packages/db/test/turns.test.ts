/**
 * Law 10, the event loop turns: calls that have much to look at let it turn, however few results they have. Counted in turns, with a
 * clock on which every question for the time finds a slice used up.
 */
import { defaultRuntime } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { DB } from '../src/index.js'
import { cleanUp, memoryPlace } from './harness.js'

afterEach(cleanUp)

const name = (i: number): string => `k${String(i).padStart(5, '0')}`
const text = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : Buffer.from(bytes).toString())

/** A runtime that counts the turns it was asked for, and what happens in the next one. */
class Turns implements Runtime {
  count = 0
  onTurn: (() => void) | undefined
  #time = 0
  readonly now = defaultRuntime.now
  readonly random = defaultRuntime.random
  readonly sleep = defaultRuntime.sleep
  readonly microtask = defaultRuntime.microtask
  readonly monotonic = (): number => (this.#time += 100)
  readonly yield = async (): Promise<void> => {
    this.count++
    await defaultRuntime.yield()
    this.onTurn?.()
  }

  /** Turns that `work` takes. */
  async during(work: () => Promise<unknown>): Promise<number> {
    const before = this.count
    await work()
    return this.count - before
  }
}

const DELETED = 3000

/** Two keys far apart; between them lie deletions. */
async function desert(turns: Turns): Promise<DB> {
  const db = await memoryPlace().open({ runtime: turns, memTableSize: 4 * 1024 * 1024, workers: 0 })
  await db.batch([{ type: 'put', key: 'a', value: 'first' }, ...Array.from({ length: DELETED }, (_, i) => ({ type: 'put' as const, key: name(i), value: 'x' })), { type: 'put', key: 'z', value: 'last' }])
  await db.batch(Array.from({ length: DELETED }, (_, i) => ({ type: 'del' as const, key: name(i) })))
  return db
}

describe('law 10: deletions that lie between two entries', () => {
  const LEAST = 4

  it('let the loop turn while an iterator passes them, in both directions and after a seek', async () => {
    const turns = new Turns()
    const db = await desert(turns)
    for (const reverse of [false, true]) {
      for (const find of ['all', 'next', 'nextv', 'seek'] as const) {
        const iterator = db.iterator({ reverse })
        let found: string[] = []
        const taken = await turns.during(async () => {
          if (find === 'all') found = (await iterator.all()).map(([key]) => text(key) as string)
          else if (find === 'nextv') found = (await iterator.nextv(10)).map(([key]) => text(key) as string)
          else {
            if (find === 'seek') iterator.seek(reverse ? name(DELETED) : 'b')
            else await iterator.next()
            found = [text((await iterator.next())?.[0]) as string]
          }
        })
        await iterator.close()
        const ends = reverse ? ['z', 'a'] : ['a', 'z']
        expect(found).toEqual(find === 'all' || find === 'nextv' ? ends : [ends[1]])
        expect(taken, `${find} reverse ${reverse}`).toBeGreaterThan(LEAST)
      }
    }
    expect(await db.keys({ gt: 'a', lt: 'z' }).all()).toEqual([])
  })

  it('let the loop turn in a transaction, also those of its own', async () => {
    const turns = new Turns()
    const db = await memoryPlace().open({ runtime: turns, memTableSize: 4 * 1024 * 1024, workers: 0 })
    await db.batch(Array.from({ length: DELETED }, (_, i) => ({ type: 'put' as const, key: name(i), value: 'x' })))
    await db.put('z', 'last')
    await db.transaction(async (txn) => {
      for (let i = 0; i < DELETED; i++) txn.del(name(i))
      for (const reverse of [false, true]) {
        let found: string[] = []
        expect(await turns.during(async () => (found = (await txn.keys({ reverse }).all()).map((key) => text(key) as string)))).toBeGreaterThan(LEAST)
        expect(found).toEqual(['z'])
      }
    })
    await db.transaction(async (txn) => {
      expect(await turns.during(() => txn.keys().all())).toBeGreaterThan(LEAST)
    })
  })

  it('let the loop turn in clear, which its signal ends there', async () => {
    const turns = new Turns()
    const db = await desert(turns)
    expect(await turns.during(() => db.clear({ gte: 'b', lt: 'z' }))).toBeGreaterThan(LEAST)
    const abort = new AbortController()
    turns.onTurn = () => abort.abort()
    await expect(db.clear({ gte: 'b', signal: abort.signal })).rejects.toMatchObject({ code: 'WK_ABORTED' })
    turns.onTurn = undefined
    expect(text(await db.get('z'))).toBe('last')
    await db.clear({ gte: 'b' })
    expect((await db.keys().all()).map(text)).toEqual(['a'])
  })

  it('are passed before a seek that comes meanwhile: it is behind the call', async () => {
    const turns = new Turns()
    const db = await desert(turns)
    const iterator = db.iterator({ gt: 'a' })
    turns.onTurn = () => {
      turns.onTurn = undefined
      iterator.seek('y')
    }
    expect(text((await iterator.next())?.[0])).toBe('z')
    expect(turns.onTurn).toBeUndefined()
    expect(text((await iterator.next())?.[0])).toBe('z')
    expect(await iterator.next()).toBeUndefined()
    await iterator.close()
  })

  it('do not keep a database from closing: what was asked before is answered', async () => {
    const turns = new Turns()
    const db = await desert(turns)
    const iterator = db.iterator({ gt: 'a' })
    const next = iterator.next()
    await db.close()
    expect(text((await next)?.[0])).toBe('z')
    await expect(iterator.next()).rejects.toMatchObject({ code: 'WK_CLOSED' })
  })
})

describe('law 10: many keys of one getMany', () => {
  const COUNT = 3000
  const names = Array.from({ length: COUNT }, (_, i) => name(i))

  async function filled(turns: Turns): Promise<DB> {
    const db = await memoryPlace().open({ runtime: turns, memTableSize: 4 * 1024 * 1024, workers: 0 })
    // Every third value lies in the value log.
    await db.batch(names.map((key, i) => ({ type: 'put' as const, key, value: valueOf(key, i) })))
    await db.flush()
    return db
  }
  const valueOf = (key: string, i: number): string => (i % 3 === 0 ? key.repeat(20) : key)
  const isAll = (values: readonly (Uint8Array | undefined)[]): boolean => values.length === COUNT && values.every((value, i) => text(value) === valueOf(name(i), i))

  it('are looked up in several turns, as of the call, whatever comes meanwhile', async () => {
    for (const isSnapshot of [false, true]) {
      const turns = new Turns()
      const db = await filled(turns)
      const snapshot = db.snapshot()
      const keys = names.map((key) => new TextEncoder().encode(key))
      let overwritten: Promise<unknown> | undefined
      const overwrite = async (): Promise<unknown> => {
        snapshot.close()
        await db.batch(names.map((key) => ({ type: 'put' as const, key, value: 'overwritten' })))
        await db.compact()
        return db.gc()
      }
      let values: (Uint8Array | undefined)[] = []
      const taken = await turns.during(async () => {
        const reading = db.getMany(keys, isSnapshot ? { snapshot } : undefined)
        for (const key of keys) key.fill(0)
        turns.onTurn = () => {
          overwritten ??= overwrite()
        }
        values = await reading
      })
      turns.onTurn = undefined
      expect(isAll(values)).toBe(true)
      expect(taken).toBeGreaterThan(10)
      await overwritten
      expect(text(await db.get(name(1)))).toBe('overwritten')
      await db.close()
    }
  })

  it('are answered by a database that is closed meanwhile', async () => {
    const turns = new Turns()
    const db = await filled(turns)
    const reading = db.getMany(names)
    await db.close()
    expect(isAll(await reading)).toBe(true)
  })

  it('are looked up in several turns in a transaction, beside its own writes', async () => {
    const turns = new Turns()
    const db = await filled(turns)
    await db.transaction(async (txn) => {
      txn.put(name(1), 'own')
      txn.del(name(2))
      let values: (Uint8Array | undefined)[] = []
      expect(await turns.during(async () => (values = await txn.getMany(names)))).toBeGreaterThan(10)
      expect(values.slice(0, 4).map(text)).toEqual([valueOf(name(0), 0), 'own', undefined, valueOf(name(3), 3)])
      expect(text(values[COUNT - 1])).toBe(valueOf(name(COUNT - 1), COUNT - 1))
    })
  })
})

describe('law 10: backups', () => {
  const COUNT = 10_000

  async function filled(turns: Turns, value = 'v'): Promise<DB> {
    const db = await memoryPlace().open({ runtime: turns, memTableSize: 4 * 1024 * 1024, workers: 0, valueCompression: 'lz4' })
    await db.batch(Array.from({ length: COUNT }, (_, i) => ({ type: 'put' as const, key: name(i), value })))
    return db
  }
  async function chunksOf(db: DB): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = []
    for await (const chunk of db.backup()) chunks.push(chunk)
    return chunks
  }

  it('have frames of few records, which are encoded and loaded one in a turn', async () => {
    const turns = new Turns()
    const db = await filled(turns)
    const chunks = await chunksOf(db)
    // A head, three frames of records, an end.
    expect(chunks).toHaveLength(5)
    const other = await memoryPlace().open({ runtime: turns, workers: 0 })
    await other.load(chunks)
    expect(await other.keys().all()).toHaveLength(COUNT)
  })

  it('that come in tiny chunks let the loop turn while they are loaded', async () => {
    const turns = new Turns()
    const db = await memoryPlace().open({ runtime: turns, workers: 0 })
    await db.put('a', 'x'.repeat(2000))
    const stream = Buffer.concat(await chunksOf(db))
    const bytes = Array.from(stream, (_, i) => stream.subarray(i, i + 1))
    const other = await memoryPlace().open({ runtime: turns, workers: 0 })
    expect(await turns.during(() => other.load(bytes))).toBeGreaterThan(500)
    expect(text(await other.get('a'))).toHaveLength(2000)
  })

  it('of values that compress well have frames of no more than a mebibyte and a value', async () => {
    const turns = new Turns()
    const db = await memoryPlace().open({ runtime: turns, workers: 0, valueCompression: 'lz4' })
    const value = Buffer.alloc(300_000, 'x')
    for (let i = 0; i < 20; i++) await db.put(name(i), value)
    const chunks = await chunksOf(db)
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(1024 * 1024 + value.length)
    const other = await memoryPlace().open({ runtime: turns, workers: 0 })
    await other.load(chunks)
    expect(await other.get(name(19))).toEqual(new Uint8Array(value))
  })

  it('of values that compress well read no more than a mebibyte of them at a time, nor do iterators read much more ahead', async () => {
    const db = await memoryPlace().open({ workers: 0, valueCompression: 'lz4' })
    const value = Buffer.alloc(300_000, 'x')
    for (let i = 0; i < 60; i++) await db.put(name(i), value)
    const begin = vi.spyOn(ValueLog.prototype, 'beginBatch')
    const most = (): number => Math.max(...begin.mock.calls.splice(0).map(([batch]) => batch.count))
    try {
      await chunksOf(db)
      expect(most()).toBeLessThanOrEqual(4)
      let entries = 0
      for await (const [, found] of db.iterator()) if (found.length === value.length) entries++
      expect(entries).toBe(60)
      // Four times `highWaterMarkBytes`, and an entry.
      expect(most()).toBeLessThanOrEqual(16)
    } finally {
      begin.mockRestore()
    }
  })

  it('read no more than a mebibyte of the versions of one key at a time', async () => {
    const db = await memoryPlace().open({ workers: 0, numVersionsToKeep: 50, valueLogFileSize: 1024 * 1024 })
    for (let i = 0; i < 50; i++) await db.put('hot', Buffer.alloc(200_000, i))
    const begin = vi.spyOn(ValueLog.prototype, 'beginBatch')
    try {
      const chunks = await chunksOf(db)
      expect(Math.max(...begin.mock.calls.map(([batch]) => batch.count))).toBeLessThanOrEqual(6)
      const other = await memoryPlace().open({ workers: 0, numVersionsToKeep: 50, valueLogFileSize: 1024 * 1024 })
      await other.load(chunks)
      expect((await other.versions('hot')).map(({ value }) => value[0])).toEqual(Array.from({ length: 50 }, (_, i) => 49 - i))
    } finally {
      begin.mockRestore()
    }
  })

  it('step over the old versions of one key', async () => {
    const turns = new Turns()
    const db = await memoryPlace().open({ runtime: turns, memTableSize: 4 * 1024 * 1024, workers: 0 })
    for (let i = 0; i < 20; i++) await db.batch(Array.from({ length: 100 }, (_, j) => ({ type: 'put' as const, key: j === 0 ? 'z' : 'hot', value: `${i} ${j}` })))
    const other = await memoryPlace().open()
    await other.load(db.backup())
    expect([text(await other.get('hot')), text(await other.get('z'))]).toEqual(['19 99', '19 0'])
  })
})

describe('law 10: backups of a key with many versions', () => {
  const COUNT = 20_000

  /** Puts a key again and again, in one memtable. */
  async function heated(turns: Turns, numVersionsToKeep = 1): Promise<{ db: DB; heat: () => Promise<void> }> {
    const db = await memoryPlace().open({ runtime: turns, memTableSize: 16 * 1024 * 1024, workers: 0, numVersionsToKeep })
    await db.put('a', 'x')
    const heat = (): Promise<void> => db.batch(Array.from({ length: COUNT }, (_, i) => ({ type: 'put' as const, key: 'hot', value: String(i) })))
    return { db, heat }
  }

  it('let the loop turn while all are taken', async () => {
    const turns = new Turns()
    const { db, heat } = await heated(turns, COUNT)
    await heat()
    const other = await memoryPlace().open({ workers: 0, numVersionsToKeep: COUNT })
    expect(await turns.during(() => other.load(db.backup()))).toBeGreaterThan(COUNT / 100)
    expect((await other.versions('hot')).map(({ value }) => text(value))).toEqual(Array.from({ length: COUNT }, (_, i) => String(COUNT - 1 - i)))
  })

  it('step over those that came since, and over those of the backup before', async () => {
    const turns = new Turns()
    const { db, heat } = await heated(turns)
    await db.put('hot', 'first')
    const backup = db.backup()
    const chunks = [(await backup.next()).value as Uint8Array]
    await heat()
    // Whoever walked over them would have to let the loop turn many times.
    const before = turns.count
    let step = await backup.next()
    for (; step.done !== true; step = await backup.next()) chunks.push(step.value)
    const { version } = (await db.getEntry('hot')) as { version: number }
    await db.put('z', 'last')
    const [whole, rest] = [[] as Uint8Array[], [] as Uint8Array[]]
    for await (const chunk of db.backup({ since: step.value })) whole.push(chunk)
    for await (const chunk of db.backup({ since: version })) rest.push(chunk)
    expect(turns.count - before).toBeLessThan(50)

    const other = await memoryPlace().open({ workers: 0 })
    await other.load(chunks)
    expect([text(await other.get('a')), text(await other.get('hot'))]).toEqual(['x', 'first'])
    await other.load(whole)
    await other.load(rest)
    expect([text(await other.get('hot')), text(await other.get('z'))]).toEqual([String(COUNT - 1), 'last'])
  })
})

describe('law 10: transactions that read many ranges', () => {
  it('let the loop turn while their commit asks whether these have changed', async () => {
    const turns = new Turns()
    const db = await memoryPlace().open({ runtime: turns, workers: 0 })
    const attempt = async (meanwhile: string): Promise<string> => {
      let committing = 0
      const outcome = await db
        .transaction(async (txn) => {
          for (let i = 0; i < 200; i++) await txn.keys({ gte: name(2 * i), lt: name(2 * i + 1) }).all()
          await db.put('beside', 'x')
          txn.put('out', meanwhile)
          committing = turns.count
          turns.onTurn = () => {
            turns.onTurn = undefined
            void db.put(meanwhile, 'x')
          }
        })
        .then(() => 'committed', (error: { code: string }) => error.code)
      expect(turns.count - committing).toBeGreaterThan(outcome === 'committed' ? 100 : 0)
      return outcome
    }
    expect(await attempt(name(1))).toBe('committed')
    expect(await attempt(name(0))).toBe('WK_CONFLICT')
    expect(await attempt(`${name(398)}x`)).toBe('WK_CONFLICT')
    expect(await attempt(name(399))).toBe('committed')
  })
})

describe('law 10: many versions of one key', () => {
  it('are listed in several turns', async () => {
    const turns = new Turns()
    const db = await memoryPlace().open({ runtime: turns, workers: 0, memTableSize: 4 * 1024 * 1024, numVersionsToKeep: 3000 })
    await db.batch(Array.from({ length: 3000 }, (_, i) => ({ type: 'put' as const, key: 'hot', value: `${i}` })))
    let versions: (string | undefined)[] = []
    expect(await turns.during(async () => (versions = (await db.versions('hot')).map(({ value }) => text(value))))).toBeGreaterThan(10)
    expect(versions).toEqual(Array.from({ length: 3000 }, (_, i) => `${2999 - i}`))
    await db.flush()
    const asked = db.versions('hot')
    await db.close()
    expect(await asked).toHaveLength(3000)
  })
})
