/** How staged records get into gaps: all of them, in turns of the event loop, and through the pool where single writes take their time. */
import { MemoryFileSystem, defaultRuntime, type File } from '@wk/fs'
import { expect, test } from 'vitest'
import { PieceWriter, piecesOf } from '../src/gap-pieces.js'
import { RunTableBuilder } from '../src/run-table.js'
import { Staging, type Chunk } from '../src/staging.js'
import { mulberry, randomBytes } from './support/bytes.js'

const COUNT = 200
const RECORD = 300
const PITCH = 512

/** A chunk of records, each of which has a gap of its own. */
function staged(): { chunk: Chunk; runs: ReturnType<RunTableBuilder['build']>; expected: Uint8Array } {
  const random = mulberry(7)
  const builder = new RunTableBuilder()
  const staging = new Staging()
  const expected = new Uint8Array(COUNT * PITCH)
  for (let i = 0; i < COUNT; i++) {
    const offset = 20 + i * RECORD
    builder.add(offset, i * PITCH, RECORD)
    const bytes = randomBytes(random, RECORD)
    const chunk = staging.reserve(7, offset, RECORD)
    chunk.bytes.set(bytes, chunk.length)
    staging.filled(chunk, RECORD)
    expected.set(bytes, i * PITCH)
  }
  expect(staging.chunks).toHaveLength(1)
  return { chunk: staging.first!, runs: builder.build(), expected }
}

interface Watched {
  file: File
  clock: { ms: number; turns: number }
  /** Positions in the order of writing. */
  here: number[]
  pooled: number[]
  mostAtOnce: number
}

/** A file whose writes on the calling thread take `cost` milliseconds each. */
async function watched(cost: (nth: number) => number): Promise<Watched> {
  const inner = await new MemoryFileSystem().open('/file', 'create')
  const seen: Watched = { file: inner, clock: { ms: 0, turns: 0 }, here: [], pooled: [], mostAtOnce: 0 }
  let atOnce = 0
  seen.file = new Proxy(inner, {
    get(target, name) {
      if (name === 'writeSync') {
        return (...given: Parameters<File['writeSync']>) => {
          seen.clock.ms += cost(seen.here.push(given[3]))
          return target.writeSync(...given)
        }
      }
      if (name === 'write') {
        return async (...given: Parameters<File['write']>) => {
          seen.pooled.push(given[3])
          seen.mostAtOnce = Math.max(seen.mostAtOnce, ++atOnce)
          await defaultRuntime.yield()
          atOnce--
          return target.write(...given)
        }
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return seen
}

function contentOf({ file }: Watched): Uint8Array {
  const bytes = new Uint8Array(COUNT * PITCH)
  file.readSync(bytes, 0, bytes.length, 0)
  return bytes
}

const runtimeOf = ({ clock }: Watched): typeof defaultRuntime => ({
  ...defaultRuntime,
  monotonic: () => clock.ms,
  yield: () => {
    clock.turns++
    return defaultRuntime.yield()
  },
})

test('quick writes stay on the calling thread, with a turn of the loop every few milliseconds', async () => {
  const { chunk, runs, expected } = staged()
  const seen = await watched(() => 0.05)
  await new PieceWriter(runtimeOf(seen)).write(seen.file, chunk, runs, () => undefined)
  expect(contentOf(seen)).toEqual(expected)
  expect(seen.pooled).toEqual([])
  expect(seen.clock.turns).toBeGreaterThanOrEqual(Math.floor((COUNT * 0.05) / 4))
})

test('where they are slow nearly all go through the pool, some at once, until one is quick again', async () => {
  const { chunk, runs, expected } = staged()
  // The fifth one on the calling thread finds its block in memory, and so do all after it.
  const seen = await watched((nth) => (nth < 5 ? 3 : 0.01))
  await new PieceWriter(runtimeOf(seen)).write(seen.file, chunk, runs, () => undefined)
  expect(contentOf(seen)).toEqual(expected)
  expect(seen.here.length + seen.pooled.length).toBe(COUNT)
  expect(seen.pooled.length).toBe(3 * 64)
  expect(seen.mostAtOnce).toBeGreaterThan(1)
  expect(seen.mostAtOnce).toBeLessThanOrEqual(8)
  expect(seen.clock.ms, 'a few slow ones are tried here').toBeLessThan(15)
})

test('nothing more is written once the log has failed', async () => {
  const { chunk, runs } = staged()
  for (const cost of [0.05, 3]) {
    const seen = await watched(() => cost)
    let checks = 0
    const check = (): void => {
      if (++checks === 2) throw new Error('failed')
    }
    await expect(new PieceWriter(runtimeOf(seen)).write(seen.file, chunk, runs, check)).rejects.toThrow('failed')
    expect(seen.here.length + seen.pooled.length).toBeLessThan(COUNT)
  }
})

test('once the log has failed no further piece is begun in the pool either', async () => {
  const { chunk, runs } = staged()
  const seen = await watched(() => 3)
  const check = (): void => {
    if (seen.pooled.length >= 3) throw new Error('failed')
  }
  await expect(new PieceWriter(runtimeOf(seen)).write(seen.file, chunk, runs, check)).rejects.toThrow('failed')
  expect(seen.pooled).toHaveLength(3)
})

test('on the calling thread alone they stop after the first slow ones, and go out as a whole afterwards', async () => {
  const { chunk, runs, expected } = staged()
  const slow = await watched(() => 3)
  const writer = new PieceWriter(runtimeOf(slow))
  expect(writer.writeSync(slow.file, chunk, runs, true)).toBe(false)
  expect(slow.here.length).toBeLessThan(4)
  expect(writer.isCold).toBe(true)
  await writer.write(slow.file, chunk, runs, () => undefined)
  expect(contentOf(slow)).toEqual(expected)
  expect(writer.isCold).toBe(true)
})

test('what the calling thread wrote is counted, and what it took', async () => {
  const { chunk, runs } = staged()
  const quick = await watched(() => 0.01)
  const writer = new PieceWriter(runtimeOf(quick))
  expect(writer.writeSync(quick.file, chunk, runs, true)).toBe(true)
  expect(writer.writeSync(quick.file, chunk, runs, false)).toBe(true)
  await writer.write(quick.file, chunk, runs, () => undefined)
  expect(writer.isCold).toBe(false)
  expect(writer.count).toBe(3 * COUNT)
  expect(writer.milliseconds).toBeCloseTo(3 * COUNT * 0.01)
  const slow = await watched(() => 3)
  const other = new PieceWriter(runtimeOf(slow))
  await other.write(slow.file, chunk, runs, () => undefined)
  expect(other.count).toBe(slow.here.length)
  expect(other.milliseconds).toBeCloseTo(slow.here.length * 3)
})

test('all at once where nobody can wait', async () => {
  const { chunk, runs, expected } = staged()
  const seen = await watched(() => 3)
  expect(new PieceWriter(runtimeOf(seen)).writeSync(seen.file, chunk, runs, false)).toBe(true)
  expect(contentOf(seen)).toEqual(expected)
  expect(seen.here).toEqual(piecesOf(chunk, runs).map(({ position }) => position))
})
