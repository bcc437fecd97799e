/** What survived a collection, in files of its own: beside fresh records, across crashes, failures and closes. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReadOnlyError } from '@wk/codec'
import { FaultFileSystem, type MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { ValueLog } from '../src/index.js'
import { decodeState } from '../src/state-file.js'
import { mulberry, SEED } from './support/bytes.js'
import { DIR, collect, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

const random = mulberry(SEED)

async function append(log: ValueLog, count: number, survivors: boolean): Promise<Kept[]> {
  const group = Array.from({ length: count }, () => entryOf(random, 300))
  const pointers = await log.append(group, { survivors })
  return group.map((entry, i) => ({ entry, pointer: pointers[i]! }))
}

const fidsOf = (kept: readonly Kept[]): number[] => [...new Set(kept.map(({ pointer }) => pointer.fid))]
const nameOf = (fid: number): string => `${String(fid).padStart(6, '0')}.vlog`
const marked = (fs: MemoryFileSystem): number[] => decodeState(readFile(fs, 'VLOGSTATE')).survivors

function expectAll(log: ValueLog, kept: readonly Kept[]): void {
  for (const { entry, pointer } of kept) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
}

/** Some fresh records and some survivors by turns. */
async function mixed(log: ValueLog, rounds = 30): Promise<{ fresh: Kept[]; survivors: Kept[] }> {
  const fresh: Kept[] = []
  const survivors: Kept[] = []
  for (let round = 0; round < rounds; round++) {
    const [one, other] = await Promise.all([append(log, 2, false), append(log, 3, true)])
    fresh.push(...one)
    survivors.push(...other)
  }
  return { fresh, survivors }
}

test('never share a file with fresh records, fill theirs, and are read, walked and sealed like any', async () => {
  const fs = await newMemory()
  const log = await openLog(fs)
  const { fresh, survivors } = await mixed(log)
  expect(fidsOf(fresh).length).toBeGreaterThan(2)
  expect(fidsOf(survivors).length).toBeGreaterThan(2)
  expect(fidsOf(fresh).filter((fid) => fidsOf(survivors).includes(fid))).toEqual([])
  // One file of each kind takes records.
  expect(log.files().filter(({ sealed }) => !sealed).map(({ fid }) => fid).sort()).toEqual([fidsOf(fresh).at(-1), fidsOf(survivors).at(-1)].sort())
  expect(marked(fs).at(-1)).toBe(fidsOf(survivors).at(-1))
  expectAll(log, [...fresh, ...survivors])
  const walked = await collect(log.iterate(survivors[0]!.pointer.fid))
  expect(walked.map(({ pointer }) => pointer)).toEqual(survivors.filter(({ pointer }) => pointer.fid === survivors[0]!.pointer.fid).map(({ pointer }) => pointer))
  await log.seal()
  expect(log.files().every(({ sealed }) => sealed)).toBe(true)
  expect((await log.verify()).ok).toBe(true)
  await log.close()
  expect(marked(fs)).toEqual([])
  const again = await openLog(fs)
  expectAll(again, [...fresh, ...survivors])
  expect((await append(again, 1, true))[0]!.pointer.fid).toBeGreaterThan(Math.max(...fidsOf(fresh), ...fidsOf(survivors)))
  await again.close()
})

test('a host with durable marks has one sequence of files', async () => {
  const log = await openLog(await newMemory(), { durable: null, lock: false })
  const { fresh, survivors } = await mixed(log, 3)
  expect(fidsOf(survivors)).toEqual(fidsOf(fresh))
  await log.close()
})

test.each([0, 7, 25, 60])('law 6: their last file is torn after %i bytes, and is not the newest: it is cut; and never again', async (left) => {
  const fs = await newMemory()
  const log = await openLog(fs)
  const survivors = await append(log, 3, true)
  const fresh = await append(log, 40, false)
  await log.sync()
  await append(log, 1, false)
  expect(fidsOf(survivors)[0]).toBeLessThan(fidsOf(fresh).at(-1)!)
  const image = fs.crashClone('P0')
  const { fid, offset, len } = survivors.at(-1)!.pointer
  const whole = readFile(image, nameOf(fid)).slice(0, offset + len)
  await placeFile(image, nameOf(fid), whole.slice(0, left))
  const again = await openLog(image)
  expectAll(again, fresh)
  expect((await again.verify()).ok).toBe(true)
  expect(marked(image)).toEqual([])
  const more = await append(again, 1, false)
  await again.sync()
  // What was sealed by then is whole: now the same is damage, and stays.
  const second = image.crashClone('P0')
  await placeFile(second, nameOf(fid), whole.slice(0, offset + 10))
  const third = await openLog(second)
  expectAll(third, more)
  expect((await third.verify()).ok).toBe(false)
  expect(readFile(second, nameOf(fid)).length).toBe(offset + 10)
  await Promise.all([third, again, log].map((one) => one.close()))
})

test('law 6: a record that does not verify before others in their last file is damage, and nothing is cut', async () => {
  const fs = await newMemory()
  const log = await openLog(fs)
  const [first] = await append(log, 5, true)
  await append(log, 5, false)
  await log.sync()
  const image = fs.crashClone('P1')
  const { fid, offset } = first!.pointer
  const bytes = readFile(image, nameOf(fid))
  bytes[offset + 8]! ^= 0x40
  await placeFile(image, nameOf(fid), bytes)
  expect(await failureOf(openLog(image))).toMatchObject({ code: 'WK_CORRUPTION', file: nameOf(fid), offset })
  expect(readFile(image, nameOf(fid))).toEqual(bytes)
  await log.close()
})

test.each([true, false])('law 9: a write that fails, of survivors: %s, ends writing in both', async (survivors) => {
  for (const length of [100, 2_000_000]) {
    const fs = new FaultFileSystem(await newMemory())
    const log = await openLog(fs)
    const before = await mixed(log, 2)
    fs.add({ operation: 'write' })
    const failing = log.append([{ key: 'k', value: new Uint8Array(length) }], { survivors })
    const failure = await failureOf(failing)
    expect(failure).toMatchObject({ code: 'WK_IO' })
    fs.clear()
    for (const apart of [true, false]) {
      const refused = await failureOf(log.append([{ key: 'k', value: 'v' }], { survivors: apart }))
      expect(refused).toBeInstanceOf(ReadOnlyError)
      expect((refused as ReadOnlyError).cause).toBe(failure)
    }
    expect(await failureOf(log.sync())).toBeInstanceOf(ReadOnlyError)
    expectAll(log, [...before.fresh, ...before.survivors])
    await log.close()
    const again = await openLog(fs)
    expectAll(again, [...before.fresh, ...before.survivors])
    await again.close()
  }
})

test('law 11: one with the highest number goes although fresh records are taken by an older file', async () => {
  const fs = await newMemory()
  const log = await openLog(fs)
  const [fresh] = await append(log, 1, false)
  const survivors = await append(log, 40, true)
  const [last] = fidsOf(survivors).slice(-1)
  const more = await append(log, 30, true)
  const high = fidsOf(more).at(-1)!
  expect(high).toBeGreaterThan(last!)
  while (log.files().find(({ fid }) => fid === high)?.sealed !== true) await append(log, 3, true)
  await log.sync()
  expect(log.files().find(({ fid }) => fid === fresh!.pointer.fid)?.sealed).toBe(false)
  for (const { fid, sealed } of log.files()) if (sealed) await log.retire(fid)
  expect((await fs.list(DIR)).filter((name) => name.endsWith('.vlog')).length).toBeLessThanOrEqual(3)
  expect(await fs.list(DIR)).not.toContain(nameOf(high))
  expectAll(log, [fresh!])
  const [later] = await append(log, 1, true)
  expect(later!.pointer.fid).toBeGreaterThan(high)
  await log.close()
})

test('encrypted: files of both kinds that begin in one turn have keys that are kept', async () => {
  const fs = await newMemory()
  const options = { encryptionKey: new Uint8Array(32).fill(7), encryptionKeyRotationDuration: 1e-9 }
  const log = await openLog(fs, options)
  const { fresh, survivors } = await mixed(log, 20)
  expect(fidsOf([...fresh, ...survivors]).length).toBeGreaterThan(4)
  await log.sync()
  const again = await openLog(fs.crashClone('P0'), options)
  expectAll(again, [...fresh, ...survivors])
  expect((await again.verify()).ok).toBe(true)
  await Promise.all([log.close(), again.close()])
})

test.each([false, true])('closing one sequence leaves the files of the other alone (survivors before: %s)', async (isAfterSurvivors) => {
  // Of the real file system: there a write takes longer than the close of a sequence without records.
  const dir = await mkdtemp(join(tmpdir(), 'wk-vlog-survivors-'))
  try {
    const log = await ValueLog.open(dir)
    await append(log, 2, false)
    if (isAfterSurvivors) await append(log, 2, true)
    const pointer = { fid: 0, offset: 0, len: 0 }
    // Still in memory: the close has to write it.
    log.stage(Buffer.from('k'), 0, 0, 0, 0, Buffer.from('staged'), pointer)
    log.endGroup()
    await log.close()
    const again = await ValueLog.open(dir)
    expect(Buffer.from(again.readSync(pointer).value).toString()).toBe('staged')
    await again.close()
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
