import { expect, it } from 'vitest'
import { all, bytes, expectCode, large, onBothFileSystems, text } from './harness.js'

onBothFileSystems('snapshot', (place) => {
  it('is synchronous and does not move, through every kind of read', async () => {
    const db = await place().open()
    await db.put('a', large(300, 1))
    await db.put('b', 'small')
    await db.put('gone', large(200, 9))
    const pending = db.put('pending', 'called before')
    const snapshot = db.snapshot()
    const later = [db.put('a', large(300, 2)), db.del('gone'), db.put('new', 'x'), db.del('b')]
    const check = async (): Promise<void> => {
      expect(await db.get('a', { snapshot })).toEqual(large(300, 1))
      expect(db.getSync('b', { snapshot })).toEqual(bytes('small'))
      expect(await db.getMany(['gone', 'new', 'pending'], { snapshot })).toEqual([large(200, 9), undefined, bytes('called before')])
      expect(await db.has('gone', { snapshot })).toBe(true)
      expect(await db.has('new', { snapshot })).toBe(false)
      expect((await db.getEntry('a', { snapshot }))?.value).toEqual(large(300, 1))
      expect((await all(db.iterator({ snapshot }))).map(([key]) => text(key))).toEqual(['a', 'b', 'gone', 'pending'])
      expect((await all(db.keys({ snapshot, reverse: true }))).map(text)).toEqual(['pending', 'gone', 'b', 'a'])
      expect((await all(db.values({ snapshot, gte: 'b', limit: 1 }))).map(text)).toEqual(['small'])
    }
    await check()
    await Promise.all([pending, ...later])
    await check()
    await db.flush()
    await check()
    await db.compact()
    await check()
    for (let i = 0; i < 200; i++) await db.put('a', large(300, i))
    await db.flush()
    await db.compact()
    for (let i = 0; i < 5; i++) await db.runValueLogGC(0.1).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
    await check()
    snapshot.close()
    expect(await db.get('gone')).toBeUndefined()
  })

  it('several at once each keep their own moment', async () => {
    const db = await place().open()
    const snapshots = []
    for (let i = 0; i < 20; i++) {
      await db.put('k', large(200, i))
      if (i % 3 === 0) await db.flush()
      if (i % 7 === 0) await db.compact()
      snapshots.push(db.snapshot())
      if (i % 5 === 4) await db.del('k')
    }
    for (const [i, snapshot] of snapshots.entries()) expect(db.getSync('k', { snapshot })).toEqual(large(200, i))
    for (const [i, snapshot] of snapshots.entries()) if (i % 2 === 0) snapshot.close()
    await db.flush()
    await db.compact()
    for (const [i, snapshot] of snapshots.entries()) if (i % 2 === 1) expect(await db.get('k', { snapshot })).toEqual(large(200, i))
  })

  it('closing is idempotent and disposes; a closed one is WK_CLOSED', async () => {
    const db = await place().open()
    await db.put('k', 'v')
    const snapshot = db.snapshot()
    snapshot.close()
    snapshot.close()
    for (const use of [() => db.get('k', { snapshot }), () => db.getSync('k', { snapshot }), () => db.getMany(['k'], { snapshot }), () => db.has('k', { snapshot }), () => all(db.iterator({ snapshot }))]) {
      await expectCode(use, 'WK_CLOSED')
    }
    const other = db.snapshot()
    {
      using used = other
      expect(db.getSync('k', { snapshot: used })).toEqual(bytes('v'))
    }
    await expectCode(() => db.get('k', { snapshot: other }), 'WK_CLOSED')
  })

  it('an iterator made from a snapshot outlives it', async () => {
    const db = await place().open()
    await db.put('k', large(300, 1))
    const snapshot = db.snapshot()
    const iterator = db.iterator({ snapshot })
    await db.del('k')
    snapshot.close()
    await db.flush()
    await db.compact()
    expect(await all(iterator)).toEqual([[bytes('k'), large(300, 1)]])
  })

  it('of an empty database stays empty', async () => {
    const db = await place().open()
    const snapshot = db.snapshot()
    await db.put('k', 'v')
    expect(await all(db.iterator({ snapshot }))).toEqual([])
    snapshot.close()
  })
})
