/** The worked examples of the format page are what the log writes, and the page has them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { ValueLog, readMemtableLog } from '../src/index.js'
import { encodeRegistry } from '../src/key-registry-format.js'
import { RunTableBuilder } from '../src/run-table.js'
import { encodeRuns } from '../src/runs-file.js'
import { hex } from './support/bytes.js'
import { DIR, collect, newMemory, placeFile, readFile } from './support/memory-log.js'

const VLOG = [
  '0000000000000000', '0102030405060708090a0b0c',
  '0409', '0b', '05', '80e2cfaa06', '6b6579', 'fffffffffffffff8', '76616c7565', '8f2ecc7b',
  '0000090100', '61', 'ffffffffffffffff', '62', '47646461',
].join('')

const RLOG = [
  '574b524c4f470001', '0200000000000000', '17cf0cac',
  '000009010061ffffffffffffffff6247646461',
  '0100000044000000', '0000000000000000', '0102030405060708090a0b0c', '01000000',
  '3100000013000000', '1400000000000000',
  '2700000000000000', '3000000000000000', '0100000000000000', '12d23cc000000000', '574b524c454e4401',
].join('')

const GAPS = [
  '574b52554e530001 0100000000000000 3e830efd',
  '01000000 44000000 0000000000000000 0102030405060708090a0b0c 01000000 31000000 13000000 3100000000000000',
  '03000000 31000000 0000000000000000 000000000000000000000000 01000000 14000000 1d000000 1400000000000000',
  '1400000000000000 6000000000000000 02000000 00000000 945a63ee 00000000 574b524c454e4401',
]
  .join('')
  .replaceAll(' ', '')
const LIST = [
  '574b52554e530001', '0100000000000000', '3e830efd',
  '0100000044000000', '0000000000000000', '0102030405060708090a0b0c', '01000000',
  '3100000013000000', '3100000000000000',
  '1400000000000000', '3000000000000000', '0100000000000000', '2df7047600000000', '574b524c454e4401',
].join('')

const REGISTRY = [
  '101112131415161718191a1b1c1d1e1f', '4f9b83188ef5410ff4698b63', '0000002c', '0bff8f12', '0801',
  '1210', '23d3e19eeea74dd7aafee59b19e096ee', '1a10', '303132333435363738393a3b3c3d3e3f', '2080e2cfaa06',
].join('')

const ENCRYPTED = ['0000000000000001', '0102030405060708090a0b0c', '0000090100', '47464572d14097af891f', 'b9f7143b'].join('')

const COMPRESSED = ['1000', '091000', '61', 'ffffffffffffffff', '64000000', '1f6201004a', '60626262626262', '1e31caf4'].join('')

const MEMTABLE = [
  '4200090c00', '61', 'fffffffffffffff8', '010000001300000031000000', 'cd974f39',
  '8000130100', '216261646765722174786e', 'fffffffffffffff8', '37', 'd830f6fc',
].join('')

const STATE = '9c7229380a000000' + '574b565301' + '0201440000'

async function write(): Promise<{ fs: MemoryFileSystem; log: ValueLog }> {
  const fs = await newMemory()
  const log = await ValueLog.open(DIR, { fs, randomBytes: (length) => Uint8Array.from({ length }, (_, i) => i + 1) })
  const pointers = await log.append([
    { key: 'key', value: 'value', version: 7, meta: 4, userMeta: 9, expiresAt: 1_700_000_000 },
    { key: 'a', value: 'b' },
  ])
  expect(pointers[1]).toEqual({ fid: 1, offset: 49, len: 19 })
  return { fs, log }
}

test('vlog and state', async () => {
  const { fs, log } = await write()
  await log.close()
  expect(hex(readFile(fs, '000001.vlog'))).toBe(VLOG)
  expect(hex(readFile(fs, 'VLOGSTATE'))).toBe(STATE)
})

test('rlog', async () => {
  const { fs, log } = await write()
  await log.seal()
  const relocation = await log.createRelocation()
  await relocation.copy(1, 49, 19)
  await relocation.finish()
  await log.close()
  expect(hex(readFile(fs, '000002.rlog'))).toBe(RLOG)
})

test('runs', () => {
  const runs = new RunTableBuilder()
  runs.add(49, 49, 19)
  const logical = { fid: 1, end: 68, keyId: 0, baseIv: bytesFrom(1, 12), direct: false, runs: runs.build() }
  expect(hex(encodeRuns(1, [logical]))).toBe(LIST)
})

test('runs with a gap file', () => {
  const [left, gaps] = [new RunTableBuilder(), new RunTableBuilder()]
  left.add(49, 49, 19)
  gaps.add(20, 20, 29)
  const files = [
    { fid: 1, end: 68, keyId: 0, baseIv: bytesFrom(1, 12), direct: false, runs: left.build() },
    { fid: 3, end: 49, keyId: 0, baseIv: new Uint8Array(12), direct: false, runs: gaps.build() },
  ]
  expect(hex(encodeRuns(1, files))).toBe(GAPS)
})

const bytesFrom = (start: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => start + i)

test('key registry, encrypted vlog', async () => {
  const encryptionKey = bytesFrom(0, 16)
  const keys = [{ id: 1, data: bytesFrom(0x20, 16), iv: bytesFrom(0x30, 16), createdAt: 1_700_000_000 }]
  const registry = encodeRegistry({ iv: bytesFrom(0x10, 16), keys }, encryptionKey)
  expect(hex(registry)).toBe(REGISTRY)
  const fs = await newMemory()
  await placeFile(fs, 'KEYREGISTRY', registry)
  const log = await ValueLog.open(DIR, { fs, encryptionKey, encryptionKeyRotationDuration: 1e12, randomBytes: (length) => bytesFrom(1, length) })
  await log.append([{ key: 'a', value: 'b' }])
  await log.close()
  expect(hex(readFile(fs, '000001.vlog'))).toBe(ENCRYPTED)
})

test('compressed record', async () => {
  const fs = await newMemory()
  const log = await ValueLog.open(DIR, { fs, valueCompression: 'lz4' })
  await log.append([{ key: 'a', value: 'b'.repeat(100) }])
  await log.close()
  expect(hex(readFile(fs, '000001.vlog').slice(20))).toBe(COMPRESSED)
})

test('memtable log', async () => {
  const fs = await newMemory()
  await placeFile(fs, '00001.mem', Buffer.concat([new Uint8Array(20), Buffer.from(MEMTABLE, 'hex'), new Uint8Array(30)]))
  const entries = await collect(readMemtableLog(DIR, '00001.mem', { fs }))
  expect(entries).toMatchObject([{ entry: { key: Uint8Array.of(0x61), version: 7, meta: 0x42 }, target: { fid: 1, offset: 49, len: 19 } }])
})

test('the page has these bytes', () => {
  const page = join(import.meta.dirname, '..', '..', '..', 'docs', 'format.md')
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```\n([\s\S]*?)```/g)].map(([, block = '']) => {
    return block.split('\n').map((line) => (/^(?:[0-9a-f]{2}(?:\s+|$))*/.exec(line)?.[0] ?? '').replace(/\s/g, '')).join('')
  })
  for (const example of [VLOG, RLOG, LIST, STATE, REGISTRY, ENCRYPTED, COMPRESSED, MEMTABLE]) expect(blocks).toContain(example)
})
