/** Records longer than 1 MiB are verified in turns of the event loop, and each is opened in a turn of its own. */
import { MemoryFileSystem, defaultRuntime } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import type { ValuePointer } from '@wk/vlog'
import { expect, test } from 'vitest'

const LENGTH = 3 << 20
const COUNT = 4

/** A runtime on whose clock every slice is over at once. */
function countingRuntime(): typeof defaultRuntime & { turns: number } {
  let time = 0
  const runtime = {
    ...defaultRuntime,
    turns: 0,
    monotonic: () => (time += 100),
    yield: () => {
      runtime.turns++
      return defaultRuntime.yield()
    },
  }
  return runtime
}

const valueOf = (i: number): Uint8Array => new Uint8Array(LENGTH).fill(i + 1)

async function filled(): Promise<{ fs: MemoryFileSystem; pointers: ValuePointer[]; log: ValueLog; runtime: ReturnType<typeof countingRuntime> }> {
  const fs = new MemoryFileSystem()
  const runtime = countingRuntime()
  const log = await ValueLog.open('/log', { fs, runtime })
  const pointers = await log.append(Array.from({ length: COUNT }, (_, i) => ({ key: Uint8Array.of(i), value: valueOf(i) })))
  return { fs, pointers, log, runtime }
}

test('law 10: one is verified in several turns', async () => {
  const { pointers, log, runtime } = await filled()
  const before = runtime.turns
  expect(Buffer.compare((await log.read(pointers[1]!)).value, valueOf(1))).toBe(0)
  expect(runtime.turns - before).toBeGreaterThanOrEqual(LENGTH >> 20)
  await log.close()
})

test('law 10: many, read one by one at once or together, are opened in a turn each', async () => {
  const { pointers, log, runtime } = await filled()
  for (const read of [() => Promise.all(pointers.map((pointer) => log.read(pointer))), () => log.readMany(pointers)]) {
    const before = runtime.turns
    const entries = await read()
    expect(entries.map(({ value }, i) => Buffer.compare(value, valueOf(i)))).toEqual(pointers.map(() => 0))
    // Beside those for the checksums, which the records share as they are read.
    expect(runtime.turns - before).toBeGreaterThanOrEqual((LENGTH >> 20) + COUNT - 1)
  }
  await log.close()
})

test('law 7: a flipped byte anywhere in one is damage', async () => {
  const { fs, pointers, log } = await filled()
  await log.close()
  const { offset, len } = pointers[1]!
  for (const at of [offset, offset + 30, offset + (len >> 1), offset + len - 1]) {
    const copy = fs.crashClone('P1')
    const [name] = (await copy.list('/log')).filter((one) => one.endsWith('.vlog'))
    const file = await copy.open(`/log/${name}`, 'update')
    const byte = new Uint8Array(1)
    await file.read(byte, 0, 1, at)
    byte[0]! ^= 1
    await file.write(byte, 0, 1, at)
    await file.close()
    const again = await ValueLog.open('/log', { fs: copy })
    await expect(again.read(pointers[1]!)).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
    await expect(again.readMany(pointers)).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
    expect((await again.read(pointers[2]!)).value).toHaveLength(LENGTH)
    await again.close()
  }
})
