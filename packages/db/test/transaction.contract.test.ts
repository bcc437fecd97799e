import { defaultRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import type { Transaction } from '../src/index.js'
import { TxnReads } from '../src/txn-reads.js'
import { all, bytes, expectCode, large, memoryPlace, onBothFileSystems, text } from './harness.js'

const pairs = (entries: [Uint8Array, Uint8Array][]): string[] => entries.map(([key, value]) => `${text(key)}=${text(value)}`)

onBothFileSystems('transaction', (place) => {
  it('commits what it wrote and returns what the function returned', async () => {
    const db = await place().open()
    await db.put('a', '1')
    await db.put('c', 'gone')
    const returned = await db.transaction(async (txn) => {
      const value = await txn.get('a')
      txn.put('b', `${text(value)}2`)
      txn.put('big', large(5000, 3), { userMeta: 7 })
      txn.del('c')
      return { any: 'thing' }
    })
    expect(returned).toEqual({ any: 'thing' })
    expect((await db.getMany(['a', 'b', 'c'])).map(text)).toEqual(['1', '12', undefined])
    expect(await db.getEntry('big')).toMatchObject({ value: large(5000, 3), userMeta: 7, expiresAt: 0 })
  })

  it('a function that throws leaves nothing, and its error comes through', async () => {
    const db = await place().open()
    const failure = new Error('mine')
    await expect(
      db.transaction((txn) => {
        txn.put('a', '1')
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(await db.get('a')).toBeUndefined()
  })

  it('survives closing, sync or not', async () => {
    const here = place()
    const db = await here.open()
    await db.transaction((txn) => txn.put('a', '1'), { sync: true })
    await db.transaction((txn) => txn.put('b', large(300, 1)))
    await db.close()
    const again = await here.open()
    expect(text(await again.get('a'))).toBe('1')
    expect(await again.get('b')).toEqual(large(300, 1))
  })

  it('reads at its snapshot, with its own writes on top', async () => {
    const db = await place().open()
    await db.put('a', 'old')
    await db.put('b', 'old')
    await db.transaction(async (txn) => {
      const before = txn.version
      await db.put('a', 'new')
      await db.put('n', 'new')
      await db.flush()
      await db.compact()
      expect(text(await txn.get('a'))).toBe('old')
      expect(await txn.get('n')).toBeUndefined()
      expect(await txn.has('n')).toBe(false)
      txn.put('n', 'mine')
      txn.del('b')
      txn.put('empty', '')
      expect((await txn.getMany(['n', 'a', 'b', 'empty', 'none'])).map(text)).toEqual(['mine', 'old', undefined, '', undefined])
      expect([await txn.has('n'), await txn.has('b'), await txn.has('empty')]).toEqual([true, false, true])
      expect(txn.version).toBe(before)
      expect(await db.has('empty')).toBe(false)
      throw new Error('enough')
    }).catch((err: Error) => expect(err.message).toBe('enough'))
    expect(text(await db.get('b'))).toBe('old')
  })
})

describe('conflicts', () => {
  const lost = (db: DB, fn: (txn: Transaction) => unknown): Promise<unknown> => expectCode(() => db.transaction(fn), 'WK_CONFLICT')

  it('a plain write to a key that was read is one, whether found, absent, deleted or overwritten with the same value', async () => {
    const db = await memoryPlace().open()
    await db.put('a', '1')
    for (const [key, change] of [
      ['a', () => db.put('a', '2')],
      ['a', () => db.put('a', '2')],
      ['a', () => db.del('a')],
      ['a', () => db.del('a')],
      ['absent', () => db.put('absent', 'x')],
      ['absent', () => db.batch([{ type: 'del', key: 'absent' }])],
      ['c', () => db.put('c', large(400)).then(() => db.flush()).then(() => db.compact())],
    ] as const) {
      for (const read of ['get', 'has', 'getMany'] as const) {
        await lost(db, async (txn) => {
          if (read === 'getMany') await txn.getMany([key])
          else await txn[read](key)
          await change()
          txn.put('out', 'never')
        })
      }
    }
    await lost(db, async (txn) => {
      await txn.get('c')
      await db.clear({ gte: 'c' })
      txn.put('out', 'never')
    })
    expect(await db.has('out')).toBe(false)
  })

  it('a write of another transaction is one: of two that read and write the same key one wins', async () => {
    const db = await memoryPlace().open()
    await db.put('n', '0')
    const add = (retries: number): Promise<void> =>
      db.transaction(
        async (txn) => {
          txn.put('n', String(Number(text(await txn.get('n'))) + 1))
        },
        { retries },
      )
    const outcomes = await Promise.allSettled([add(0), add(0)])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(text(await db.get('n'))).toBe('1')
    await Promise.all(Array.from({ length: 20 }, () => add(100)))
    expect(text(await db.get('n'))).toBe('21')
  })

  it('write skew is refused', async () => {
    const db = await memoryPlace().open()
    await db.batch([{ type: 'put', key: 'x', value: '1' }, { type: 'put', key: 'y', value: '1' }])
    const leave = (mine: string): Promise<void> =>
      db.transaction(async (txn) => {
        const onDuty = (await txn.getMany(['x', 'y'])).filter((value) => text(value) === '1')
        await new Promise((resolve) => setTimeout(resolve, 1))
        if (onDuty.length === 2) txn.put(mine, '0')
      })
    const outcomes = await Promise.allSettled([leave('x'), leave('y')])
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect((await db.getMany(['x', 'y'])).map(text)).toContain('1')
  })

  it('a key that appears in a range that was read is one', async () => {
    const db = await memoryPlace().open()
    for (const key of ['a', 'c', 'e', 'g']) await db.put(key, key)
    for (const scan of ['iterator', 'keys', 'values'] as const) {
      for (const reverse of [false, true]) {
        for (const [key, write] of [['d', true], ['b', true], ['c', false], ['f', true], ['e', false]] as const) {
          await lost(db, async (txn) => {
            await txn[scan]({ gte: 'b', lt: 'f1', reverse }).all()
            if (write) await db.put(key, 'phantom')
            else await db.del(key)
            txn.put('out', 'never')
          })
          await (write ? db.del(key) : db.put(key, key))
        }
      }
    }
  })

  it('what was not read is none: other keys, keys beyond a limit or a stop, keys fetched ahead', async () => {
    const db = await memoryPlace().open()
    for (let i = 0; i < 50; i++) await db.put(`k${String(i).padStart(2, '0')}`, 'v')
    await db.transaction(async (txn) => {
      await txn.get('k10')
      await db.put('k11', 'other')
      txn.put('out', '1')
    })
    await db.transaction(async (txn) => {
      expect((await txn.keys({ gte: 'k20', limit: 3 }).all()).map(text)).toEqual(['k20', 'k21', 'k22'])
      await db.put('k23', 'other')
      await db.put('k19', 'other')
      txn.put('out', '2')
    })
    await db.transaction(async (txn) => {
      let seen = 0
      for await (const [key] of txn.iterator({ gte: 'k30' })) if (text(key) === 'k36' && ++seen > 0) break
      expect(seen).toBe(1)
      await db.put('k37', 'other')
      txn.put('out', '3')
    })
    await db.transaction(async (txn) => {
      const iterator = txn.iterator({ gte: 'k00', lt: 'k20', reverse: true })
      iterator.seek('k12')
      expect(text((await iterator.next())?.[0])).toBe('k12')
      expect(text((await iterator.next())?.[0])).toBe('k11')
      await db.put('k13', 'other')
      await db.put('k10', 'other')
      txn.put('out', '4')
    })
    await lost(db, async (txn) => {
      const iterator = txn.iterator({ gte: 'k00', lt: 'k20', reverse: true })
      iterator.seek('k12a')
      expect(text((await iterator.next())?.[0])).toBe('k12')
      await db.put('k12A', 'between')
      txn.put('out', '5')
    })
    await db.transaction(async (txn) => {
      txn.put('k40', 'mine')
      await txn.get('k40')
      txn.iterator({ gte: 'k00' })
      await db.put('k40', 'theirs')
      txn.put('out', '6')
    })
    expect((await db.getMany(['out', 'k40'])).map(text)).toEqual(['6', 'mine'])
  })

  it('a blind write is none, and the later one counts', async () => {
    const db = await memoryPlace().open()
    await db.transaction(async (txn) => {
      txn.put('k', 'mine')
      await db.put('k', 'theirs')
    })
    expect(text(await db.get('k'))).toBe('mine')
  })

  it('one that wrote nothing never loses', async () => {
    const db = await memoryPlace().open()
    await db.put('k', '1')
    for (const readOnly of [false, true]) {
      const value = await db.transaction(
        async (txn) => {
          await txn.get('k')
          await db.put('k', '2')
          return text(await txn.get('k'))
        },
        { readOnly },
      )
      expect(value).toBe(readOnly ? '2' : '1')
    }
  })

  it('retries call the function again on a new snapshot, as often as asked for', async () => {
    const db = await memoryPlace().open()
    const run = async (retries: number, losses: number): Promise<number[]> => {
      const versions: number[] = []
      await db.transaction(
        async (txn) => {
          await txn.get('k')
          if (versions.push(txn.version) <= losses) await db.put('k', 'x')
          txn.put('out', String(versions.length))
        },
        { retries },
      )
      return versions
    }
    const versions = await run(3, 3)
    expect(versions).toHaveLength(4)
    expect(new Set(versions).size).toBe(4)
    expect(text(await db.get('out'))).toBe('4')
    await expectCode(() => run(2, 3), 'WK_CONFLICT')
  })

  it('an own error of the function is not retried, whatever its code', async () => {
    const db = await memoryPlace().open()
    let calls = 0
    await expectCode(
      () =>
        db.transaction(
          async () => {
            calls++
            await db.transaction(async (inner) => {
              await inner.get('k')
              await db.put('k', 'x')
              inner.put('l', 'y')
            })
          },
          { retries: 5 },
        ),
      'WK_CONFLICT',
    )
    expect(calls).toBe(1)
  })

  it('are found among many reads, over memtables and tables, while others write', async () => {
    const db = await memoryPlace().open()
    for (let i = 0; i < 3000; i++) void db.put(`k${i}`, `v${i}`)
    await db.flush()
    for (const conflict of [false, true]) {
      const outcome = db.transaction(async (txn) => {
        await txn.getMany(Array.from({ length: 3000 }, (_, i) => `k${i}`))
        await txn.keys().all()
        for (let i = 0; i < 3000; i++) void db.put(`z${conflict ? '' : 'z'}`, 'x')
        txn.put('out', '1')
      })
      await expectCode(() => outcome, 'WK_CONFLICT')
    }
  })

  it('a write that comes while a long validation goes on is one, if it was read', async () => {
    let time = 0
    let onYield: (() => void) | undefined
    const runtime = {
      ...defaultRuntime,
      monotonic: () => (time += 100),
      yield: () => {
        const hook = onYield
        onYield = undefined
        hook?.()
        return defaultRuntime.yield()
      },
    }
    const db = await memoryPlace().open({ runtime })
    for (let i = 0; i < 300; i++) await db.put(`k${String(i).padStart(3, '0')}`, 'v')
    const attempt = async (key: string): Promise<string> => {
      let wasYielded = false
      const outcome = await db
        .transaction(async (txn) => {
          await txn.keys({ gte: 'k', lt: 'l' }).all()
          await txn.get('single')
          await db.put('beside', 'x')
          txn.put('out', key)
          onYield = () => {
            wasYielded = true
            void db.put(key, 'x')
          }
        })
        .then(() => 'committed', (err: { code: string }) => err.code)
      expect(wasYielded).toBe(true)
      return outcome
    }
    expect(await attempt('a')).toBe('committed')
    expect(await attempt('k000')).toBe('WK_CONFLICT')
    expect(await attempt('single')).toBe('WK_CONFLICT')
    expect(await attempt('m')).toBe('committed')
    expect(text(await db.get('out'))).toBe('m')
    onYield = () => void db.close()
    await expectCode(
      () =>
        db.transaction(async (txn) => {
          await txn.keys().all()
          await db.put('beside', 'x')
          txn.put('out', 'never')
        }),
      'WK_CLOSED',
    )
  })
})

describe('own writes in iterators', () => {
  it('are merged, forward and in reverse, with seek, limit and bounds', async () => {
    const db = await memoryPlace().open()
    for (const key of ['b', 'd', 'f', 'h']) await db.put(key, `db-${key}`)
    await db.flush()
    await db.put('j', 'db-j')
    await db.transaction(async (txn) => {
      txn.put('a', 'own')
      txn.put('d', 'own')
      txn.del('f')
      txn.put('g', large(300, 1))
      txn.del('nothing')
      txn.put('k', 'own')
      expect((await txn.keys().all()).map(text)).toEqual(['a', 'b', 'd', 'g', 'h', 'j', 'k'])
      expect((await txn.keys({ reverse: true }).all()).map(text)).toEqual(['k', 'j', 'h', 'g', 'd', 'b', 'a'])
      expect(pairs(await txn.iterator({ gte: 'b', lt: 'g' }).all())).toEqual(['b=db-b', 'd=own'])
      expect(pairs(await txn.iterator({ gt: 'b', lte: 'd', reverse: true }).all())).toEqual(['d=own'])
      expect((await txn.values({ gte: 'g', limit: 1 }).all())[0]).toEqual(large(300, 1))
      const iterator = txn.iterator()
      iterator.seek('c')
      expect(text((await iterator.next())?.[0])).toBe('d')
      iterator.seek('f')
      expect(text((await iterator.next())?.[0])).toBe('g')
      iterator.seek('a')
      expect((await iterator.nextv(2)).map(([key]) => text(key))).toEqual(['a', 'b'])
      iterator.seek('z')
      expect(await iterator.next()).toBeUndefined()
      const reverse = txn.keys({ reverse: true, lt: 'k' })
      reverse.seek('f')
      expect((await reverse.nextv(9)).map(text)).toEqual(['d', 'b', 'a'])
    })
  })

  it('are those written before the iterator was made', async () => {
    const db = await memoryPlace().open()
    await db.transaction(async (txn) => {
      txn.put('a', '1')
      const before = txn.iterator()
      txn.put('a', '2')
      txn.put('b', '2')
      expect(pairs(await before.all())).toEqual(['a=1'])
      expect(pairs(await txn.iterator().all())).toEqual(['a=2', 'b=2'])
    })
  })
})

describe('limits and arguments', () => {
  it('more operations or bytes than a batch may have are WK_TXN_TOO_BIG at the call', async () => {
    const db = await memoryPlace().open({ maxBatchCount: 3, maxBatchSize: 1000 })
    await db.transaction(async (txn) => {
      for (const key of ['a', 'b', 'c', 'a']) txn.put(key, '1')
      expect(await expectCode(() => txn.put('d', '1'), 'WK_TXN_TOO_BIG')).toBeDefined()
      expect(await expectCode(() => txn.del('e'), 'WK_TXN_TOO_BIG')).toBeDefined()
      txn.put('c', large(990))
      await expectCode(() => txn.put('b', large(20)), 'WK_TXN_TOO_BIG')
      txn.put('c', 'small')
      txn.put('b', large(20))
    })
    expect((await all(db.keys())).map(text)).toEqual(['a', 'b', 'c'])
    await expectCode(() => db.transaction((txn) => txn.put('x', large(2000))), 'WK_TXN_TOO_BIG')
  })

  it('a read-only one refuses writes; a read-only database too', async () => {
    const place = memoryPlace()
    const db = await place.open()
    await db.put('k', 'v')
    await expectCode(() => db.transaction((txn) => txn.put('a', 'b'), { readOnly: true }), 'WK_READ_ONLY')
    await expectCode(() => db.transaction((txn) => txn.del('a'), { readOnly: true }), 'WK_READ_ONLY')
    await db.close()
    const reader = await place.open({ readOnly: true })
    expect(text(await reader.transaction((txn) => txn.get('k')))).toBe('v')
    await expectCode(() => reader.transaction((txn) => txn.put('a', 'b')), 'WK_READ_ONLY')
  })

  it('bytes passed in may be reused at once, bytes given out are the caller’s own', async () => {
    const db = await memoryPlace().open()
    const key = bytes('key')
    const value = bytes('value')
    await db.transaction(async (txn) => {
      txn.put(key, value)
      key.fill(0)
      value.fill(0)
      const read = (await txn.get('key')) as Uint8Array
      expect(text(read)).toBe('value')
      read.fill(0)
      expect(text(await txn.get('key'))).toBe('value')
      const walked = (await txn.iterator().next()) as [Uint8Array, Uint8Array]
      walked[0].fill(0)
      walked[1].fill(0)
    })
    expect((await all(db.iterator())).map(([k, v]) => [text(k), text(v)])).toEqual([['key', 'value']])
  })

  it('wrong arguments are WK_INVALID_ARGUMENT', async () => {
    const db = await memoryPlace().open()
    const wrong = [
      () => db.transaction(undefined as never),
      () => db.transaction(() => {}, { retries: -1 }),
      () => db.transaction(() => {}, { retries: 1.5 }),
      () => db.transaction(() => {}, { readOnly: 1 as never }),
      () => db.transaction(() => {}, { sync: 'yes' as never }),
      () => db.transaction(() => {}, null as never),
      () => db.transaction((txn) => txn.put(1 as never, 'v')),
      () => db.transaction((txn) => txn.put('k', undefined as never)),
      () => db.transaction((txn) => txn.put('k', 'v', { ttl: 0 })),
      () => db.transaction((txn) => txn.put('k', 'v', { userMeta: 256 })),
      () => db.transaction((txn) => txn.get(undefined as never)),
      () => db.transaction((txn) => txn.getMany('k' as never)),
      () => db.transaction((txn) => txn.keys({ limit: -2 })),
      () => db.transaction((txn) => txn.keys({ snapshot: db.snapshot() } as never)),
      () => db.transaction((txn) => txn.put('k'.repeat(65_001), 'v')),
    ]
    for (const run of wrong) await expectCode(run, 'WK_INVALID_ARGUMENT')
    expect(await db.transaction((txn) => all(txn.keys({ snapshot: undefined } as never)))).toEqual([])
  })

  it('ttl counts from the call, in the transaction and after it', async () => {
    const db = await memoryPlace().open()
    const start = Math.floor(Date.now() / 1000)
    await db.transaction(async (txn) => {
      txn.put('k', 'v', { ttl: 0.5, userMeta: 9 })
      expect(text(await txn.get('k'))).toBe('v')
    })
    const entry = await db.getEntry('k')
    expect(entry?.userMeta).toBe(9)
    expect(entry?.expiresAt).toBeGreaterThan(start)
    expect(entry?.expiresAt).toBeLessThanOrEqual(start + 3)
  })
})

describe('the end', () => {
  const uses = (txn: Transaction): (() => unknown)[] => [
    () => txn.get('k'),
    () => txn.getMany(['k']),
    () => txn.has('k'),
    () => txn.put('k', 'v'),
    () => txn.del('k'),
    () => txn.iterator(),
    () => txn.keys(),
    () => txn.values(),
  ]

  it('after commit, discard or conflict every use is WK_CLOSED, iterators included', async () => {
    const db = await memoryPlace().open()
    await db.put('k', 'v')
    const ended: [Transaction, { next(): Promise<unknown> }][] = []
    const keep = (txn: Transaction): void => void ended.push([txn, txn.keys()])
    await db.transaction(keep)
    await db.transaction((txn) => {
      keep(txn)
      txn.put('l', 'v')
    })
    await expect(
      db.transaction((txn) => {
        keep(txn)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    await expectCode(
      () =>
        db.transaction(async (txn) => {
          keep(txn)
          await txn.get('k')
          await db.put('k', 'w')
          txn.put('k', 'x')
        }),
      'WK_CONFLICT',
    )
    expect(ended).toHaveLength(4)
    for (const [txn, iterator] of ended) {
      for (const use of uses(txn)) await expectCode(use, 'WK_CLOSED')
      await expectCode(() => iterator.next(), 'WK_CLOSED')
    }
  })

  it('one that its function discards, by hand or by leaving a block, writes nothing, and that is told', async () => {
    const db = await memoryPlace().open()
    const ways: ((txn: Transaction) => unknown)[] = [
      (txn) => txn.discard(),
      (txn) => txn.close(),
      (txn) => txn[Symbol.dispose](),
      (txn) => txn[Symbol.asyncDispose](),
    ]
    for (const end of ways) {
      await expectCode(
        () =>
          db.transaction(async (txn) => {
            txn.put('never', '1')
            const keys = txn.keys()
            await end(txn)
            await end(txn)
            for (const use of uses(txn)) await expectCode(use, 'WK_CLOSED')
            await expectCode(() => keys.next(), 'WK_CLOSED')
            expect(db.stats().snapshots).toBe(0)
          }),
        'WK_CLOSED',
      )
    }
    expect(await db.has('never')).toBe(false)
    let late: Transaction | undefined
    const commit = db.transaction(async (txn) => {
      late = txn
      await txn.get('k')
      txn.put('k', '1')
    })
    await new Promise((resolve) => setImmediate(resolve))
    late?.discard()
    await commit
    expect(text(await db.get('k'))).toBe('1')
    expect(db.stats().snapshots).toBe(0)
  })

  it('close() of the database ends live ones: their next use and their commit are WK_CLOSED', async () => {
    const place = memoryPlace()
    const db = await place.open()
    await db.put('k', 'v')
    let resume!: () => void
    const waiting = new Promise<void>((resolve) => (resume = resolve))
    let inner: Transaction | undefined
    let started!: () => void
    const running = new Promise<void>((resolve) => (started = resolve))
    const outcome = db.transaction(async (txn) => {
      inner = txn
      txn.put('never', '1')
      started()
      await waiting
      await expectCode(() => txn.get('k'), 'WK_CLOSED')
    })
    outcome.catch(() => {})
    await running
    await db.close()
    for (const use of uses(inner as Transaction)) await expectCode(use, 'WK_CLOSED')
    resume()
    await expectCode(() => outcome, 'WK_CLOSED')
    await expectCode(() => db.transaction(() => {}), 'WK_CLOSED')
    expect(await (await place.open()).has('never')).toBe(false)
  })

  it('it holds on to nothing afterwards', async () => {
    const db = await memoryPlace().open()
    await db.put('k', large(300, 1))
    const before = db.stats().snapshots
    await db.transaction(async (txn) => {
      await txn.get('k')
      expect(db.stats().snapshots).toBe(before + 1)
    })
    expect(db.stats().snapshots).toBe(before)
  })

  it('works in memory', async () => {
    const db = await DB.open('', { inMemory: true })
    await db.put('k', '1')
    await db.transaction(async (txn) => txn.put('k', `${text(await txn.get('k'))}1`))
    expect(text(await db.get('k'))).toBe('11')
    await db.close()
  })
})

describe('reads beyond what is remembered one by one', () => {
  it('become one range from the smallest to the largest key, open iterators apart', () => {
    const reads = new TxnReads(4)
    const open = { range: { gte: bytes('x'), lte: bytes('y') }, done: false }
    reads.addRange(open)
    for (const key of ['c', 'g', 'e']) reads.addKey(bytes(key))
    expect([reads.covered()(bytes('c')), reads.covered()(bytes('d'))]).toEqual([true, false])
    reads.addRange({ range: { gt: bytes('a'), lt: bytes('b') }, done: true })
    expect(['a', 'b', 'd', 'g'].map((key) => reads.covered()(bytes(key)))).toEqual([true, true, true, true])
    expect(['h', 'w', '', 'z'].map((key) => reads.covered()(bytes(key)))).toEqual([false, false, false, false])
    open.range = { gte: bytes('x'), lte: bytes('zz') }
    expect(reads.covered()(bytes('z'))).toBe(true)
    for (let i = 0; i < 5; i++) reads.addRange({ range: { lt: bytes('b') }, done: true })
    expect(reads.covered()(bytes(''))).toBe(true)
    expect(reads.covered()(bytes('h'))).toBe(false)
  })
})
