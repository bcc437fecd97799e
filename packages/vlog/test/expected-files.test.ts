import { expect, test } from 'vitest'
import { ValueLog } from '../src/index.js'
import { DIR, entryOf, failureOf, newMemory, openLog, placeFile } from './support/memory-log.js'
import { SEED, mulberry } from './support/bytes.js'

const random = mulberry(SEED)

test('a file that the host refers to and that was emptied is damage at open, and is not removed as a stray', async () => {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 1 })
  for (let i = 0; i < 3; i++) {
    await log.append([entryOf(random)])
    await log.seal()
  }
  await log.close()
  await placeFile(fs, '000002.vlog', new Uint8Array(0))
  const host = { fs, durable: { fid: 3, offset: 20 }, lock: false, expectedFids: new Set([1, 2, 3]) }
  expect(await failureOf(ValueLog.open(DIR, host))).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog', offset: 0 })
  expect(await fs.list(DIR)).toContain('000002.vlog')
  await fs.remove(`${DIR}/000002.vlog`)
  const missing = await failureOf(ValueLog.open(DIR, host))
  expect(missing).toMatchObject({ code: 'WK_CORRUPTION', file: '000002.vlog', offset: undefined })
})

test('an emptied file that the mark of the host covers stays until the host has looked for what it misses', async () => {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 1 })
  for (let i = 0; i < 4; i++) {
    await log.append([entryOf(random)])
    await log.seal()
  }
  await log.close()
  for (const name of ['000002.vlog', '000003.vlog']) await placeFile(fs, name, new Uint8Array(0))
  const again = await ValueLog.open(DIR, { fs, durable: { fid: 2, offset: 30 }, lock: false })
  const names = await fs.list(DIR)
  expect(names).toContain('000002.vlog')
  expect(names, 'what lies above the mark was never promised').not.toContain('000003.vlog')
  expect(again.hasFile(2)).toBe(false)
  await again.removeStrays()
  expect(await fs.list(DIR)).not.toContain('000002.vlog')
  await again.close()
})

test('an empty relocated file is a stray where the host misses nothing, and damage where it does, or may', async () => {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 1 })
  for (let i = 0; i < 2; i++) {
    await log.append([entryOf(random)])
    await log.seal()
  }
  await log.close()
  await placeFile(fs, '000009.rlog', new Uint8Array(0))
  const host = { fs, durable: { fid: 2, offset: 20 }, lock: false }
  const damage = { code: 'WK_CORRUPTION', file: '000009.rlog', offset: 0 }
  expect(await failureOf(ValueLog.open(DIR, { fs }))).toMatchObject(damage)
  expect(await failureOf(ValueLog.open(DIR, { ...host, expectedFids: new Set([1, 2, 7]) }))).toMatchObject(damage)
  expect(await failureOf(ValueLog.open(DIR, { ...host, expectedFids: new Set([1, 2, 9]) }))).toMatchObject(damage)
  expect(await fs.list(DIR)).toContain('000009.rlog')
  const again = await ValueLog.open(DIR, { ...host, expectedFids: new Set([1, 2]) })
  await again.append([entryOf(random)])
  expect(again.files().map(({ fid }) => fid)).toEqual([1, 2, 10])
  expect(await fs.list(DIR)).not.toContain('000009.rlog')
  await again.close()
})
