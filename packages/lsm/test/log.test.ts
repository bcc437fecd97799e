import { CorruptionError, KIND_TOMBSTONE, KIND_VALUE, writeUvarint } from '@wk/codec'
import { FaultFileSystem, defaultRuntime } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { LOG_HEADER_LENGTH } from '../src/log/format.js'
import { FrameScanner } from '../src/log/frame-scanner.js'
import { LogWriter } from '../src/log/log-writer.js'
import { OPERATIONS_START } from '../src/write-group.js'
import { LOG_DIR, appendFrame, logDirectory, readBack, readFile, replaceFile, walPath } from './log-support.js'

async function threeFrames(promise = false) {
  const fs = await logDirectory()
  const log = await LogWriter.create(fs, LOG_DIR, 5)
  const ends = [LOG_HEADER_LENGTH]
  appendFrame(log, 1, ['a', 'b'])
  ends.push(log.end)
  appendFrame(log, 3, ['c'], promise ? { walFile: 5, walOffset: log.end, dependencyFid: 2, dependencyOffset: 77 } : {})
  ends.push(log.end)
  appendFrame(log, 4, ['d', 'e', 'f'])
  ends.push(log.end)
  await log.close()
  return { fs, ends, bytes: await readFile(fs, walPath(5)) }
}

describe('a write-ahead log', () => {
  test('gives back what was written', async () => {
    const { fs } = await threeFrames(true)
    const { scan, keys } = await readBack(fs, [5])
    expect([...keys.values()]).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect(scan).toEqual({ files: [5], end: undefined, dependency: { fid: 2, offset: 77 }, highestSequence: 6 })
  })

  test('cut at every length it holds the whole frames before the cut', async () => {
    const { fs, ends, bytes } = await threeFrames()
    for (let length = 0; length <= bytes.length; length++) {
      await replaceFile(fs, walPath(5), bytes.subarray(0, length))
      const { keys } = await readBack(fs, [5])
      const frames = ends.filter((end) => end <= length).length - 1
      expect([...keys.values()].join(''), `cut at ${length}`).toBe(['', 'ab', 'abc', 'abcdef'][Math.max(0, frames)])
    }
  })

  test('cut below a promise it is damaged', async () => {
    const { fs, ends, bytes } = await threeFrames(true)
    // The promise itself lies in the second frame: it must survive for the first to be covered.
    const cut = bytes.slice()
    cut.fill(0, ends[0], ends[1])
    await replaceFile(fs, walPath(5), cut)
    await expect(readBack(fs, [5])).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000005.wal', offset: LOG_HEADER_LENGTH })
  })

  test('with any flipped byte it ends there, or is damaged below a promise; never another content', async () => {
    for (const promise of [false, true]) {
      const { fs, ends, bytes } = await threeFrames(promise)
      for (let at = 0; at < bytes.length; at++) {
        for (const flip of [0x01, 0x80, 0xff]) {
          const damaged = bytes.slice()
          damaged[at] = (damaged[at] ?? 0) ^ flip
          await replaceFile(fs, walPath(5), damaged)
          const where = `byte ${at} ^ ${flip}, promise ${promise}`
          const isPromised = at < LOG_HEADER_LENGTH || (promise && at < (ends[1] ?? 0))
          if (isPromised) {
            await expect(readBack(fs, [5]), where).rejects.toBeInstanceOf(CorruptionError)
            continue
          }
          const { scan, keys } = await readBack(fs, [5])
          const whole = ends.filter((end) => end <= at).length - 1
          expect([...keys.values()].join(''), where).toBe(['', 'ab', 'abc'][whole])
          // CR12: numbers behind the damage are known all the same.
          expect(scan.highestSequence, where).toBe(at < (ends[2] ?? 0) ? 6 : 3)
        }
      }
    }
  })

  test('a frame from another place does not verify', async () => {
    const { fs, ends, bytes } = await threeFrames()
    const [first = 0, second = 0] = ends
    const swapped = bytes.slice()
    const other = await LogWriter.create(fs, LOG_DIR, 6)
    appendFrame(other, 1, ['x', 'y'])
    const foreign = await readFile(fs, walPath(6))
    swapped.set(foreign.subarray(first, second), first)
    await replaceFile(fs, walPath(5), swapped)
    const { keys } = await readBack(fs, [5])
    expect(keys.size).toBe(0)
  })
})

test('the worked example of the format page', async () => {
  const fs = await logDirectory()
  const log = await LogWriter.create(fs, LOG_DIR, 12)
  const bytes = new Uint8Array(256)
  bytes.set([KIND_VALUE, 1, 0x61, 1, 0x78, KIND_TOMBSTONE, 1, 0x62, 0], OPERATIONS_START)
  const prefix = { firstSequence: 301, count: 2, walFile: 11, walOffset: 4096, dependencyFid: 2, dependencyOffset: 20 }
  log.appendSync(prefix, bytes, OPERATIONS_START, OPERATIONS_START + 9)
  expect(Buffer.from(await readFile(fs, walPath(12))).toString('hex')).toBe(
    '574b574c010000000c00000000000000' + '9cf2ff5d11000000' + 'ad0202' + '0b8020' + '0214' + '0101610178' + '00016200',
  )
})

test('a search for the next frame gives up when it costs too much', async () => {
  const fs = await logDirectory()
  const bytes = new Uint8Array(256 * 1024)
  // Every fourth byte looks like the length of a long frame.
  for (let at = LOG_HEADER_LENGTH; at < bytes.length; at += 4) bytes.set([0, 0x40, 0, 0], at)
  await replaceFile(fs, walPath(5), bytes)
  const file = await fs.open(walPath(5), 'read')
  const scanner = new FrameScanner(file, 5, bytes.length, defaultRuntime)
  expect(await scanner.next()).toBeUndefined()
  expect(await scanner.findNext()).toBe('exhausted')
  expect(scanner.offset).toBe(LOG_HEADER_LENGTH)
  // The first bytes of a WAL frame tell enough to refuse them all.
  expect(await scanner.findNext((each, start) => each[start] !== 0 && each[start] !== 0x40)).toBeUndefined()
  await file.close()
})

test('a long frame is read through a short window', async () => {
  const fs = await logDirectory()
  const log = await LogWriter.create(fs, LOG_DIR, 5)
  const length = 3_000_000
  const bytes = new Uint8Array(length + 100)
  bytes.set([KIND_VALUE, 1, 0x61], OPERATIONS_START)
  const at = writeUvarint(bytes, OPERATIONS_START + 3, length)
  const prefix = { firstSequence: 1, count: 1, walFile: 0, walOffset: 0, dependencyFid: 0, dependencyOffset: 0 }
  await log.append(prefix, bytes, OPERATIONS_START, at + length)
  appendFrame(log, 2, ['b'])
  expect((await readBack(fs, [5])).keys).toEqual(new Map([[1, 'a'], [2, 'b']]))
})

describe('several logs', () => {
  test('follow on from one another', async () => {
    const fs = await logDirectory()
    for (const number of [3, 4, 9]) {
      const log = await LogWriter.create(fs, LOG_DIR, number)
      appendFrame(log, number * 10, [`k${number}`, 'x', 'y', 'z', 'u', 'v', 'w', '1', '2', '3'].slice(0, number === 4 ? 50 : 10))
      await log.close()
    }
    // 30..39 | 40..49 | 90..: the last one does not follow on.
    const { keys, scan } = await readBack(fs, [3, 4, 9], 29)
    expect(Math.max(...keys.keys())).toBe(49)
    expect(scan.end).toEqual({ file: 9, offset: LOG_HEADER_LENGTH })
    expect(scan.highestSequence).toBe(99)
  })

  test('a gap below a promise is corruption', async () => {
    const fs = await logDirectory()
    const first = await LogWriter.create(fs, LOG_DIR, 3)
    appendFrame(first, 1, ['a'])
    appendFrame(first, 2, ['b'])
    const second = await LogWriter.create(fs, LOG_DIR, 4)
    appendFrame(second, 3, ['c'], { walFile: 4, walOffset: LOG_HEADER_LENGTH })
    expect((await readBack(fs, [3, 4])).keys.size).toBe(3)
    const bytes = await readFile(fs, walPath(3))
    // The tail of the older log goes, at the border of a frame: only sequence numbers can tell.
    await replaceFile(fs, walPath(3), bytes.subarray(0, (bytes.length + LOG_HEADER_LENGTH) / 2))
    await expect(readBack(fs, [3, 4])).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000004.wal' })
  })

  test('an unsynced older log may have lost its tail: the log ends there', async () => {
    const fs = await logDirectory()
    const first = await LogWriter.create(fs, LOG_DIR, 3)
    appendFrame(first, 1, ['a'])
    appendFrame(first, 2, ['b'])
    const second = await LogWriter.create(fs, LOG_DIR, 4)
    appendFrame(second, 3, ['c'])
    const bytes = await readFile(fs, walPath(3))
    for (let length = 0; length < bytes.length; length++) {
      await replaceFile(fs, walPath(3), bytes.subarray(0, length))
      const { keys, scan } = await readBack(fs, [3, 4])
      expect([...keys.values()].join('')).toBe(length >= (bytes.length + LOG_HEADER_LENGTH) / 2 ? 'a' : '')
      expect(scan.highestSequence).toBe(3)
    }
  })

  test('the oldest one missing is corruption', async () => {
    const fs = await logDirectory()
    const log = await LogWriter.create(fs, LOG_DIR, 4)
    appendFrame(log, 3, ['c'])
    await expect(readBack(fs, [4], 1)).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000004.wal' })
    await expect(readBack(fs, [4], 7)).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
  })
})

describe('a log writer', () => {
  test('syncs what was written before the call, once for all who wait', async () => {
    const fs = await logDirectory()
    const log = await LogWriter.create(fs, LOG_DIR, 1)
    let syncs = 0
    fs.onMutatingOperation = (_, { kind }) => {
      if (kind === 'sync') syncs++
    }
    appendFrame(log, 1, ['a'])
    await Promise.all([log.sync(), log.sync(), log.sync()])
    expect(log.isSynced).toBe(true)
    expect(syncs).toBe(1)
    await log.sync()
    expect(syncs).toBe(1)
  })

  test('takes nothing after a failure', async () => {
    const memory = await logDirectory()
    const fs = new FaultFileSystem(memory)
    const log = await LogWriter.create(fs, LOG_DIR, 1)
    fs.add({ operation: 'sync', errno: 'EIO' })
    appendFrame(log, 1, ['a'])
    await expect(log.sync()).rejects.toMatchObject({ code: 'WK_IO' })
    await expect(log.sync()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    expect(() => appendFrame(log, 2, ['b'])).toThrow(expect.objectContaining({ code: 'WK_READ_ONLY' }))
  })

  test('waiting syncs fail at close; those of a retired log succeed', async () => {
    const fs = await logDirectory()
    const log = await LogWriter.create(fs, LOG_DIR, 1)
    appendFrame(log, 1, ['a'])
    await log.close()
    await expect(log.sync()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    const retired = await LogWriter.create(fs, LOG_DIR, 2)
    appendFrame(retired, 2, ['b'])
    await retired.retire()
    await retired.sync()
  })
})
