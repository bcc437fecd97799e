/**
 * Codes of Level, each with the engine's error as its cause.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { OtherLevel } from './other-level.js'
import { expect, it } from 'vitest'
import { LevelError, WkLevel } from '../src/index.js'
import { failureOf, large, make, temporaryDirectory } from './harness.js'

it('an open database in this process is LEVEL_LOCKED', async () => {
  const first = make()
  await first.open()
  const failure = await failureOf(() => make({}, first.location).open())
  expect(failure.code).toBe('LEVEL_DATABASE_NOT_OPEN')
  expect(failure.cause).toBeInstanceOf(LevelError)
  expect(failure.cause?.code).toBe('LEVEL_LOCKED')
  expect(failure.cause?.cause).toMatchObject({ code: 'WK_LOCKED' })
  expect(failure.cause?.message).toContain(String(process.pid))
})

it('createIfMissing and errorIfExists say so in words of Level', async () => {
  const db = make({ createIfMissing: false })
  expect((await failureOf(() => db.open())).cause).toMatchObject({ code: 'LEVEL_NOT_FOUND', message: expect.stringContaining('does not exist') as string, cause: { code: 'WK_NOT_FOUND' } })
  await db.open({ createIfMissing: true })
  await db.close()
  expect((await failureOf(() => db.open({ errorIfExists: true }))).cause).toMatchObject({ code: 'LEVEL_EXISTS', message: expect.stringContaining('exists') as string, cause: { code: 'WK_EXISTS' } })
  await db.open()
})

it('a damaged value is LEVEL_CORRUPTION for every read of it, and others are read', async () => {
  const db = make<string, Uint8Array>({ valueEncoding: 'view' })
  await db.put('bad', large(3000, 1))
  await db.put('good', large(3000, 2))
  await db.close()
  const file = join(db.location, readdirSync(db.location).find((name) => name.endsWith('.vlog')) as string)
  const bytes = readFileSync(file)
  const at = bytes.indexOf(large(3000, 1))
  bytes.writeUInt8(bytes.readUInt8(at + 5) ^ 1, at + 5)
  writeFileSync(file, bytes)
  await db.open()
  for (const call of [() => db.get('bad'), () => db.getSync('bad'), () => db.getMany(['good', 'bad']), () => db.iterator().all(), () => db.values().nextv(10)]) {
    const failure = await failureOf(call)
    expect(failure).toMatchObject({ code: 'LEVEL_CORRUPTION', cause: { code: 'WK_CORRUPTION', file: expect.stringContaining('.vlog') as string } })
  }
  expect(await db.get('good')).toEqual(large(3000, 2))
  expect(await db.keys().all()).toEqual(['bad', 'good'])
})

it('options that are none are refused as such, also by what is static', async () => {
  for (const options of [undefined, null, 5] as never[]) expect(await failureOf(() => WkLevel.repair('/nowhere', options))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  for (const options of [null, 5] as never[]) expect(await failureOf(() => WkLevel.destroy('/nowhere', options))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
})

it('a worker that cannot be started is told as a warning', async () => {
  const db = make({ workerUrl: new URL('file:///nowhere.js') })
  const warnings: unknown[] = []
  db.on('warning', (event) => warnings.push(event))
  for (let i = 0; i < 400; i++) await db.put(`k${i}`, 'v'.repeat(400))
  await db.engine.flush()
  expect(warnings).toMatchObject([{ code: 'WK_WORKER_UNAVAILABLE' }])
})

it('a failing device is LEVEL_IO_ERROR, then LEVEL_READONLY, and health is told', async () => {
  const fs = new FaultFileSystem(new MemoryFileSystem())
  const db = make({ fs }, '/db')
  await db.put('a', '1')
  const health: unknown[] = []
  db.on('health', (event) => health.push(event))
  fs.add({ operation: 'write', errno: 'EIO', times: Infinity })
  const first = await failureOf(() => db.put('b', '2'))
  expect(first.code).toMatch(/^LEVEL_(IO_ERROR|READONLY)$/)
  expect(await failureOf(() => db.put('c', '3'))).toMatchObject({ code: 'LEVEL_READONLY', cause: { code: 'WK_READ_ONLY' } })
  expect(health).toMatchObject([{ state: 'read-only' }])
  expect(await db.get('a')).toBe('1')
  await db.close()
})

it('writes to a database that was opened read-only are LEVEL_READONLY', async () => {
  const db = make()
  await db.put('a', '1')
  await db.close()
  await db.open({ readOnly: true })
  expect(await db.get('a')).toBe('1')
  for (const call of [() => db.put('b', '2'), () => db.del('a'), () => db.batch([{ type: 'del', key: 'a' }]), () => db.batch().del('a').write(), () => db.clear()]) {
    expect(await failureOf(call)).toMatchObject({ code: 'LEVEL_READONLY' })
  }
})

it('what cannot be done is LEVEL_NOT_SUPPORTED', async () => {
  const multithreading = { createIfMissing: true, multithreading: true }
  expect((await failureOf(() => make().open(multithreading))).cause?.code).toBe('LEVEL_NOT_SUPPORTED')
  const db = make()
  await db.put('a', '1')
  const foreign = new OtherLevel()
  await foreign.open()
  const snapshot = foreign.snapshot()
  expect(await failureOf(() => db.get('a', { snapshot }))).toMatchObject({ code: 'LEVEL_NOT_SUPPORTED' })
  expect(await failureOf(() => db.iterator({ snapshot }).all())).toMatchObject({ code: 'LEVEL_NOT_SUPPORTED' })
  await snapshot.close()
  const own = db.snapshot()
  const references = { ref: { value: () => {} }, unref: { value: () => {} } }
  for (const pretender of [Object.create(null, references), Object.create(own, references)] as never[]) {
    expect(await failureOf(() => db.get('a', { snapshot: pretender }))).toMatchObject({ code: 'LEVEL_NOT_SUPPORTED' })
    expect(await failureOf(() => db.keys({ snapshot: pretender }).all())).toMatchObject({ code: 'LEVEL_NOT_SUPPORTED' })
  }
  await own.close()
})

it('what has no word in Level keeps its own', async () => {
  const db = make()
  expect(await failureOf(() => db.put('k'.repeat(65_001), 'v'))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  expect((await failureOf(() => make({ memTableSize: 1 }).open())).cause).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  const tiny = make({ maxBatchCount: 2 })
  expect(await failureOf(() => tiny.batch([1, 2, 3].map((i) => ({ type: 'put', key: String(i), value: '' }))))).toMatchObject({ code: 'WK_TXN_TOO_BIG' })
})

it('handles that were closed say which they are', async () => {
  const db = make()
  await db.put('a', '1')
  const iterator = db.iterator()
  const snapshot = db.snapshot()
  await iterator.close()
  await snapshot.close()
  expect((await failureOf(() => iterator.next())).code).toBe('LEVEL_ITERATOR_NOT_OPEN')
  expect((await failureOf(() => db.get('a', { snapshot }))).code).toBe('LEVEL_SNAPSHOT_NOT_OPEN')
  expect((await failureOf(() => db.iterator({ snapshot }).next())).code).toBe('LEVEL_SNAPSHOT_NOT_OPEN')
  const engine = db.engine
  await db.close()
  for (const call of [() => db.get('a'), () => db.getSync('a'), () => db.put('a', '2'), () => db.snapshot(), () => db.engine, () => db.compactRange('a', 'b')]) {
    expect((await failureOf(call)).code).toBe('LEVEL_DATABASE_NOT_OPEN')
  }
  expect((await failureOf(() => engine.get('a'))).code).toBe('WK_CLOSED')
})

it('an engine that was closed under an open database is LEVEL_DATABASE_NOT_OPEN', async () => {
  const db = make()
  await db.open()
  const iterator = db.iterator()
  await db.engine.close()
  expect(await failureOf(() => db.get('a'))).toMatchObject({ code: 'LEVEL_DATABASE_NOT_OPEN', cause: { code: 'WK_CLOSED' } })
  expect(await failureOf(() => iterator.next())).toMatchObject({ code: 'LEVEL_ITERATOR_NOT_OPEN', cause: { code: 'WK_CLOSED' } })
})

it('an iterator over the snapshot of a closed life does not spoil the next open', async () => {
  const db = make()
  await db.open()
  const snapshot = db.snapshot()
  await db.close()
  const opening = db.open()
  const iterator = db.iterator({ snapshot })
  await opening
  expect(db.status).toBe('open')
  expect((await failureOf(() => iterator.next())).code).toBe('LEVEL_SNAPSHOT_NOT_OPEN')
})

it('a signal is LEVEL_ABORTED', async () => {
  const db = make()
  await db.put('a', '1')
  const controller = new AbortController()
  const iterator = db.iterator({ signal: controller.signal })
  const pending = failureOf(() => iterator.next())
  controller.abort()
  expect(await pending).toMatchObject({ code: 'LEVEL_ABORTED', name: 'AbortError' })
  expect(await failureOf(() => iterator.next())).toMatchObject({ code: 'LEVEL_ABORTED', name: 'AbortError' })
  for (const call of [() => db.clear({ signal: AbortSignal.abort() }), () => db.compactRange('a', 'b', { signal: AbortSignal.abort() })]) {
    expect(await failureOf(call)).toMatchObject({ code: 'LEVEL_ABORTED', name: 'AbortError', cause: { code: 'WK_ABORTED' } })
  }
  const snapshot = db.snapshot()
  expect(await failureOf(() => db.clear({ snapshot, signal: AbortSignal.abort() }))).toMatchObject({ code: 'LEVEL_ABORTED' })
  expect(await db.get('a')).toBe('1')
})

it('errors do not carry keys or values', async () => {
  const db = make({}, join(temporaryDirectory(), 'db'))
  const failure = await failureOf(() => db.put(`secret${'k'.repeat(65_001)}`, 'v'))
  expect(failure.message).not.toContain('secret')
})
