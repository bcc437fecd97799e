/** The worked examples of the format page are what the log writes. */
import { MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { ValueLog } from '../src/index.js'
import { hex } from './support/bytes.js'
import { DIR, newMemory, readFile } from './support/memory-log.js'

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
