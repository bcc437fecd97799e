import { CorruptionError } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { mulberry, SEED } from './support/bytes.js'
import { appendAll, collect, DIR, entryOf, failureOf, lineOf, newMemory, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

async function prepare(files = 4): Promise<{ fs: MemoryFileSystem; log: ValueLog; kept: Kept[] }> {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 5, fileSize: 1 << 20 })
  const random = mulberry(SEED)
  const kept = await appendAll(log, Array.from({ length: files * 6 }, () => entryOf(random, 400)), 1)
  await log.seal()
  return { fs, log, kept }
}

async function move(log: ValueLog, live: Kept[]): Promise<number | undefined> {
  const relocation = await log.createRelocation()
  for (const { pointer: { fid, offset, len } } of live) await relocation.copy(fid, offset, len)
  return (await relocation.finish()).number
}

function expectReadable(log: ValueLog, live: Kept[], dead: Kept[] = []): void {
  for (const { entry, pointer } of live) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
  for (const { pointer } of dead) expect(() => log.readSync(pointer)).toThrow(CorruptionError)
}

const inFiles = (kept: Kept[], ...fids: number[]): Kept[] => kept.filter(({ pointer }) => fids.includes(pointer.fid))
const vlogNames = async (fs: MemoryFileSystem): Promise<string[]> => (await fs.list(DIR)).filter((name) => /log/.test(name))

describe('relocation', () => {
  test('live records are read at their old pointers, dead ones are gone, the old files too', async () => {
    const { fs, log, kept } = await prepare()
    const live = inFiles(kept, 1, 2).filter((_, i) => i % 4 !== 1)
    const dead = inFiles(kept, 1, 2).filter((_, i) => i % 4 === 1)
    expect(await move(log, live)).toBe(5)
    expect(await vlogNames(fs)).toEqual(['000003.vlog', '000004.vlog', '000005.rlog'])
    expectReadable(log, [...live, ...inFiles(kept, 3, 4)], dead)
    expect(log.physicalFiles().map(({ number, relocated, logical }) => ({ number, relocated, logical }))).toEqual([
      { number: 3, relocated: false, logical: [3] },
      { number: 4, relocated: false, logical: [4] },
      { number: 5, relocated: true, logical: [1, 2] },
    ])
    expect(log.files()[0]).toMatchObject({ fid: 1, physical: 5, relocated: true, sealed: true })
    const placed = await collect(log.iterate(1))
    expect(placed.map(({ pointer }) => pointer)).toEqual(inFiles(live, 1).map(({ pointer }) => pointer))
    await log.close()
    const again = await openLog(fs)
    expectReadable(again, [...live, ...inFiles(kept, 3, 4)], dead)
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test('records that touch become one run; ranges of several records are taken', async () => {
    const { log, kept } = await prepare(1)
    const first = kept[0]!.pointer
    const last = kept.at(-1)!.pointer
    const relocation = await log.createRelocation()
    await relocation.copy(1, first.offset, last.offset + last.len - first.offset)
    const { bytesMoved, bytesFreed, number } = await relocation.finish()
    expect(bytesMoved).toBe(last.offset + last.len - 20)
    expect(bytesFreed).toBe(last.offset + last.len)
    expect(log.physicalFiles()).toMatchObject([{ number, size: 20 + bytesMoved + 32 + 16 + 40 }])
    expectReadable(log, kept)
    await log.close()
  })

  test('a relocated file is a victim again; it stays as long as one logical file lies in it', async () => {
    const { fs, log, kept } = await prepare(5)
    await move(log, inFiles(kept, 1, 2, 3))
    const live = inFiles(kept, 2, 3, 4).filter((_, i) => i % 2 === 0)
    await move(log, live)
    expect(await vlogNames(fs)).toEqual(['000005.vlog', '000006.rlog', '000007.rlog'])
    expect(await log.dropLogical([1])).toBeGreaterThan(0)
    expect(await vlogNames(fs)).toEqual(['000005.vlog', '000007.rlog'])
    expectReadable(log, [...live, ...inFiles(kept, 5)], inFiles(kept, 1))
    await log.close()
    const again = await openLog(fs)
    expectReadable(again, [...live, ...inFiles(kept, 5)], inFiles(kept, 1))
    await again.close()
  })

  test('what open finds: superseded files go, the highest complete one wins, an unfinished one is an orphan', async () => {
    const { fs, log, kept } = await prepare(2)
    const one = readFile(fs, '000001.vlog')
    const live = inFiles(kept, 1).slice(2)
    await move(log, live)
    await log.close()
    const first = readFile(fs, '000003.rlog')
    await placeFile(fs, '000001.vlog', one)
    await placeFile(fs, '000009.rlog.tmp', first)
    const readOnly = await openLog(fs, { readOnly: true })
    expectReadable(readOnly, live, inFiles(kept, 1).slice(0, 2))
    await readOnly.close()
    expect(await vlogNames(fs)).toContain('000001.vlog')
    const again = await openLog(fs)
    expect(await vlogNames(fs)).toEqual(['000002.vlog', '000003.rlog'])
    expectReadable(again, [...live, ...inFiles(kept, 2)], inFiles(kept, 1).slice(0, 2))
    await again.close()
  })

  test('a relocated file that does not verify is damage, never ignored', async () => {
    const { fs, log, kept } = await prepare(2)
    await move(log, inFiles(kept, 1))
    await log.close()
    const bytes = readFile(fs, '000003.rlog')
    for (const length of [0, 10, 59, bytes.length - 1]) {
      await placeFile(fs, '000003.rlog', bytes.slice(0, length))
      expect(await failureOf(openLog(fs))).toMatchObject({ code: 'WK_CORRUPTION', file: '000003.rlog' })
    }
    await placeFile(fs, '000003.rlog', bytes)
    await placeFile(fs, '000004.rlog', bytes)
    expect(await failureOf(openLog(fs)), 'a copy under another number').toMatchObject({ file: '000004.rlog' })
  })

  test('damage in a source ends it and keeps every file', async () => {
    const { fs, log, kept } = await prepare(2)
    await log.close()
    const bytes = readFile(fs, '000001.vlog')
    const { offset, len } = kept[3]!.pointer
    bytes[offset + len - 5]! ^= 1
    await placeFile(fs, '000001.vlog', bytes)
    const again = await openLog(fs)
    const relocation = await again.createRelocation()
    await relocation.copy(1, kept[0]!.pointer.offset, kept[0]!.pointer.len)
    const failure = await failureOf(relocation.copy(1, offset, len))
    expect(failure).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset })
    await relocation.abort()
    await relocation.abort()
    expect(await vlogNames(fs)).toEqual(['000001.vlog', '000002.vlog'])
    expectReadable(again, kept.filter((_, i) => i !== 3), [kept[3]!])
    await again.close()
  })

  test('wrong use is refused', async () => {
    const { log, kept } = await prepare(2)
    const relocation = await log.createRelocation()
    const [a, b] = [kept[0]!.pointer, kept[1]!.pointer]
    await relocation.copy(1, b.offset, b.len)
    expect(await failureOf(relocation.copy(1, a.offset, a.len))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    expect(await failureOf(relocation.copy(9, a.offset, a.len))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await relocation.copy(2, 20, inFiles(kept, 2)[0]!.pointer.len)
    expect(await failureOf(relocation.copy(1, b.offset + b.len, 30))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await relocation.abort()
    expect(await failureOf(relocation.finish())).toMatchObject({ code: 'WK_CLOSED' })
    const empty = await log.createRelocation()
    expect(await empty.finish()).toEqual({ number: undefined, bytesMoved: 0, bytesFreed: 0 })
    const [active] = await log.append([{ key: 'k', value: 'v' }])
    const third = await log.createRelocation()
    expect(await failureOf(third.copy(active!.fid, active!.offset, active!.len))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await third.abort()
    await log.close()
  })

  test.each([
    ['the one begun first', 0],
    ['the one begun last', 1],
  ])('two at once, of different files: %s ends first', async (_name, first) => {
    const { fs, log, kept } = await prepare()
    const live = kept.filter((_, i) => i % 3 !== 1)
    const both = [await log.createRelocation(), await log.createRelocation()]
    for (const { pointer: { fid, offset, len } } of inFiles(live, 1, 2, 3)) await both[fid % 2]!.copy(fid, offset, len)
    const [taken] = inFiles(live, 1)
    expect(await failureOf(both[0]!.copy(1, taken!.pointer.offset, taken!.pointer.len))).toMatchObject({ code: 'WK_GC_RUNNING' })
    expect(log.passingBytes).toBe(both[0]!.size + both[1]!.size)
    await both[first]!.finish()
    expectReadable(log, live)
    await both[1 - first]!.finish()
    expect(log.passingBytes).toBe(0)
    expect(await vlogNames(fs)).toEqual(['000004.vlog', '000005.rlog', '000006.rlog'])
    expectReadable(log, live, inFiles(kept, 1, 2, 3).filter((one) => !live.includes(one)))
    // Files that have moved may move again, the records of both together.
    expect(await move(log, inFiles(live, 1, 2, 3).filter((_, i) => i % 2 === 0))).toBe(7)
    await log.close()
    const again = await openLog(fs)
    expect(await vlogNames(fs)).toEqual(['000004.vlog', '000007.rlog'])
    expectReadable(again, inFiles(live, 1, 2, 3).filter((_, i) => i % 2 === 0))
    await again.close()
  })

  test('a read under way keeps the old file until it is done', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 1 << 20 })
    const random = mulberry(SEED)
    const kept = await appendAll(log, [entryOf(random, 10), { ...entryOf(random), value: new Uint8Array(200_000).fill(7) }])
    await log.seal()
    const reading = log.read(kept[1]!.pointer)
    const iterating = log.iterate(1)
    await iterating.next()
    await move(log, kept.slice(0, 1))
    expect(await vlogNames(fs)).toContain('000001.vlog')
    expect(lineOf(await reading)).toBe(lineOf(kept[1]!.entry))
    expect((await iterating.next()).value?.pointer).toEqual(kept[1]!.pointer)
    await iterating.return()
    await log.sync()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await vlogNames(fs)).toEqual(['000002.rlog'])
    expectReadable(log, kept.slice(0, 1), kept.slice(1))
    await log.close()
  })

  test('records longer than every buffer', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 1 << 24 })
    const random = mulberry(SEED)
    const sizes = [300_000, 10, 600_000, 1_200_000, 70_000, 20]
    const kept = await appendAll(log, sizes.map((size, i) => ({ ...entryOf(random), value: new Uint8Array(size).fill(i) })), 2)
    await log.seal()
    expectReadable(log, kept)
    await move(log, kept.filter((_, i) => i !== 1))
    expectReadable(log, kept.filter((_, i) => i !== 1), [kept[1]!])
    const values = await log.readMany([kept[5]!, kept[3]!, kept[0]!].map(({ pointer }) => pointer))
    expect(values.map(({ value }) => value.length)).toEqual([20, 1_200_000, 300_000])
    await log.close()
  })
})
