/** Every operation of opening and filling gaps fails once: no handle stays open, what is alive stays, and only what leaves a doubt ends writing. */
import { WkError } from '@wk/codec'
import { FaultFileSystem, type FaultRule, type MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { SEED } from './support/bytes.js'
import { expectReadable, GONE, inFile, LEAST, LIVE, openGaps, planGaps, prepareFiles, recordOf } from './support/gap-log.js'
import { appendAll, DIR, failureOf, newMemory, openLog, type Kept } from './support/memory-log.js'

interface Faulty {
  memory: MemoryFileSystem
  fs: FaultFileSystem
  log: ValueLog
  kept: Kept[]
  random: () => number
}

async function prepareFaulty(): Promise<Faulty> {
  const memory = await newMemory()
  const fs = new FaultFileSystem(memory)
  return { memory, fs, ...(await prepareFiles(fs, SEED)) }
}

/** What is alive whatever comes. */
const ALIVE = (kept: readonly Kept[]): Kept[] => [...LIVE(kept), ...LIVE(kept, 2), ...inFile(kept, 3, 4)]

const plansOf = ({ log, kept }: Faulty): NonNullable<ReturnType<typeof planGaps>>[] => [1, 2].map((number) => planGaps(log, number, LIVE(kept, number), LEAST)!)

/** Opens the gaps of two files, fills them, and goes on behind them. */
async function fillAll(faulty: Faulty): Promise<Kept[]> {
  const { log, random } = faulty
  await log.gaps.open(plansOf(faulty))
  await log.seal()
  const added: Kept[] = []
  for (let i = 0; i < 8; i++) {
    added.push(...(await appendAll(log, [recordOf(random, 100 + i, 9000)])))
    if (i % 3 === 1) await log.sync()
  }
  await log.seal()
  await log.gaps.open(plansOf(faulty))
  added.push(...(await appendAll(log, [recordOf(random, 200, 9000)])))
  return added
}

/** Whether the log takes records still. */
async function isWritable({ log, random }: Faulty): Promise<boolean> {
  const failure = await failureOf(appendAll(log, [recordOf(random, 999, 5000)]).then(() => log.sync()))
  return failure === undefined
}

async function finish({ memory, log, kept }: Faulty, added: readonly Kept[] = []): Promise<void> {
  await log.close().catch((error: unknown) => expect(error).toBeInstanceOf(WkError))
  expect(memory.openFiles, 'open handles').toBe(0)
  const again = await openLog(memory.crashClone('P1'), { durable: { fid: 1, offset: 20 }, lock: false })
  expectReadable(again, [...ALIVE(kept), ...added])
  expect(await again.verify()).toMatchObject({ ok: true })
  await again.close()
}

describe('law 9: a failure in gaps', () => {
  test('closes a file, too, that was left for the next one before anything of it was written', async () => {
    const faulty = await prepareFaulty()
    const { memory, fs, log, kept, random } = faulty
    await log.gaps.open([...plansOf(faulty), planGaps(log, 3, LIVE(kept, 3), LEAST)!])
    await log.seal()
    const fids = new Set<number>()
    for (let i = 0; i < 7; i++) {
      const { key, version, value } = recordOf(random, 100 + i, 9000)
      const pointer = { fid: 0, offset: 0, len: 0 }
      log.stage(key, version, 0, 0, 0, value, pointer)
      fids.add(pointer.fid)
    }
    expect(fids.size, 'one is written, one takes records, one lies between').toBe(3)
    fs.add({ operation: 'write', path: '.vlog', errno: 'EIO' })
    await expect(log.writeStaged()).rejects.toMatchObject({ code: 'WK_IO' })
    await log.close().catch((error: unknown) => expect(error).toBeInstanceOf(WkError))
    expect(memory.openFiles).toBe(0)
  })

  test.each(['EIO', 'ENOSPC'])('%s at every operation of a filling', async (errno) => {
    const whole = await prepareFaulty()
    const start = whole.fs.opCount
    await fillAll(whole)
    const operations = whole.fs.opCount - start
    await finish(whole)
    expect(operations).toBeGreaterThan(50)
    let poisoned = 0
    for (let index = 0; index < operations; index++) {
      const faulty = await prepareFaulty()
      const { fs, log, kept } = faulty
      fs.add({ index, errno })
      const where = `operation ${index}; replay: WK_SEED=${SEED} npx vitest run packages/vlog/test/gap-files.fault.test.ts`
      const failure = await failureOf(fillAll(faulty))
      const { kind, path } = fs.injected[0]!
      fs.clear()
      const what = `${kind} ${path}, ${where}`
      if (failure !== undefined) expect((failure as WkError).code, what).toMatch(/^WK_(IO|READ_ONLY)$/)
      expectReadable(log, ALIVE(kept))
      const goesOn = await isWritable(faulty)
      if (!goesOn) poisoned++
      // Records that were lost, or of which nobody knows whether they are there.
      const mayPoison = kind === 'syncDir' || ((kind === 'open' || kind === 'write' || kind === 'sync' || kind === 'create' || kind === 'truncate') && !path.includes('runs'))
      if (!goesOn) expect(mayPoison, what).toBe(true)
      if ((kind === 'sync' || kind === 'write') && !path.includes('runs')) expect(goesOn, what).toBe(false)
      expectReadable(log, ALIVE(kept))
      await finish(faulty)
    }
    expect(poisoned).toBeGreaterThan(5)
  })

  test.each(['create', 'write', 'sync', 'close', 'rename'] as const)('a list that failed at its %s leaves the log as it was, and is written at the next attempt', async (operation) => {
    for (const index of [0, 1]) {
      const faulty = await prepareFaulty()
      const { memory, fs, log, kept, random } = faulty
      fs.add({ operation, path: '.runs', index })
      expect(await failureOf(log.gaps.open(plansOf(faulty)))).toMatchObject({ code: 'WK_IO' })
      fs.clear()
      expectReadable(log, inFile(kept, 1, 2, 3, 4))
      expect((await memory.list(DIR)).filter((name) => name.endsWith('.tmp'))).toEqual([])
      expect(log.gaps.bytes).toBe(0)
      expect(log.physicalFiles().map(({ logical }) => logical)).toEqual([[1], [2], [3], [4]])
      // Only the handles of what is read and written.
      const open = memory.openFiles
      await log.gaps.open(plansOf(faulty))
      expect(memory.openFiles, 'they are opened when their turn comes').toBe(open)
      await log.seal()
      const added = await appendAll(log, [recordOf(random, 100, 9000), recordOf(random, 101, 9000)])
      expect(log.appended.bytesInGaps).toBeGreaterThan(18_000)
      expectReadable(log, added, [...GONE(kept), ...GONE(kept, 2)])
      await finish(faulty, added)
    }
  })

  test.each(['open', 'usage'] as const)('a file that cannot be looked at (%s) has no gaps, and leaves no handle', async (operation) => {
    for (const index of [0, 1]) {
      const faulty = await prepareFaulty()
      const { memory, fs, log, kept } = faulty
      const open = memory.openFiles
      const rule: FaultRule = { operation, path: '.vlog', index, errno: 'EMFILE' }
      fs.add(rule)
      expect(await failureOf(log.gaps.open(plansOf(faulty)))).toMatchObject({ code: 'WK_IO' })
      fs.clear()
      expect(memory.openFiles).toBe(open)
      expectReadable(log, inFile(kept, 1, 2, 3, 4))
      await openGaps(log, 1, LIVE(kept), LEAST)
      await finish(faulty)
    }
  })

  test('a failed sync of names ends writing: whether the lists are there nobody knows', async () => {
    const faulty = await prepareFaulty()
    const { fs, log, kept } = faulty
    fs.add({ operation: 'syncDir' })
    expect(await failureOf(log.gaps.open(plansOf(faulty)))).toMatchObject({ code: 'WK_IO' })
    fs.clear()
    expect(await isWritable(faulty)).toBe(false)
    expectReadable(log, inFile(kept, 1, 2, 3, 4))
    await finish(faulty)
  })

  test('a failed sync of a file with gaps ends writing; what was read is read on', async () => {
    const faulty = await prepareFaulty()
    const { fs, log, kept, random } = faulty
    await log.gaps.open(plansOf(faulty))
    await log.seal()
    const added = await appendAll(log, [recordOf(random, 100, 9000)])
    fs.add({ operation: 'sync', path: '000001.vlog', thenLie: true })
    expect(await failureOf(log.sync())).toMatchObject({ code: 'WK_IO' })
    expect(await failureOf(log.sync())).toMatchObject({ code: 'WK_READ_ONLY' })
    expect(log.syncedPosition().fid).toBeLessThanOrEqual(added[0]!.pointer.fid)
    expect(log.syncedPosition().offset, 'nothing of it counts as durable').toBeLessThanOrEqual(20)
    expect(await isWritable(faulty)).toBe(false)
    expectReadable(log, [...ALIVE(kept), ...added])
    await finish(faulty)
  })

  test.each([0, 1, 2])('a file made ahead whose handle cannot be closed (%i) when its turn has passed stops nothing', async (index) => {
    const memory = await newMemory()
    const fs = new FaultFileSystem(memory)
    const { log, kept, random } = await prepareFiles(fs, SEED, { prepareAhead: 400_000, maxEntries: 1_000_000 })
    const live = kept.filter((_, i) => i % 6 === 3)
    await log.seal()
    const more = await appendAll(log, [recordOf(random, 50, 500_000), recordOf(random, 51, 200_000), recordOf(random, 52, 9000)])
    await log.sync()
    const ahead = (await memory.list(DIR)).filter((name) => name > '000002.vlog')
    expect(ahead.length).toBeGreaterThan(2)
    await openGaps(log, 1, live, LEAST)
    fs.add({ operation: 'close', path: new RegExp(ahead.join('|')), index })
    await log.seal()
    const added = await appendAll(log, [recordOf(random, 100, 9000)])
    expect(log.appended.bytesInGaps).toBeGreaterThan(0)
    await log.seal()
    added.push(...(await appendAll(log, [recordOf(random, 101, 9000)])))
    await log.sync()
    expect(fs.injected).toHaveLength(1)
    await log.removeStrays()
    expect((await memory.list(DIR)).filter((name) => ahead.includes(name))).toEqual([])
    await log.close()
    expect(memory.openFiles).toBe(0)
    const again = await openLog(memory, { durable: { fid: 1, offset: 20 }, lock: false })
    expectReadable(again, [...live, ...more, ...added])
    await again.close()
  })
})
