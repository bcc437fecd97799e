/** Records longer than 1 MiB are verified in turns of the event loop, and each is opened in a turn of its own. */
import { InterceptedFileSystem, MemoryFileSystem, defaultRuntime, type Operation } from '@wk/fs'
import { ValueBatch, ValueLog } from '@wk/vlog'
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

/** Reads of value logs through the pool wait until they are let go, or fail. */
class HeldReads extends InterceptedFileSystem {
  begun = 0
  fate: Promise<void> | undefined

  constructor(inner: MemoryFileSystem) {
    super(inner, 'held reads')
  }

  async around<T>({ kind, path }: Operation, run: () => Promise<T>): Promise<T> {
    if (kind !== 'read' || !path.endsWith('.vlog')) return run()
    this.begun++
    await this.fate
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

/** Each value in a file of its own, and a batch of all of them. */
async function held(): Promise<{ fs: HeldReads; log: ValueLog; batch: ValueBatch; pointers: ValuePointer[]; hold: () => { go: () => void; fail: (error: Error) => void } }> {
  const fs = new HeldReads(new MemoryFileSystem({ crashable: false }))
  const log = await ValueLog.open('/log', { fs, fileSize: 1 << 20 })
  const pointers: ValuePointer[] = []
  for (let i = 0; i < COUNT; i++) pointers.push(...(await log.append([{ key: Uint8Array.of(i), value: valueOf(i) }])))
  await log.append([{ key: Uint8Array.of(99), value: new Uint8Array(10) }], { sync: true })
  const batch = new ValueBatch()
  pointers.forEach(({ fid, offset, len }, i) => batch.add(i, fid, offset, len, Uint8Array.of(i), 0))
  const hold = (): { go: () => void; fail: (error: Error) => void } => {
    let go = (): void => undefined
    let fail = (_error: Error): void => undefined
    fs.fate = new Promise<void>((resolve, reject) => {
      go = resolve
      fail = reject
    })
    fs.fate.catch(() => undefined)
    fs.begun = 0
    return { go, fail }
  }
  return { fs, log, batch, pointers, hold }
}

async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await defaultRuntime.yield()
}

test('law 5: what was begun keeps its files until it is read', async () => {
  const { fs, log, batch, pointers, hold } = await held()
  const { go } = hold()
  const reading = log.beginBatch(batch)
  expect(reading.beginLong()).toBe(true)
  await turns()
  expect(fs.begun).toBeGreaterThan(0)
  await log.dropLogical(pointers.map(({ fid }) => fid))
  const there = async (): Promise<boolean[]> => {
    const names = await fs.list('/log')
    return pointers.map(({ fid }) => names.includes(`${String(fid).padStart(6, '0')}.vlog`))
  }
  expect(await there()).toEqual(pointers.map(() => true))
  go()
  await reading.finish()
  expect(batch.values.map((value, i) => Buffer.compare(value!, valueOf(i)))).toEqual(pointers.map(() => 0))
  await expect.poll(there).toEqual(pointers.map(() => false))
  await log.close()
})

test('what was begun and is given up reads nothing more, and fails for nobody', async () => {
  const { fs, log, batch, hold } = await held()
  const first = hold()
  const given = log.beginBatch(batch)
  given.beginLong()
  await turns()
  const { begun } = fs
  const ended = given.cancel()
  first.go()
  await ended
  // Of the records on their way the last pieces.
  expect(fs.begun).toBeLessThan(2 * begun)
  const second = hold()
  const lost = log.beginBatch(batch)
  lost.beginLong()
  await turns()
  second.fail(new Error('the device is gone'))
  await turns()
  await expect(lost.finish()).rejects.toThrow('the device is gone')
  await log.close()
})
