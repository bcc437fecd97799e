import { describe, expect, it } from 'vitest'
import { WkError as CodecError } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { DB, Snapshot, WkError } from '../src/index.js'
import { all, expectCode, memoryPlace } from './harness.js'

const notBytes: unknown[] = [undefined, null, 5, true, {}, [], [1, 2], new ArrayBuffer(3), new Uint16Array(2), Symbol('x')]
type Any = never

describe('arguments of the wrong kind are WK_INVALID_ARGUMENT and change nothing', () => {
  it('keys', async () => {
    const db = await memoryPlace().open()
    for (const key of notBytes as Any[]) {
      for (const call of [() => db.put(key, 'v'), () => db.get(key), () => db.getSync(key), () => db.del(key), () => db.has(key), () => db.getMany([key]), () => db.getEntry(key), () => db.batch([{ type: 'del', key }])]) {
        await expectCode(call, 'WK_INVALID_ARGUMENT')
      }
    }
    expect(await all(db.keys())).toEqual([])
  })

  it('values', async () => {
    const db = await memoryPlace().open()
    for (const value of notBytes as Any[]) {
      await expectCode(() => db.put('k', value), 'WK_INVALID_ARGUMENT')
      await expectCode(() => db.batch([{ type: 'put', key: 'k', value }]), 'WK_INVALID_ARGUMENT')
    }
    expect(await all(db.keys())).toEqual([])
  })

  it('a Buffer is a Uint8Array, a view is only its own part', async () => {
    const db = await memoryPlace().open()
    const pool = Buffer.from('xxkeyyy')
    await db.put(pool.subarray(2, 5), pool.subarray(5))
    expect(await db.get('key')).toEqual(new Uint8Array([0x79, 0x79]))
  })

  it('write options', async () => {
    const db = await memoryPlace().open()
    for (const options of [{ sync: 'yes' }, { userMeta: -1 }, { userMeta: 256 }, { userMeta: 1.5 }, { userMeta: '1' }, { ttl: 0 }, { ttl: -1 }, { ttl: NaN }, { ttl: '5' }, 'sync', 5] as Any[]) {
      await expectCode(() => db.put('k', 'v', options), 'WK_INVALID_ARGUMENT')
    }
    expect(await db.get('k')).toBeUndefined()
  })

  it('getMany without a list', async () => {
    const db = await memoryPlace().open()
    const holed = ['a']
    holed[2] = 'b'
    for (const keys of [undefined, null, 'abc', 5, {}, holed] as Any[]) {
      await expectCode(() => db.getMany(keys), 'WK_INVALID_ARGUMENT')
      await expectCode(() => db.transaction((txn) => txn.getMany(keys)), 'WK_INVALID_ARGUMENT')
    }
  })

  it('ranges', async () => {
    const db = await memoryPlace().open()
    for (const options of [{ gt: 5 }, { gte: null }, { lt: {} }, { lte: [] }, { limit: 1.5 }, { limit: -2 }, { limit: NaN }, { limit: '5' }, { reverse: 'yes' }, 'a'] as Any[]) {
      await expectCode(() => all(db.iterator(options)), 'WK_INVALID_ARGUMENT')
      await expectCode(() => all(db.keys(options)), 'WK_INVALID_ARGUMENT')
      await expectCode(() => all(db.values(options)), 'WK_INVALID_ARGUMENT')
    }
    await expectCode(() => db.clear({ gte: 5 as Any }), 'WK_INVALID_ARGUMENT')
    await expectCode(() => db.clear({ reverse: 1 as Any }), 'WK_INVALID_ARGUMENT')
  })

  it('iterator calls', async () => {
    const iterator = (await memoryPlace().open()).iterator()
    for (const size of [0, -1, 1.5, NaN, '5', undefined] as Any[]) await expectCode(() => iterator.nextv(size), 'WK_INVALID_ARGUMENT')
    await expectCode(() => iterator.seek(5 as Any), 'WK_INVALID_ARGUMENT')
    await iterator.close()
  })

  it('snapshots of another database or of nothing', async () => {
    const db = await memoryPlace().open()
    const other = await memoryPlace().open()
    const own = db.snapshot()
    const pretenders = [Object.create(Snapshot.prototype), Object.create(own), new Proxy(own, {}), { version: 1, close: () => {} }]
    for (const snapshot of [other.snapshot(), {}, 5, null, ...pretenders] as Any[]) {
      for (const use of [() => db.get('k', { snapshot }), () => db.getSync('k', { snapshot }), () => db.getMany(['k'], { snapshot }), () => db.has('k', { snapshot }), () => db.getEntry('k', { snapshot })]) {
        await expectCode(use, 'WK_INVALID_ARGUMENT')
      }
      await expectCode(() => all(db.iterator({ snapshot })), 'WK_INVALID_ARGUMENT')
    }
  })

  it('options of open and destroy that are no objects of their kind', async () => {
    for (const wrong of [5, {}, 'no', true]) {
      await expectCode(() => DB.open('/db', { fs: wrong as never }), 'WK_INVALID_ARGUMENT')
      await expectCode(() => DB.open('/db', { inMemory: true, runtime: wrong as never }), 'WK_INVALID_ARGUMENT')
      await expectCode(() => DB.destroy('/nowhere', { fs: wrong as never }), 'WK_INVALID_ARGUMENT')
      await expectCode(() => DB.repair('/nowhere', { to: '/elsewhere', fs: wrong as never }), 'WK_INVALID_ARGUMENT')
    }
    for (const wrong of [5, {}, true]) await expectCode(() => DB.open('/db', { inMemory: true, workerUrl: wrong as never }), 'WK_INVALID_ARGUMENT')
    for (const wrong of [5, null, 'no']) await expectCode(() => DB.destroy('/nowhere', wrong as never), 'WK_INVALID_ARGUMENT')
  })

  it('GC ratios outside (0, 1)', async () => {
    const db = await memoryPlace().open()
    for (const ratio of [0, 1, -0.5, 1.5, NaN, Infinity, '0.5', undefined, null] as Any[]) await expectCode(() => db.runValueLogGC(ratio), 'WK_INVALID_ARGUMENT')
  })

  it('the error is a WkError of every package, with code and message', async () => {
    const db = await memoryPlace().open()
    const err = await expectCode(() => db.get(5 as Any), 'WK_INVALID_ARGUMENT')
    expect(err).toBeInstanceOf(WkError)
    expect(err).toBeInstanceOf(CodecError)
    expect(err).toBeInstanceOf(Error)
    expect(err.message).not.toBe('')
    expect(err.stack).toContain('arguments.contract.test')
  })

  it('level 0: triggers that are not given keep out of the way; in a wrong order they are refused before anything is made', async () => {
    for (const options of [{ l0StopTrigger: 8 }, { l0StopTrigger: 2 }, { l0SlowdownTrigger: 3 }, { l0SlowdownTrigger: 50 }, { l0CompactionTrigger: 30 }, { l0CompactionTrigger: 6, l0StopTrigger: 6 }]) {
      const db = await DB.open('/db', { fs: new MemoryFileSystem(), ...options })
      await db.put('k', 'v')
      await db.close()
    }
    for (const options of [{ l0CompactionTrigger: 9, l0StopTrigger: 8 }, { l0SlowdownTrigger: 9, l0StopTrigger: 8 }, { l0CompactionTrigger: 9, l0SlowdownTrigger: 8 }]) {
      const fs = new MemoryFileSystem()
      await expectCode(() => DB.open('/db', { fs, ...options }), 'WK_INVALID_ARGUMENT')
      await expectCode(() => fs.list('/db'), 'WK_IO')
    }
  })
})
