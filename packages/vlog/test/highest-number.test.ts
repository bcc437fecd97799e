import { MemoryFileSystem } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { expect, test } from 'vitest'

const record = (text: string) => ({ key: new TextEncoder().encode(text), value: new Uint8Array(5000) })

async function openLog(fs: MemoryFileSystem): Promise<ValueLog> {
  return ValueLog.open('/log', { fs, durable: null, lock: false })
}

async function names(fs: MemoryFileSystem): Promise<string[]> {
  return (await fs.list('/log')).filter((name) => name.endsWith('log'))
}

test('law 11: a dead file with the highest number goes once an empty one has taken its place', async () => {
  const fs = new MemoryFileSystem()
  const log = await openLog(fs)
  await log.append([record('a')])
  await log.seal()
  expect(await log.dropLogical([1])).toBeGreaterThan(5000)
  expect(await names(fs)).toEqual(['000002.vlog'])
  expect(log.position()).toEqual({ fid: 2, offset: 20 })
  await log.seal()
  await log.dropLogical([2])
  expect(await names(fs), 'an empty file is not replaced by another one').toEqual(['000002.vlog'])
  const [pointer] = await log.append([record('b')])
  expect(pointer?.fid).toBe(3)
  await log.close()
})

test('a file of zero bytes that a crash left does not stand in the way after a clean close', async () => {
  const fs = new MemoryFileSystem()
  const log = await openLog(fs)
  await log.append([record('a')])
  await log.close()
  const stray = await fs.open('/log/000002.vlog', 'create')
  await stray.close()
  await fs.syncDir('/log')
  const second = await openLog(fs)
  const { fid, offset } = second.position()
  await second.close()
  const third = await ValueLog.open('/log', { fs, cleanEnd: { fid, size: offset }, lock: false })
  const [pointer] = await third.append([record('b')])
  expect(pointer?.fid).toBe(3)
  await third.close()
})

test('the same for a log that stands alone', async () => {
  const fs = new MemoryFileSystem()
  const options = { fs, lock: false }
  const log = await ValueLog.open('/log', options)
  await log.append([record('a')])
  await log.close()
  const stray = await fs.open('/log/000002.vlog', 'create')
  await stray.close()
  await fs.syncDir('/log')
  await (await ValueLog.open('/log', options)).close()
  const third = await ValueLog.open('/log', options)
  expect((await third.verify()).ok).toBe(true)
  await third.close()
})
