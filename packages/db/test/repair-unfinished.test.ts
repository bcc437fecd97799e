/**
 * `DB.repair` of what a crash left half done: a table that no edit names while another one is missing, puts that only the value log says while the manifest
 * is missing. Whatever may be concerned is told, for nothing says that it is not.
 */
import { MemoryFileSystem } from '@wk/fs'
import { SMALLEST, textOf } from '@wk/testkit'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, large } from './harness.js'

const OPTIONS = { ...SMALLEST, workers: 0, l0CompactionTrigger: 8 }
const KEYS = 30
const keyOf = (prefix: string, i: number): string => `${prefix}${String(i).padStart(2, '0')}`

/** A table of keys `a`, and a flush of keys `b` that the process ends in: before the first bytes of its table, or those of the edit that names it. */
async function crashInFlush(before: 'table' | 'edit', options: object = OPTIONS): Promise<{ image: MemoryFileSystem; table: string }> {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...options, fs })
  for (let i = 0; i < KEYS; i++) await db.put(keyOf('a', i), large(40, i))
  await db.flush()
  const table = (await fs.list('/db')).find((name) => name.endsWith('.sst'))!
  for (let i = 0; i < KEYS; i++) await db.put(keyOf('b', i), large(40, i))
  let image: MemoryFileSystem | undefined
  let isSynced = false
  fs.onMutatingOperation = (_, operation) => {
    const isTable = operation.path.endsWith('.sst')
    if (operation.kind === 'write' && (before === 'table' ? isTable : isSynced && !isTable)) image ??= fs.crashClone('P1')
    if (operation.kind === 'sync' && isTable) isSynced = true
  }
  await db.flush()
  fs.onMutatingOperation = undefined
  await db.close()
  expect((await image!.list('/db')).filter((name) => name.endsWith('.sst'))).toHaveLength(2)
  return { image: image!, table }
}

it.each([
  ['whole', 'edit'],
  ['begun', 'table'],
] as const)('a table that is %s', async (_, before) => {
  const { image, table } = await crashInFlush(before)
  await image.remove(`/db/${table}`)
  const report = await DB.repair('/db', { to: '/new', fs: image, target: OPTIONS })
  expect(report).toMatchObject({ manifest: 'damaged', lossCount: 1, losses: [{ file: table, offset: undefined }] })
  const [{ fromKey, toKey }] = report.losses as [(typeof report.losses)[number]]
  expect([textOf(fromKey!), textOf(toKey!)]).toEqual([keyOf('a', 0), keyOf('a', KEYS - 1)])
  const db = await DB.open('/new', { ...OPTIONS, fs: image })
  const found = (await all(db.iterator())).map(([key]) => textOf(key))
  expect(found).toEqual(Array.from({ length: KEYS }, (__, i) => keyOf('b', i)))
  await db.close()
})

it('with all tables there, nothing is lost', async () => {
  for (const before of ['edit', 'table'] as const) {
    const { image } = await crashInFlush(before)
    const report = await DB.repair('/db', { to: '/new', fs: image, target: OPTIONS })
    expect(report).toMatchObject({ manifest: 'intact', lossCount: 0, entries: 2 * KEYS })
  }
})

it('one that is encrypted and damaged at its very beginning: the others are saved, and it is in no opening\'s way', async () => {
  const options = { ...OPTIONS, encryptionKey: new Uint8Array(16).fill(7) }
  const { image, table } = await crashInFlush('edit', options)
  const unnamed = (await image.list('/db')).find((name) => name.endsWith('.sst') && name !== table)!
  const file = await image.open(`/db/${unnamed}`, 'update')
  await file.write(new Uint8Array(8), 0, 8, 0)
  await file.sync()
  await file.close()
  const report = await DB.repair('/db', { to: '/new', fs: image, target: options })
  expect(report).toMatchObject({ lossCount: 0, entries: 2 * KEYS })
  const db = await DB.open('/db', { ...options, fs: image })
  expect(await all(db.iterator())).toHaveLength(2 * KEYS)
  await db.close()
})

it('puts that no log says yet, and no manifest: they are told, and older values stay', async () => {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...OPTIONS, fs })
  for (let i = 0; i < 4; i++) await db.put(keyOf('a', i), large(100, i))
  await db.flush()
  await db.put(keyOf('a', 1), large(200, 11))
  await db.put(keyOf('a', 9), large(200, 19))
  const image = fs.crashClone('P1')
  const gone = fs.crashClone('P1')
  await db.close()
  expect(await DB.repair('/db', { to: '/new', fs: image, target: OPTIONS })).toMatchObject({ lossCount: 0, fromValueLog: 2, entries: 5 })
  for (const name of await gone.list('/db')) if (name.startsWith('MANIFEST')) await gone.remove(`/db/${name}`)
  const report = await DB.repair('/db', { to: '/new', fs: gone, target: OPTIONS })
  expect(report).toMatchObject({ manifest: 'missing', fromValueLog: 0, entries: 4, lossCount: 2 })
  expect(report.losses.map(({ file, fromKey, toKey }) => [file, textOf(fromKey!), textOf(toKey!)])).toEqual([1, 9].map((i) => ['000001.vlog', keyOf('a', i), keyOf('a', i)]))
})
