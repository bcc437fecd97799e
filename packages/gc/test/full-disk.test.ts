/** A pass over a real log on a disk without room: the dead files that can go do so. */
import { errnoOf } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { expect, it } from 'vitest'
import { GarbageCollector } from '../src/index.js'

const index = {
  lookup: (keys: readonly Uint8Array[]) => keys.map(() => undefined),
  compareAndSwap: (moves: readonly unknown[]) => moves.map(() => false),
}

it('frees dead files, also where the one with the highest number, which needs a successor, has most garbage', async () => {
  const fs = new FaultFileSystem(new MemoryFileSystem())
  let log = await ValueLog.open('/log', { fs, fileSize: 4096 })
  for (let n = 0; n < 15; n++) log.discard((await log.append([{ key: 'k', value: new Uint8Array(1000) }]))[0]!)
  log.discard((await log.append([{ key: 'k', value: new Uint8Array(20_000) }]))[0]!)
  await log.close()
  log = await ValueLog.open('/log', { fs, fileSize: 4096 })
  const highest = log.files().at(-1)!.fid
  expect(log.files().length).toBe(4)
  const rule = { operation: 'write', errno: 'ENOSPC', times: Number.POSITIVE_INFINITY } as const
  fs.add(rule)
  const gc = new GarbageCollector({ vlog: log, index })
  for (let pass = 0; pass < 2; pass++) expect(errnoOf(await gc.run().catch((error: unknown) => error))).toBe('ENOSPC')
  expect(log.files().map(({ fid }) => fid)).toEqual([highest])
  // What went left room.
  fs.clear()
  expect(await gc.run()).toMatchObject({ filesCollected: 1 })
  await log.close()
})
