/** Crashes before every operation of a log whose gaps are filled: what was synced reads back, what lies beside gaps is never touched, no number comes back. */
import { CorruptionError } from '@wk/codec'
import { CRASH_POLICIES, type CrashPolicy, type MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { RUNS, SEED } from './support/bytes.js'
import { GapDriver, type GapDriverOptions } from './support/gap-driver.js'
import { lineOf, newMemory, openLog, type Kept } from './support/memory-log.js'

/** What a host knew at a moment. */
interface Image {
  readonly fs: MemoryFileSystem
  readonly policy: CrashPolicy
  readonly where: string
  /** Alive, with the operating system. */
  readonly written: readonly Kept[]
  /** All that pointers were ever given out for, dead ones and those still in memory included. */
  readonly all: readonly Kept[]
  readonly synced: { fid: number; offset: number }
}

/** Records of a driver's life, and the crashes in it. */
class Explorer {
  readonly images: Image[] = []
  readonly #driver: GapDriver
  readonly #fs: MemoryFileSystem
  readonly #stride: number

  constructor(driver: GapDriver, fs: MemoryFileSystem, stride: number) {
    this.#driver = driver
    this.#fs = fs
    this.#stride = stride
  }

  start(): void {
    this.#fs.onMutatingOperation = (index, { kind, path }) => {
      const { live, dead, synced } = this.#driver
      for (const [nth, policy] of CRASH_POLICIES.entries()) {
        // Names and lists are what it is about; of the others some are left out.
        if (kind !== 'syncDir' && !path.includes('runs') && (index + nth) % this.#stride !== 0) continue
        const { fid, offset } = this.#driver.log.writtenPosition()
        const written = live.filter(({ pointer }) => pointer.fid < fid || (pointer.fid === fid && pointer.offset + pointer.len <= offset))
        const copy = (kept: readonly Kept[]): Kept[] => kept.map((one) => ({ ...one }))
        this.images.push({ fs: this.#fs.crashClone(policy, SEED + index), policy, where: `${policy} before ${index}: ${kind} ${path}; replay: WK_SEED=${SEED} npx vitest run packages/vlog/test/gap-files.crash.test.ts`, written: copy(written), all: copy([...live, ...dead]), synced })
      }
    }
  }

  stop(): void {
    this.#fs.onMutatingOperation = undefined
  }
}

function isThere(log: ValueLog, { entry, pointer }: Kept): boolean {
  try {
    expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
    return true
  } catch (error) {
    if (error instanceof CorruptionError) return false
    throw error
  }
}

/** Opens an image, crashes, and opens it again; then it goes on. */
async function judge({ fs, policy, where, written, all, synced }: Image): Promise<void> {
  const isCovered = ({ pointer }: Kept): boolean => pointer.fid < synced.fid || (pointer.fid === synced.fid && pointer.offset + pointer.len <= synced.offset)
  const must = policy === 'P1' ? written : written.filter(isCovered)
  const promised = Math.max(0, ...all.filter(isCovered).map(({ entry }) => entry.version))
  let before: string[] | undefined
  let place = fs
  for (let round = 0; round < 2; round++) {
    const log = await openLog(place, { durable: synced, lock: false, expectedFids: new Set(must.map(({ pointer }) => pointer.fid)) }).catch((error: unknown) => {
      throw new Error(`open failed, ${where}`, { cause: error })
    })
    for (const one of must) expect(isThere(log, one), `${JSON.stringify(one.pointer)} lost, ${where}`).toBe(true)
    const there = all.filter((one) => isThere(log, one))
    // What lies in gaps the host's own log tells of, which was written before.
    const inGaps = new Set(log.files().filter(({ fid, physical }) => fid > physical).map(({ fid }) => fid))
    for (const { entry, pointer } of there) if (!inGaps.has(pointer.fid)) expect(entry.version, `version of ${JSON.stringify(pointer)}, ${where}`).toBeLessThanOrEqual(Math.max(promised, log.maxVersion))
    expect(await log.verify(), where).toMatchObject({ ok: true })
    const seen = there.map(({ pointer }) => JSON.stringify(pointer))
    if (before !== undefined) expect(seen, where).toEqual(before)
    before = seen
    if (round === 1) {
      const [pointer] = await log.append([{ key: 'new', value: 'value' }], { sync: true })
      // Of a file that nothing survived of the host may never have been told.
      const highest = Math.max(0, ...[...must, ...there].map((one) => one.pointer.fid))
      expect(pointer!.fid, `a number came back, ${where}`).toBeGreaterThan(highest)
      expect(pointer!.fid, `a number came back, ${where}`).toBeGreaterThanOrEqual(synced.fid)
      for (const one of must) expect(isThere(log, one), `${JSON.stringify(one.pointer)} lost, ${where}`).toBe(true)
      await log.close()
    }
    // A crash again: no clean close in between.
    place = place.crashClone('P0')
  }
}

const OPTIONS: GapDriverOptions = { least: 300, fileSize: 6000, maxEntries: 1000 }

async function explore(options: GapDriverOptions, seed: number, stride: number, life: (driver: GapDriver) => Promise<void>): Promise<{ images: number; filled: number }> {
  const fs = await newMemory()
  const driver = new GapDriver(fs, seed, options)
  const explorer = new Explorer(driver, fs, stride)
  await driver.open()
  explorer.start()
  await life(driver)
  explorer.stop()
  await driver.checkAll()
  await driver.close()
  for (const image of explorer.images) await judge(image)
  return { images: explorer.images.length, filled: driver.filled }
}

test('append, seal, fill, sync, fill again, drop', async () => {
  const { images, filled } = await explore(OPTIONS, SEED, 3, async (driver) => {
    for (let group = 0; group < 6; group++) await driver.append(6, 900)
    await driver.seal()
    driver.kill(0.6)
    await driver.fill(1)
    for (let group = 0; group < 5; group++) await driver.append(3, 600)
    await driver.sync()
    await driver.append(3, 600)
    // What lies in gaps dies, too, and they are filled once more.
    driver.kill(0.5)
    await driver.seal()
    await driver.fill(1)
    for (let group = 0; group < 5; group++) await driver.append(3, 600, true, group === 2)
    driver.kill(0.9)
    await driver.seal()
    await driver.drop()
    await driver.append(3, 600, true, true)
  })
  expect(images).toBeGreaterThan(150)
  expect(filled).toBeGreaterThan(8000)
})

test('with files made ahead, full ones that wait, and appends beside the opening of gaps', async () => {
  const { filled } = await explore({ ...OPTIONS, prepareAhead: 2500, waiting: 12_000 }, SEED + 1, 11, async (driver) => {
    for (let group = 0; group < 8; group++) await driver.append(6, 900)
    await driver.sync()
    for (let round = 0; round < 3; round++) {
      driver.kill(0.6)
      await driver.fill(1, 4)
      for (let group = 0; group < 6; group++) await driver.append(4, 700, true, group % 3 === 1)
      await driver.seal()
    }
    await driver.drop()
    await driver.append(3, 600, true, true)
  })
  expect(filled).toBeGreaterThan(8000)
})

test('records with files of their own among files with gaps, made ahead or not', async () => {
  for (const [prepareAhead, stride] of [[2500, 11], [1, 13]] as const) {
    const { filled } = await explore({ ...OPTIONS, prepareAhead, waiting: 12_000, alone: 1200 }, SEED + 4, stride, async (driver) => {
      for (let group = 0; group < 6; group++) await driver.append(6, 1600, true, group === 3)
      await driver.seal()
      for (let round = 0; round < 2; round++) {
        driver.kill(0.6)
        await driver.fill(1, 2)
        for (let group = 0; group < 6; group++) await driver.append(5, group % 3 === 2 ? 1600 : 600, true, group === 4)
        await driver.seal()
      }
      driver.kill(0.5)
      await driver.drop()
      await driver.append(3, 1600, true, true)
    })
    expect(filled).toBeGreaterThan(4000)
  }
})

test('relocations and holes among files with gaps', async () => {
  const { filled } = await explore({ ...OPTIONS, fileSize: 40_000 }, SEED + 2, 9, async (driver) => {
    for (let group = 0; group < 8; group++) await driver.append(5, 5000)
    await driver.seal()
    driver.kill(0.5)
    await driver.fill(1)
    for (let group = 0; group < 5; group++) await driver.append(5, 3000)
    await driver.seal()
    driver.kill(0.5)
    await driver.relocate(0.4)
    await driver.punch(0.3)
    await driver.fill(1)
    for (let group = 0; group < 5; group++) await driver.append(4, 2000, true, group === 1)
    driver.kill(0.8)
    await driver.seal()
    await driver.relocate(0.6)
    await driver.drop()
    await driver.append(3, 600, true, true)
  })
  expect(filled).toBeGreaterThan(8000)
})

test('lives at random', async () => {
  let filled = 0
  for (let life = 0; life < 2 * RUNS; life++) {
    const given = { ...OPTIONS, fileSize: [4096, 10_000, 30_000][life % 3]!, ...(life % 2 === 0 ? {} : { prepareAhead: 2000, waiting: 9000 }) }
    const explored = await explore(given, SEED * 1000 + life, 13, async (driver) => {
      await driver.append(12, 1500)
      await driver.sync()
      for (let step = 0; step < 22; step++) {
        const dice = driver.below(12)
        if (dice < 5) await driver.append(1 + driver.below(6), 1500, true, dice === 0)
        else if (dice === 5) await driver.sync()
        else if (dice < 8) {
          driver.kill(0.6)
          await driver.seal()
          await driver.fill(1, driver.below(2) * 3)
        } else if (dice === 8) await driver.relocate(0.3)
        else if (dice === 9) await driver.drop()
        else if (dice === 10) await driver.punch(0.2)
        else await driver.stage([driver.below(900), driver.below(900)], 'async')
      }
    })
    filled += explored.filled
  }
  expect(filled).toBeGreaterThan(10_000)
})
