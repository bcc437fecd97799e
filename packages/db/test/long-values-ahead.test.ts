/** Iterators read long values of the next window while the caller has this one. */
import { InterceptedFileSystem, MemoryFileSystem, type FileSystem, type Operation } from '@wk/fs'
import { beforeEach, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, keep, large } from './harness.js'

const MIB = 1 << 20
const COUNT = 60
const LAST = 45

/** Counts bytes read through the pool; from a certain one on reads wait. */
class PooledReads extends InterceptedFileSystem {
  bytes = 0
  held: Promise<void> | undefined
  underWay = 0

  constructor(inner: FileSystem) {
    super(inner, 'pooled reads')
  }

  async around<T>({ kind, path, length = 0 }: Operation, run: () => Promise<T>): Promise<T> {
    if (kind !== 'read' || !path.endsWith('.vlog')) return run()
    this.bytes += length
    this.underWay++
    await this.held
    return run().finally(() => this.underWay--)
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

const keyOf = (i: number): string => `key ${String(i).padStart(3, '0')}`
/** Every third one is long, and all of the last. */
const lengthOf = (i: number): number => (i % 3 === 0 || i >= LAST ? MIB + 100_000 * (i % 10) : 5000)

let fs: PooledReads
let db: DB

beforeEach(async () => {
  fs = new PooledReads(new MemoryFileSystem({ crashable: false }))
  db = keep(await DB.open('/db', { fs, valueThreshold: 64, gc: { auto: false } }))
  for (let i = 0; i < COUNT; i++) await db.put(keyOf(i), large(lengthOf(i), i))
  await db.flush()
})

it('the next window is read before it is asked for, and everything comes in order', async () => {
  const iterator = db.iterator()
  const seen: string[] = []
  let ahead = 0
  for (let at = 0; ; ) {
    const entries = await iterator.nextv(4)
    if (entries.length === 0) break
    for (const [key, value] of entries) {
      expect(Buffer.compare(value, large(lengthOf(at), at)), keyOf(at)).toBe(0)
      seen.push(Buffer.from(key).toString())
      at++
    }
    let delivered = 0
    for (let i = 0; i < at; i++) if (lengthOf(i) > MIB) delivered += lengthOf(i)
    if (fs.bytes > delivered + MIB) ahead++
  }
  expect(seen).toEqual(Array.from({ length: COUNT }, (_, i) => keyOf(i)))
  expect(ahead).toBeGreaterThan(5)
  await iterator.close()
})

it('close waits for what is on its way; a seek leaves it behind', async () => {
  const iterator = db.iterator()
  iterator.seek(keyOf(LAST))
  await iterator.nextv(1)
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
  }
  await turns()
  let release = (): void => {}
  fs.held = new Promise<void>((resolve) => (release = resolve))
  // The window that was ahead becomes this one, and the next is begun.
  for (let i = 0; i < 5 && fs.underWay === 0; i++) await iterator.nextv(1)
  expect(fs.underWay, 'something is read ahead').toBeGreaterThan(0)
  iterator.seek(keyOf(1))
  expect((await iterator.next())?.[1]).toEqual(large(lengthOf(1), 1))
  let closed = false
  const closing = iterator.close().then(() => (closed = true))
  await turns()
  expect(closed).toBe(false)
  release()
  await closing
  expect(fs.underWay).toBe(0)
  await db.close()
})

it('damage in a value that is read ahead is met when it is asked for, and only then', async () => {
  await db.close()
  const [name] = (await fs.list('/db')).filter((one) => one.endsWith('.vlog'))
  const file = await fs.open(`/db/${name}`, 'update')
  // The long value of key 30: everything before it lies before it.
  let at = 0
  for (let i = 0; i < 30; i++) at += lengthOf(i)
  await file.write(new Uint8Array(64).fill(9), 0, 64, at + 300_000)
  await file.close()
  db = keep(await DB.open('/db', { fs, valueThreshold: 64, gc: { auto: false } }))
  const iterator = db.iterator()
  const seen: string[] = []
  const walk = async (): Promise<void> => {
    for (let entries = await iterator.nextv(4); entries.length > 0; entries = await iterator.nextv(4)) seen.push(...entries.map(([key]) => Buffer.from(key).toString()))
  }
  await expect(walk()).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
  expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => keyOf(i)))
  iterator.seek(keyOf(31))
  await walk()
  expect(seen).toHaveLength(COUNT - 1)
  await iterator.close()
  expect(await all(db.keys())).toHaveLength(COUNT)
})
