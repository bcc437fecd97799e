/** A close while something else is under way: no handle stays open, nothing is written after it; and handles whose own close fails. */
import { FaultFileSystem, ScheduledFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { SEED } from './support/bytes.js'
import { collect, failureOf, newMemory, openLog } from './support/memory-log.js'

const WORK: Record<string, (log: ValueLog, fids: readonly number[]) => Promise<unknown>> = {
  'retire the highest': (log, fids) => log.retire(fids.at(-1)!),
  'retire a lower one': (log, fids) => log.retire(fids[0]!),
  recount: (log) => log.recountDiscards((keys) => keys.map(() => undefined)),
  verify: (log) => log.verify(),
  iterate: (log, fids) => collect(log.iterate(fids[0]!)),
}

test.each(Object.keys(WORK))('%s', async (what) => {
  for (let seed = SEED; seed < SEED + 8; seed++) {
    for (const ticks of [0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 70, 100]) {
      const memory = await newMemory()
      const log = await openLog(new ScheduledFileSystem(memory, seed))
      for (let i = 0; i < 4; i++) {
        await log.append([{ key: `k${i}`, value: new Uint8Array(5000) }])
        await log.seal()
      }
      const work = failureOf(WORK[what]!(log, log.files().map(({ fid }) => fid)))
      for (let tick = 0; tick < ticks; tick++) await undefined
      await log.close()
      const late: string[] = []
      memory.onMutatingOperation = (_, { kind, path }) => void late.push(`${kind} ${path}`)
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      const failure = await work
      if (failure !== undefined) expect(failure).toMatchObject({ code: expect.stringMatching(/WK_(CLOSED|READ_ONLY)/) as string })
      expect({ late, openFiles: memory.openFiles }, `seed ${seed}, ${ticks} ticks`).toEqual({ late: [], openFiles: 0 })
    }
  }
})

test('a recount passes over a file that is begun and not made yet', async () => {
  const fs = new HoldingFileSystem(await newMemory())
  const log = await openLog(fs)
  const [first] = await log.append([{ key: 'a', value: new Uint8Array(5000) }])
  await log.seal()
  const recount = log.recountDiscards((keys) => keys.map(() => first))
  fs.hold = ({ kind }) => kind === 'create'
  await undefined
  const put = log.append([{ key: 'c', value: 'v' }])
  expect(await recount).toEqual({ records: 0, bytes: 0 })
  fs.release()
  await put
  await log.close()
})

test('a file whose handle failed to close can be read again', async () => {
  const fs = new FaultFileSystem(await newMemory())
  const log = await openLog(fs, { maxOpenFiles: 1 })
  const pointers = [...(await log.append([{ key: 'a', value: 'one' }]))]
  await log.seal()
  pointers.push(...(await log.append([{ key: 'b', value: 'two' }])))
  await log.seal()
  expect(log.readSync(pointers[0]!).value.length).toBe(3)
  fs.add({ operation: 'close' })
  await failureOf(log.read(pointers[1]!))
  for (const pointer of pointers) expect(log.readSync(pointer).value.length).toBe(3)
  await log.close()
})

test.each(['a log that stands alone', 'a host with marks'])('a file is sealed while the handle that makes room for it fails to close: %s', async (kind) => {
  const memory = await newMemory()
  const fs = new FaultFileSystem(memory)
  const log = await openLog(fs, { maxOpenFiles: 1, ...(kind === 'a host with marks' ? { durable: null, lock: false } : {}) })
  const [first] = await log.append([{ key: 'a', value: 'one' }])
  await log.seal()
  const [second] = await log.append([{ key: 'b', value: 'two' }])
  await log.read(first!)
  fs.add({ operation: 'close' })
  await log.seal()
  expect(fs.injected).toHaveLength(1)
  // The log goes on, and the next file is sealed behind this one.
  const [third] = await log.append([{ key: 'c', value: 'six' }], { sync: true })
  await log.seal()
  for (const pointer of [first!, second!, third!]) expect(log.readSync(pointer).value.length).toBe(3)
  await log.close()
  expect(memory.openFiles).toBe(0)
})
