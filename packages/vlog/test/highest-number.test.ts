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

test('an empty file with the highest number, whoever made it, stays until a higher one is there', async () => {
  for (const stray of ['000099.vlog', '000099.rlog']) {
    const fs = new MemoryFileSystem()
    const log = await openLog(fs)
    const [first] = await log.append([record('a')])
    await log.close()
    const file = await fs.open(`/log/${stray}`, 'create')
    await file.close()
    await fs.syncDir('/log')
    for (let i = 0; i < 2; i++) {
      const again = await ValueLog.open('/log', { fs, durable: null, expectedFids: new Set([1]), lock: false })
      expect((await again.read(first!)).value.length).toBe(5000)
      await again.close()
      expect(await names(fs), 'the number is known by its name alone').toEqual(['000001.vlog', stray])
    }
    const writing = await ValueLog.open('/log', { fs, durable: null, expectedFids: new Set([1]), lock: false })
    const [pointer] = await writing.append([record('b')])
    expect(pointer?.fid).toBe(100)
    await writing.close()
    await (await ValueLog.open('/log', { fs, durable: null, expectedFids: new Set([1]), lock: false })).close()
    expect(await names(fs)).toEqual(['000001.vlog', '000100.vlog'])
  }
})

test('a log that stands alone does not take an emptied relocated file for a stray', async () => {
  const fs = new MemoryFileSystem()
  const log = await ValueLog.open('/log', { fs })
  await log.append([record('a')])
  await log.close()
  await (await fs.open('/log/000099.rlog', 'create')).close()
  await expect(ValueLog.open('/log', { fs })).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000099.rlog', offset: 0 })
  expect(await names(fs)).toEqual(['000001.vlog', '000099.rlog'])
})
