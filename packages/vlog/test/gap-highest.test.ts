/** Law 11: a number is on disk until a higher one is, also where only the list of a file in gaps tells of it. */
import type { MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { expectReadable, fill, gapFileOf, inFile, LEAST, LIVE, prepare, rangesOf, recordOf, type Prepared } from './support/gap-log.js'
import { appendAll, DIR, openLog } from './support/memory-log.js'

describe('law 11: the highest number stays while a file in gaps bears it', () => {
  const highestIn = async (fs: MemoryFileSystem): Promise<number> => {
    const image = fs.crashClone('P1')
    const log = await openLog(image, { durable: null, lock: false })
    const [one] = await appendAll(log, [recordOf(Math.random, 1, 10)])
    await log.close()
    return one!.pointer.fid - 1
  }

  /** A log with a record in gaps of its first file; `fid` is the number of the file that lies there. */
  const filled = async (): Promise<Prepared & { fid: number }> => {
    const prepared = await prepare()
    await fill(prepared, 1)
    await prepared.put(9000)
    return { ...prepared, fid: gapFileOf(prepared.log, 1) }
  }

  test('when all in it was moved or dropped', async () => {
    const { fs, log, kept, put, fid } = await filled()
    await log.seal()
    expect(await highestIn(fs)).toBe(fid)
    const names: number[] = []
    fs.onMutatingOperation = (_, { kind, path }) => void (kind === 'remove' && path.endsWith('log') && names.push(Number(path.slice(-11, -5))))
    await log.dropLogical([fid])
    expect(await highestIn(fs)).toBeGreaterThanOrEqual(fid)
    await log.dropLogical([1])
    fs.onMutatingOperation = undefined
    expect(names).toEqual([1])
    expect(await highestIn(fs)).toBeGreaterThanOrEqual(fid)
    expectReadable(log, inFile(kept, 2, 3, 4))
    expect((await put(9000)).pointer.fid).toBeGreaterThan(fid)
    await log.close()
  })

  test('when holes are made where it lay', async () => {
    const { fs, log, kept, put, fid } = await filled()
    await log.seal()
    const plan = log.holes.plan(1, rangesOf(LIVE(kept)), LEAST)
    if (plan !== undefined) await log.holes.punch([plan])
    expect(await highestIn(fs)).toBeGreaterThanOrEqual(fid)
    // Once there is a higher one there is nothing in the way.
    await put(9000)
    if (plan === undefined) expect(await log.holes.punch([log.holes.plan(1, rangesOf(LIVE(kept)), LEAST)!])).toHaveLength(1)
    expect(await highestIn(fs)).toBe(fid + 1)
    await log.close()
  })

  test('when it was retired in a log that stands alone', async () => {
    const { fs, log, kept, fid } = await filled()
    await log.close()
    const alone = await openLog(fs, { lock: false })
    // Retired, and killed before anything was unlinked.
    for (const one of [1, fid]) alone.pin(one)
    for (const one of [1, fid]) await alone.retire(one)
    const killed = fs.crashClone('P1')
    await alone.close()
    for (let opening = 0; opening < 2; opening++) {
      const again = await openLog(killed, { lock: false })
      expectReadable(again, inFile(kept, 2, 3, 4))
      await again.close()
    }
    // The log's own marks are gone, as those of a salvaged one.
    await killed.remove(`${DIR}/VLOGSTATE`)
    expect(await highestIn(killed)).toBeGreaterThanOrEqual(fid)
  })
})
