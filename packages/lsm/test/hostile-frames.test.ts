/** Frames of a write-ahead log whose checksums are right and whose contents no writer makes. */
import { KIND_VALUE, writeUvarint, writeU32 } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { LOG_HEADER_LENGTH, type WalFramePrefix } from '../src/log/format.js'
import { readWals, scanWals } from '../src/log/log-reader.js'
import { LogWriter } from '../src/log/log-writer.js'
import { OPERATIONS_START } from '../src/write-group.js'
import { LOG_DIR, appendFrame, logDirectory, readBack, readFile, replaceFile, walPath } from './log-support.js'

const PREFIX: WalFramePrefix = { firstSequence: 1, count: 1, walFile: 0, walOffset: 0, dependencyFid: 0, dependencyOffset: 0 }

async function logOf(prefix: Partial<WalFramePrefix>, operations: Uint8Array) {
  const fs = await logDirectory()
  const log = await LogWriter.create(fs, LOG_DIR, 5)
  const bytes = new Uint8Array(OPERATIONS_START + operations.length)
  bytes.set(operations, OPERATIONS_START)
  log.appendSync({ ...PREFIX, ...prefix }, bytes, OPERATIONS_START, bytes.length)
  await log.close()
  return fs
}

/** A put of `a`. */
const PUT = Uint8Array.of(1, 1, 0x61, 1, 0x62)

describe('a frame that verifies is damage all the same', () => {
  test.each<[string, Partial<WalFramePrefix>, Uint8Array]>([
    ['without a sequence number', { firstSequence: 0 }, PUT],
    ['without operations', { count: 0 }, PUT],
    ['with more operations than its bytes hold', { count: 3 }, PUT],
    ['with more operations than there are sequence numbers', { firstSequence: 2 ** 53 - 2, count: 4 }, Uint8Array.from([...PUT, ...PUT, ...PUT, ...PUT])],
    ['with a kind of operation that there is not', {}, Uint8Array.of(0xee, 1, 0x61, 0)],
    ['that promises a later log', { walFile: 6 }, PUT],
    ['that promises itself', { walFile: 5, walOffset: LOG_HEADER_LENGTH + 1 }, PUT],
  ])('%s', async (_, prefix, operations) => {
    await expect(readBack(await logOf(prefix, operations), [5])).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000005.wal' })
  })

  test('under a header of another log', async () => {
    const fs = await logOf({}, PUT)
    const bytes = await readFile(fs, walPath(5))
    bytes[0] = 0
    await replaceFile(fs, walPath(5), bytes)
    await expect(readBack(fs, [5])).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000005.wal', offset: 0 })
  })
})

test('a log that changes between the scan and the reading is damaged, not shorter', async () => {
  const fs = await logDirectory()
  const log = await LogWriter.create(fs, LOG_DIR, 5)
  appendFrame(log, 1, ['a'])
  appendFrame(log, 2, ['b'])
  const { end } = log
  await log.close()
  const options = { fs, dir: LOG_DIR, runtime: defaultRuntime }
  const scan = await scanWals(options, [5], 0)
  const bytes = await readFile(fs, walPath(5))
  bytes[end - 1] = (bytes[end - 1] ?? 0) ^ 0xff
  await replaceFile(fs, walPath(5), bytes)
  const read = async (): Promise<number[]> => {
    const sequences: number[] = []
    for await (const { prefix } of readWals(options, scan)) sequences.push(prefix.firstSequence)
    return sequences
  }
  await expect(read()).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000005.wal' })
})

test('a torn tail made of headers that all look like frames is given up on, in bounded time', async () => {
  const fs = await logOf({}, PUT)
  const bytes = await readFile(fs, walPath(5))
  const tail = new Uint8Array(2 << 20)
  for (let at = 0; at < tail.length / 2; at += 32) {
    writeU32(tail, at + 4, 1 << 20)
    // A sequence number that could follow, one operation, no promise; a value without a key that ends with the frame.
    tail.set([2, 1, 0, 0, 0, 0, KIND_VALUE, 0], at + 8)
    writeUvarint(tail, at + 16, (1 << 20) - 11)
  }
  await replaceFile(fs, walPath(5), Uint8Array.from([...bytes, ...tail]))
  await expect(readBack(fs, [5])).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000005.wal', offset: bytes.length })
})
