/** A log that stands alone on a disk without room: dead files go all the same, and what cannot be remembered changes nothing. */
import { IoError, errnoOf } from '@wk/codec'
import { FaultFileSystem, type CrashPolicy, type MemoryFileSystem, type OperationKind } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { decodeState } from '../src/state-file.js'
import { mulberry, SEED } from './support/bytes.js'
import { DIR, appendAll, entryOf, failureOf, lineOf, newMemory, openLog, readFile, type Kept } from './support/memory-log.js'

const POLICIES: readonly CrashPolicy[] = ['P0', 'P1', 'P2', 'P3', 'P4', 'P5']

interface Prepared {
  memory: MemoryFileSystem
  fs: FaultFileSystem
  log: ValueLog
  kept: Kept[]
}

/** Four files of six records, closed cleanly and opened again. */
async function prepare(): Promise<Prepared> {
  const memory = await newMemory()
  const fs = new FaultFileSystem(memory)
  const random = mulberry(SEED)
  const options = { maxEntries: 5, fileSize: 1 << 20 }
  const first = await openLog(fs, options)
  const kept = await appendAll(first, Array.from({ length: 24 }, () => entryOf(random, 100)), 1)
  first.discard(kept[0]!.pointer)
  await first.close()
  return { memory, fs, log: await openLog(fs, options), kept }
}

const fill = (fs: FaultFileSystem, operation: OperationKind, errno = 'ENOSPC'): void => fs.add({ operation, errno, times: Number.POSITIVE_INFINITY })

function expectReadable(log: ValueLog, kept: readonly Kept[], gone: ReadonlySet<number> = new Set()): void {
  for (const { entry, pointer } of kept) if (!gone.has(pointer.fid)) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
}

describe.each(['write', 'create', 'sync'] as const)('there is no room to %s', (operation) => {
  test('dead files go, and the log goes on when there is room again', async () => {
    const { fs, log, kept } = await prepare()
    fill(fs, operation)
    expect(await log.retire(1)).toBeGreaterThan(0)
    expect(await log.retire(2)).toBeGreaterThan(0)
    expect((await fs.list(DIR)).filter((name) => name.endsWith('.vlog'))).toEqual(['000003.vlog', '000004.vlog'])
    expect(await fs.list(DIR)).not.toContain('VLOGSTATE.tmp')
    fs.clear()
    await log.append([{ key: 'k', value: 'v' }], { sync: true })
    await log.retire(3)
    expect(decodeState(readFile(fs, 'VLOGSTATE'))).toMatchObject({ retired: [3], discarded: [] })
    expectReadable(log, kept, new Set([1, 2, 3]))
    await log.close()
  })

  test('one that is pinned, or bears the highest number, stays; a later try succeeds', async () => {
    const { fs, log, kept } = await prepare()
    await log.seal()
    const highest = log.files().at(-1)!.fid
    fill(fs, operation)
    log.pin(1)
    for (const fid of [1, highest]) {
      const failure = await failureOf(log.retire(fid))
      expect(failure).toBeInstanceOf(IoError)
      expect(errnoOf(failure)).toBe('ENOSPC')
      expect(log.files().find((file) => file.fid === fid)).toMatchObject({ retired: false })
    }
    expectReadable(log, kept)
    expect(log.files()[0]!.discardBytes).toBe(kept[0]!.pointer.len)
    fs.clear()
    expect(decodeState(readFile(fs, 'VLOGSTATE')).retired).toEqual([])
    for (const fid of [1, highest]) await log.retire(fid)
    log.unpin(1)
    expect(log.hasFile(highest)).toBe(false)
    await log.close()
  })
})

test.each(POLICIES)('every crash on the way leaves a log that opens, with what is alive, and no number comes back (%s)', async (policy) => {
  const { memory, fs, log, kept } = await prepare()
  fill(fs, 'write')
  const images: MemoryFileSystem[] = []
  memory.onMutatingOperation = (index) => void images.push(memory.crashClone(policy, index))
  await log.retire(1)
  await log.retire(2)
  const ends = memory.crashClone(policy)
  memory.onMutatingOperation = undefined
  expect(images.length).toBeGreaterThan(4)
  for (const image of [...images, ends]) {
    const again = await openLog(image)
    const gone = new Set([1, 2].filter((fid) => !again.hasFile(fid)))
    expectReadable(again, kept, gone)
    if (image === ends) expect(gone.size).toBe(2)
    for (const fid of [1, 2]) if (again.hasFile(fid)) await again.retire(fid)
    const [pointer] = await again.append([{ key: 'k', value: 'v' }])
    expect(pointer!.fid).toBeGreaterThan(4)
    await again.close()
  }
  await log.close().catch(() => undefined)
})

test('another failure to write a mark leaves the file, and a log that can be written', async () => {
  const { fs, log, kept } = await prepare()
  for (const operation of ['create', 'write'] as const) {
    fs.add({ operation, path: 'VLOGSTATE.tmp', errno: 'EIO' })
    expect(errnoOf(await failureOf(log.retire(1)))).toBe('EIO')
    expect(await fs.list(DIR)).not.toContain('VLOGSTATE.tmp')
    expectReadable(log, kept)
  }
  await log.append([{ key: 'k', value: 'v' }], { sync: true })
  expect(await log.retire(1)).toBeGreaterThan(0)
  await log.close()
})

test.each(['sync', 'rename'] as const)('a failed %s of the marks ends writing, and no file goes', async (operation) => {
  const { fs, log, kept } = await prepare()
  fs.add({ operation, path: 'VLOGSTATE' })
  expect(await failureOf(log.retire(1))).toMatchObject({ code: 'WK_IO' })
  expect(await failureOf(log.append([{ key: 'k', value: 'v' }]))).toMatchObject({ code: 'WK_READ_ONLY' })
  expectReadable(log, kept)
  await log.close()
})

test('a directory that cannot be synced: the call rejects, and a crash that brings the file back does no harm', async () => {
  const { memory, fs, log, kept } = await prepare()
  fill(fs, 'write')
  fs.add({ operation: 'syncDir', errno: 'EIO' })
  expect(errnoOf(await failureOf(log.retire(1)))).toBe('EIO')
  const crashed = await openLog(memory.crashClone('P0'))
  expect(crashed.hasFile(1)).toBe(true)
  expectReadable(crashed, kept)
  await crashed.close()
  await log.close().catch(() => undefined)
})
