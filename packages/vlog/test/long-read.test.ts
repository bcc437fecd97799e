/** A long record read in pieces: whatever its length, whatever the file gives, and whenever a read fails. */
import { crc32c } from '@wk/codec'
import { InterceptedFileSystem, LoopGuard, MemoryFileSystem, defaultRuntime, writeFully, type File, type Operation } from '@wk/fs'
import { expect, test } from 'vitest'
import { readLongRecord } from '../src/long-read.js'
import { writeU32BE } from '../src/record.js'
import { mulberry, randomBytes, SEED } from './support/bytes.js'

const PIECE = 1 << 20
const POSITION = 77

/** Cuts reads short, and fails the one that is told. */
class Reads extends InterceptedFileSystem {
  count = 0
  failing = -1
  readonly #random: () => number

  constructor(inner: MemoryFileSystem, random: () => number) {
    super(inner, 'short reads')
    this.#random = random
  }

  around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    if (operation.kind === 'read' && this.count++ === this.failing) return Promise.reject(new Error('the device is gone'))
    if (operation.kind === 'read' && this.#random() < 0.5) operation.length = Math.ceil((operation.length ?? 1) * this.#random())
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

const random = mulberry(SEED)

/** A record of this length: any bytes, and their sum. */
function recordOf(length: number): Uint8Array {
  const bytes = randomBytes(random, length)
  writeU32BE(bytes, length - 4, crc32c(bytes.subarray(0, length - 4)))
  return bytes
}

async function fileWith(bytes: Uint8Array): Promise<{ fs: Reads; file: File }> {
  const fs = new Reads(new MemoryFileSystem({ crashable: false }), random)
  const file = await fs.open('/file', 'create')
  await writeFully(file, bytes, 0, bytes.length, POSITION)
  return { fs, file }
}

const replay = `replay: WK_SEED=${SEED}`

test.each([20, PIECE - 1, PIECE, PIECE + 1, PIECE + 3, PIECE + 4, PIECE + 5, 5 * PIECE + 2, 6 * PIECE])('a record of %i bytes', async (length) => {
  const bytes = recordOf(length)
  const { file } = await fileWith(bytes)
  const read = async (into = new Uint8Array(length)): Promise<unknown> => readLongRecord(file, into, POSITION, new LoopGuard(defaultRuntime))
  const into = new Uint8Array(length)
  expect(await read(into), replay).toEqual({ count: length, isIntact: true })
  expect(Buffer.compare(into, bytes)).toBe(0)
  for (const at of [0, length - 1, length - 4, length - 5, Math.floor(random() * length), ...(length > PIECE ? [PIECE - 1, PIECE] : [])]) {
    const byte = Uint8Array.of(bytes[at]! ^ (1 + Math.floor(random() * 255)))
    await writeFully(file, byte, 0, 1, POSITION + at)
    expect(await read(), `a flipped byte at ${at}; ${replay}`).toEqual({ count: length, isIntact: false })
    await writeFully(file, bytes, at, 1, POSITION + at)
  }
  expect(await read()).toEqual({ count: length, isIntact: true })
  for (const left of [length - 1, length >> 1, 0]) {
    await file.truncate(POSITION + left)
    expect(await read(), `cut to ${left}; ${replay}`).toEqual({ count: left, isIntact: false })
  }
})

test('a read that fails: nothing comes to the memory any more once that is told', async () => {
  const length = 9 * PIECE
  const bytes = recordOf(length)
  for (let failing = 0; failing < 9; failing++) {
    const { fs, file } = await fileWith(bytes)
    fs.failing = failing
    const into = new Uint8Array(length)
    await expect(readLongRecord(file, into, POSITION, new LoopGuard(defaultRuntime)), `read ${failing}; ${replay}`).rejects.toThrow('the device is gone')
    const { count } = fs
    const sum = crc32c(into)
    for (let turn = 0; turn < 5; turn++) await defaultRuntime.yield()
    expect([fs.count, crc32c(into)]).toEqual([count, sum])
  }
})
