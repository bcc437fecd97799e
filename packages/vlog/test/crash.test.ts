import { CorruptionError } from '@wk/codec'
import { MemoryFileSystem, type CrashPolicy } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { ValueLog, type ValuePointer } from '../src/index.js'
import { mulberry, SEED } from './support/bytes.js'
import { collect, entryOf, lineOf, newMemory, openLog, type Kept } from './support/memory-log.js'

const POLICIES: readonly CrashPolicy[] = ['P0', 'P1', 'P2', 'P3', 'P4', 'P5']

/** What a host knows at a moment: which records were promised, and which are gone on purpose. */
interface Promises {
  /** Acknowledged with sync, or covered by a later sync. */
  durable: Kept[]
  /** Handed to the operating system. */
  written: Kept[]
  /** Files given up: their records may be there or not. */
  retired: Set<number>
  /** Highest file number that a pointer was ever given out for. */
  highestFid: number
  syncedPosition: { fid: number; offset: number }
}

interface CrashImage {
  index: number
  operation: string
  policy: CrashPolicy
  fs: MemoryFileSystem
  promises: Promises
}

class Host {
  readonly promises: Promises = { durable: [], written: [], retired: new Set(), highestFid: 0, syncedPosition: { fid: 0, offset: 0 } }
  readonly images: CrashImage[] = []
  readonly fs: MemoryFileSystem
  readonly #random = mulberry(SEED)

  constructor(fs: MemoryFileSystem, policies: readonly CrashPolicy[]) {
    this.fs = fs
    fs.onMutatingOperation = (index, { kind, path }) => {
      for (const policy of policies) {
        const { durable, written, retired, highestFid, syncedPosition } = this.promises
        const promises = { durable: [...durable], written: [...written], retired: new Set(retired), highestFid, syncedPosition }
        this.images.push({ index, operation: `${kind} ${path}`, policy, fs: fs.crashClone(policy, SEED + index), promises })
      }
    }
  }

  async append(log: ValueLog, count: number, sync: boolean, maxValue = 700, survivors = false): Promise<void> {
    const group = Array.from({ length: count }, () => entryOf(this.#random, maxValue))
    const pointers = await log.append(group, { sync, survivors })
    group.forEach((entry, i) => this.promises.written.push({ entry, pointer: pointers[i]! }))
    this.promises.highestFid = Math.max(this.promises.highestFid, ...pointers.map(({ fid }) => fid))
    // Of the sequence that it went to.
    if (sync && !survivors) this.noteSynced(log)
  }

  noteSynced(log: ValueLog): void {
    this.promises.durable = [...this.promises.written]
    this.promises.syncedPosition = log.syncedPosition()
  }

  stop(): void {
    this.fs.onMutatingOperation = undefined
  }
}

function isThere(log: ValueLog, { entry, pointer }: Kept): boolean {
  try {
    return lineOf(log.readSync(pointer)) === lineOf(entry)
  } catch (error) {
    if (error instanceof CorruptionError) return false
    throw error
  }
}

/** Opens an image twice and checks every promise. */
async function judge({ fs, policy, promises, operation, index }: CrashImage, durable?: ValuePointer | null): Promise<void> {
  const where = `${policy} before ${index}: ${operation}; replay: WK_SEED=${SEED}`
  const options = durable === undefined ? {} : { durable }
  const must = policy === 'P1' ? promises.written : promises.durable
  let before: string[] | undefined
  for (let round = 0; round < 2; round++) {
    const log = await openLog(fs, options).catch(async (error: unknown) => {
      // Sectors that a power cut kept behind lost ones look like damage to a log without a promise: it refuses, changes nothing,
      // and opens with the promise.
      const { syncedPosition } = promises
      const isReordered = durable === undefined && (policy === 'P3' || policy === 'P4') && error instanceof CorruptionError
      if (!isReordered) throw new Error(`open failed, ${where}`, { cause: error })
      expect(error.offset, where).toBeGreaterThanOrEqual(error.file === `00000${syncedPosition.fid}.vlog` ? syncedPosition.offset : 0)
      return openLog(fs, { durable: syncedPosition })
    })
    for (const one of must) {
      if (!promises.retired.has(one.pointer.fid)) expect(isThere(log, one), `${JSON.stringify(one.pointer)} lost, ${where}`).toBe(true)
    }
    if (durable === undefined) expect(await log.verify(), where).toMatchObject({ ok: true })
    const seen = promises.written.filter((one) => isThere(log, one)).map(({ pointer }) => JSON.stringify(pointer))
    if (before !== undefined) expect(seen, where).toEqual(before)
    before = seen
    if (round === 1) {
      const [pointer] = await log.append([{ key: 'new', value: 'value' }], { sync: true })
      expect(pointer!.fid, `a number came back, ${where}`).toBeGreaterThan(Math.max(0, ...must.map((one) => one.pointer.fid)))
      expect(log.readSync(pointer!).value).toEqual(new TextEncoder().encode('value'))
    }
    // A crash again: no clean close in between.
    fs = fs.crashClone('P0')
  }
}

describe('crash before every mutating operation', () => {
  test('appending, rotating, sealing: what was promised survives, open works, twice', async () => {
    const fs = await newMemory()
    const host = new Host(fs, POLICIES)
    const log = await openLog(fs, { fileSize: 4096 })
    for (let i = 0; i < 30; i++) {
      await host.append(log, 1 + (i % 4), i % 5 === 2)
      if (i % 11 === 7) {
        await log.sync()
        host.noteSynced(log)
      }
      if (i === 20) {
        await log.seal()
        host.noteSynced(log)
      }
    }
    await log.close()
    host.noteSynced(log)
    const reopened = await openLog(fs, { fileSize: 4096 })
    await host.append(reopened, 2, true)
    host.stop()
    expect(host.images.length).toBeGreaterThan(300)
    for (const image of host.images) await judge(image)
  })

  test('fresh records and survivors by turns, each in files of their own', async () => {
    const fs = await newMemory()
    const host = new Host(fs, POLICIES)
    const log = await openLog(fs, { fileSize: 4096 })
    for (let i = 0; i < 16; i++) {
      await Promise.all([host.append(log, 1 + (i % 3), false), host.append(log, 1 + ((i + 1) % 3), i % 4 === 1, 700, true)])
      if (i % 5 === 3) {
        await log.sync()
        host.noteSynced(log)
      }
    }
    await log.close()
    host.noteSynced(log)
    const reopened = await openLog(fs, { fileSize: 4096 })
    await host.append(reopened, 2, false, 700, true)
    host.stop()
    expect(host.images.length).toBeGreaterThan(300)
    for (const image of host.images) await judge(image)
  })

  test('with the promise of a host', async () => {
    const fs = await newMemory()
    const host = new Host(fs, ['P0', 'P2', 'P3', 'P4'])
    const log = await openLog(fs, { fileSize: 8192, durable: null })
    for (let i = 0; i < 12; i++) await host.append(log, 2, i % 3 === 1)
    host.stop()
    for (const image of host.images) await judge(image, { ...image.promises.syncedPosition, len: 0 })
  })

  test('of a recovery', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 4096 })
    const host = new Host(fs, [])
    await host.append(log, 6, true)
    await host.append(log, 6, false)
    const torn = fs.crashClone('P3', SEED)
    await torn.open('/log/000077.rlog.tmp', 'create')
    await torn.open('/log/000001.rlog.tmp', 'create')
    const again = new Host(torn, POLICIES)
    again.promises.durable = host.promises.durable
    again.promises.written = host.promises.written
    await openLog(torn)
    again.stop()
    for (const image of again.images) await judge({ ...image, policy: image.policy === 'P1' ? 'P2' : image.policy })
  })

  test('relocating and dropping: live records survive at their old pointers, whatever the moment', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 4096 })
    const host = new Host(fs, POLICIES)
    host.stop()
    for (let i = 0; i < 12; i++) await host.append(log, 3, false, 1500)
    await log.seal()
    host.noteSynced(log)
    const all = [...host.promises.written]
    const live = all.filter((_, i) => i % 3 !== 0)
    // Only what is live is promised from here on.
    host.promises.durable = live
    host.promises.written = live
    const tracked = new Host(fs, POLICIES)
    Object.assign(tracked.promises, host.promises)
    const fids = [...new Set(all.map(({ pointer }) => pointer.fid))]
    expect(fids.length).toBeGreaterThan(3)
    const move = async (victims: readonly number[], keep: readonly Kept[]): Promise<void> => {
      const relocation = await log.createRelocation()
      for (const fid of victims) {
        for (const { pointer } of keep) if (pointer.fid === fid) await relocation.copy(fid, pointer.offset, pointer.len)
      }
      await relocation.finish()
    }
    await move(fids.slice(0, 3), live)
    await tracked.append(log, 2, true)
    await move(fids.slice(1), live.filter(({ pointer }) => fids.indexOf(pointer.fid) > 0))
    tracked.promises.retired.add(fids[0]!)
    await log.dropLogical([fids[0]!])
    await tracked.append(log, 2, true)
    tracked.stop()
    for (const one of live) expect(isThere(log, one)).toBe(one.pointer.fid !== fids[0])
    for (const image of tracked.images) await judge(image)
    await log.close()
  })

  test('retiring: the file is there with its mark, or gone; a pending deletion survives', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 4096 })
    const host = new Host(fs, POLICIES)
    for (let i = 0; i < 12; i++) await host.append(log, 2, i % 2 === 0, 1500)
    await log.sync()
    host.noteSynced(log)
    const [first, second] = log.files().filter(({ sealed }) => sealed).map(({ fid }) => fid)
    for (const fid of [first!, second!]) {
      host.promises.retired.add(fid)
      await log.retire(fid)
    }
    await log.close()
    host.stop()
    for (const image of host.images) await judge(image)
    const reopened = await openLog(fs)
    expect(reopened.files().map(({ fid }) => fid)).not.toContain(first)
    for (const { fid } of reopened.files()) expect((await collect(reopened.iterate(fid))).length).toBeGreaterThan(0)
    await reopened.close()
  })
})
