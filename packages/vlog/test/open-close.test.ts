import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { locksAreShared } from '@wk/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ValueLog, type ValueLogOptions } from '../src/index.js'
import { collect, DIR, failureOf, newMemory, openLog, readFile } from './support/memory-log.js'

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'wk-vlog-'))
})

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

describe('open and close', () => {
  test('on a real disk: write, read, reopen; a second handle is refused until the first is closed', async () => {
    const dir = join(root, 'a', 'b')
    const log = await ValueLog.open(dir, { fileSize: 4096 })
    expect(await failureOf(ValueLog.open(dir))).toMatchObject({ code: 'WK_LOCKED' })
    const pointers = []
    for (let i = 0; i < 50; i++) pointers.push(...(await log.append([{ key: `key ${i}`, value: `value ${i} `.repeat(40) }], { sync: i % 10 === 0 })))
    await log.close()
    await log.close()
    const again = await ValueLog.open(dir, { readOnly: true, maxOpenFiles: 2 })
    const entries = await again.readMany([...pointers].reverse())
    expect(entries.map(({ key }) => new TextDecoder().decode(key))).toEqual(Array.from({ length: 50 }, (_, i) => `key ${49 - i}`))
    await again[Symbol.asyncDispose]()
  })

  test('on a real disk: two that only read share the directory', async ({ skip }) => {
    skip(!(await locksAreShared(join(root, 'LOCK'))), 'the lock of this platform is exclusive only')
    const dir = join(root, 'shared')
    const log = await ValueLog.open(dir)
    const [pointer] = await log.append([{ key: 'key', value: 'value' }])
    await log.close()
    const first = await ValueLog.open(dir, { readOnly: true })
    const second = await ValueLog.open(dir, { readOnly: true })
    for (const reader of [first, second]) expect(new TextDecoder().decode((await reader.read(pointer!)).value)).toBe('value')
    await first.close()
    await second.close()
  })

  test('a directory that is none', async () => {
    const missing = join(root, 'missing')
    expect(await failureOf(ValueLog.open(missing, { createIfMissing: false }))).toMatchObject({ code: 'WK_NOT_FOUND' })
    expect(await failureOf(ValueLog.open(missing, { readOnly: true }))).toMatchObject({ code: 'WK_NOT_FOUND' })
    const file = join(root, 'file')
    await writeFile(file, 'text')
    expect(await failureOf(ValueLog.open(file))).toMatchObject({ code: 'WK_IO' })
    expect(await failureOf(ValueLog.open(''))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  })

  test('options out of range', async () => {
    const bad: ValueLogOptions[] = [
      { fileSize: 4095 }, { fileSize: 2 ** 31 + 1 }, { fileSize: 5000.5 }, { maxEntries: 0 }, { maxOpenFiles: 0 },
      { durable: { fid: -1, offset: 0 } }, { cleanEnd: { fid: 1, size: 2 ** 32 } },
      { encryptionKey: new Uint8Array(17) }, { encryptionKey: 'secret' as never }, { encryptionKeyRotationDuration: 0 },
      { valueCompression: 'zstd' as never }, { salvage: true },
    ]
    const fs = await newMemory()
    for (const options of bad) expect(await failureOf(openLog(fs, options)), JSON.stringify(options)).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    expect(await fs.list(DIR)).toEqual([])
  })

  test('arguments of append are checked before anything is staged', async () => {
    const log = await openLog(await newMemory())
    const good = { key: 'k', value: 'v' }
    const bad = [
      { key: new Uint8Array(65_001), value: '' },
      { key: 1 as unknown as string, value: '' },
      { key: 'k', value: null as unknown as string },
      { ...good, version: -1 },
      { ...good, version: 2 ** 53 },
      { ...good, version: 1.5 },
      { ...good, userMeta: 256 },
      { ...good, expiresAt: -5 },
      { ...good, meta: 0x80 },
      { ...good, meta: 0x10 },
    ]
    for (const entry of bad) expect(await failureOf(log.append([good, entry]))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    expect(log.stagedBytes).toBe(0)
    expect(await log.append([])).toEqual([])
    const [empty, longest] = await log.append([{ key: '', value: '' }, { key: new Uint8Array(65_000), value: '' }])
    expect(log.readSync(empty!)).toMatchObject({ key: new Uint8Array(0), value: new Uint8Array(0), version: 0 })
    expect(log.readSync(longest!).key.length).toBe(65_000)
    await log.close()
  })

  test('after close every method says so', async () => {
    const log = await openLog(await newMemory())
    const [pointer] = await log.append([{ key: 'k', value: 'v' }])
    const iterating = log.iterate(1)
    await iterating.next()
    await log.close()
    const out = { fid: 0, offset: 0, len: 0 }
    for (const call of [
      () => log.append([]), () => log.read(pointer!), () => log.readMany([]), () => collect(log.iterate(1)), () => log.sync(),
      () => log.seal(), () => log.verify(), () => log.retire(1), () => log.writeStaged(), () => log.dropLogical([]),
      () => log.createRelocation(), () => log.readValues([]), () => iterating.next(),
    ]) {
      expect(await failureOf(call())).toMatchObject({ code: 'WK_CLOSED' })
    }
    for (const call of [
      () => log.readSync(pointer!), () => log.files(), () => log.discard(pointer!), () => log.pin(1), () => log.physicalFiles(),
      () => log.stage(new Uint8Array(1), 0, 0, 0, 0, new Uint8Array(1), out), () => log.writeStagedSync(),
      () => log.readValueSync(1, 20, 19, new Uint8Array(1), 0),
    ]) {
      expect(call).toThrow('closed')
    }
  })

  test('read-only: reads everything, refuses every write, changes nothing', async () => {
    const fs = await newMemory()
    const log = await openLog(fs)
    const [pointer] = await log.append([{ key: 'k', value: 'v' }])
    await log.close()
    const before = await fs.list(DIR)
    const operations = fs.opCount
    const readOnly = await openLog(fs, { readOnly: true })
    expect(readOnly.readSync(pointer!).value.length).toBe(1)
    for (const call of [readOnly.append([{ key: 'k', value: 'v' }]), readOnly.seal(), readOnly.dropLogical([1]), readOnly.retire(1), readOnly.createRelocation()]) {
      expect(await failureOf(call)).toMatchObject({ code: 'WK_READ_ONLY' })
    }
    // Nothing was written that could be lost.
    await readOnly.sync()
    await readOnly.close()
    expect([await fs.list(DIR), fs.opCount]).toEqual([before, operations])
  })

  test('a hundred files with two handles', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { maxEntries: 1, maxOpenFiles: 2 })
    const pointers = []
    for (let i = 0; i < 200; i++) pointers.push(...(await log.append([{ key: `${i}`, value: `v${i}` }])))
    expect(log.files()).toHaveLength(100)
    for (let i = 199; i >= 0; i -= 3) expect(new TextDecoder().decode(log.readSync(pointers[i]!).value)).toBe(`v${i}`)
    const entries = await log.readMany(pointers)
    expect(entries.map(({ value }) => new TextDecoder().decode(value))).toEqual(pointers.map((_, i) => `v${i}`))
    await log.close()
  })

  test('verify names the damage, tells progress, and can be aborted', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { maxEntries: 1 })
    for (let i = 0; i < 8; i++) await log.append([{ key: 'k', value: `${i}` }])
    const seen: number[] = []
    expect(await log.verify({ onProgress: ({ done }) => seen.push(done) })).toMatchObject({ ok: true, records: 8, bytes: 8 * 19 })
    expect(seen).toEqual([1, 2, 3, 4])
    expect(await failureOf(log.verify({ signal: AbortSignal.abort() }))).toMatchObject({ code: 'WK_ABORTED', name: 'AbortError' })
    const bytes = readFile(fs, '000003.vlog')
    const file = fs.openSync(`${DIR}/000003.vlog`, 'update')
    file.writeSync(Uint8Array.of((bytes[30] ?? 0) ^ 1), 0, 1, 30)
    file.closeSync()
    expect(await log.verify()).toMatchObject({ ok: false, records: 6, problems: [{ file: '000003.vlog', offset: 20, code: 'WK_CORRUPTION' }] })
    await log.close()
  })
})
