/** Pointers written anew: in every table, for every version, whoever compacts meanwhile; old views keep the old ones. */
import { KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, baseKind, decodePointer, encodePointer, newLookupResult } from '@wk/codec'
import type { EntryCursor, ValuePointer } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import { HoldingFileSystem, createsTable } from '@wk/testkit'
import { describe, expect, test } from 'vitest'
import { planPointerMoves } from '../src/compaction/pointer-pick.js'
import { LsmTree, NO_DEPENDENCY, refersTo } from '../src/index.js'
import type { PointerMove, ReadView } from '../src/index.js'
import { table } from './compaction-support.js'
import { DIR, smallOptions, text } from './engine-support.js'

/** No compaction but those asked for. */
const QUIET = { l0CompactionTrigger: 100, l0SlowdownTrigger: 200, l0StopTrigger: 300, tableSize: 4096, blockSize: 512 }

async function opened(fs: FileSystem = new MemoryFileSystem()): Promise<LsmTree> {
  await fs.mkdir(DIR)
  return LsmTree.open(DIR, { ...smallOptions(fs), ...QUIET, workers: 0 })
}

async function flush(tree: LsmTree, merge = false): Promise<void> {
  const flushed = tree.flush({ merge })
  const group = tree.takeGroup()
  if (group !== undefined && !tree.writeGroupSync(group, NO_DEPENDENCY)) await tree.writeGroup(group, NO_DEPENDENCY)
  await flushed
}

const keyOf = (i: number): string => `key ${String(i).padStart(4, '0')}`

/** Entry `i` of file `fid`: records of 100 bytes, with a hole behind every fourth. */
const placeOf = (fid: number, i: number): ValuePointer => ({ fid, offset: 20 + 100 * i + 40 * Math.floor(i / 4), len: 100 })

function point(tree: LsmTree, i: number, fid: number): void {
  tree.stage(KIND_POINTER, text(keyOf(i)), encodePointer(placeOf(fid, i)))
}

/** Where they are in file 50 + fid: packed, from 5,000 on. */
const movedOf = (fid: number, i: number): ValuePointer => ({ fid: 50 + fid, offset: 5000 + 100 * i, len: 100 })

function moveOf(fid: number, count: number): PointerMove {
  const runs = Math.ceil(count / 4)
  const numbers = (of: (run: number) => number): Uint32Array => Uint32Array.from({ length: runs }, (_, run) => of(run))
  return { fid, target: 50 + fid, starts: numbers((run) => placeOf(fid, 4 * run).offset), lengths: numbers(() => 400), positions: numbers((run) => movedOf(fid, 4 * run).offset) }
}

/** Every version of everything in a view, in words. */
function versions(tree: LsmTree, view: ReadView): string[] {
  const found: string[] = []
  const cursor = tree.entries(view)
  for (cursor.first(); cursor.valid; cursor.next()) found.push(lineOf(cursor))
  return found
}

function lineOf({ keyBytes, keyStart, keyEnd, sequence, kind, valueBytes, valueStart }: EntryCursor): string {
  const key = Buffer.from(keyBytes.subarray(keyStart, keyEnd)).toString()
  if (baseKind(kind) !== KIND_POINTER) return `${key} ${sequence} ${kind}`
  const { fid, offset, len } = decodePointer(valueBytes, valueStart)
  return `${key} ${sequence} ${fid}:${offset}+${len}`
}

/** What the lines say of files 1 to 3 once these are moved. */
function moved(lines: string[], fids: number[]): string[] {
  return lines.map((line) => {
    const match = /^(key (\d+) \d+) ([123]):/.exec(line)
    if (match === null || !fids.includes(Number(match[3]))) return line
    const { fid, offset, len } = movedOf(Number(match[3]), Number(match[2]))
    return `${match[1]} ${fid}:${offset}+${len}`
  })
}

function referred(tree: LsmTree): number[] {
  return [...tree.liveReferences().keys()].sort((a, b) => a - b)
}

/** Entries of files 1 to 3 in several levels, level 0 among them; 600 keys. */
async function fill(tree: LsmTree): Promise<void> {
  for (let i = 0; i < 600; i++) point(tree, i, 1)
  await flush(tree)
  await tree.compact()
  for (let i = 0; i < 600; i += 3) point(tree, i, 2)
  tree.stage(KIND_TOMBSTONE, text(keyOf(5)), new Uint8Array(0))
  await flush(tree)
  for (let i = 100; i < 300; i += 2) point(tree, i, 3)
  await flush(tree)
}

describe('moving pointers', () => {
  test('changes those of all tables and versions, and nothing else; old views keep theirs; a restart keeps the new ones', async () => {
    const fs = new MemoryFileSystem()
    const tree = await opened(fs)
    await fill(tree)
    const snapshot = tree.snapshot()
    for (let i = 0; i < 50; i++) point(tree, i, 4)
    const view = tree.acquireView()
    const before = versions(tree, view)
    const steps: number[] = []
    await tree.movePointers([moveOf(1, 600), moveOf(2, 600)], { onProgress: ({ done, total }) => void steps.push(total - done) })
    expect(steps.at(-1)).toBe(0)
    expect(referred(tree)).toEqual([3, 4, 51, 52])
    expect(versions(tree, view)).toEqual(before)
    expect(tree.pinnedFids().has(1)).toBe(true)
    view.release()
    expect(tree.pinnedFids().has(1)).toBe(false)
    const now = tree.acquireView()
    const after = versions(tree, now)
    now.release()
    // Level 0 went down with its pointers, so versions that nobody sees are gone.
    const kept = new Set(after)
    const expected = moved(before, [1, 2])
    expect(after.every((line) => expected.includes(line))).toBe(true)
    for (let i = 0; i < 600; i++) if (i !== 5) expect(kept.has(expected.find((line) => line.startsWith(keyOf(i)))!)).toBe(true)
    const ranges = await tree.liveRanges([51])
    expect(ranges.get(51)!.offsets.every((offset, k, all) => offset >= 5000 && (k === 0 || offset > all[k - 1]!))).toBe(true)
    snapshot.release()
    await flush(tree)
    const live = referred(tree)
    await tree.close({ clean: true })
    const again = await LsmTree.open(DIR, { ...smallOptions(fs), ...QUIET, workers: 0 })
    expect(referred(again)).toEqual(live)
    expect(await again.verify(() => expect.unreachable())).toBeGreaterThan(0)
    await again.close({ clean: true })
  })

  test('keeps what comes with a pointer, and pointers that no range covers: they do not keep it going', async () => {
    const tree = await opened()
    const payload = Uint8Array.of(...encodePointer(placeOf(1, 0)), 7, 0)
    tree.stage(KIND_POINTER | KIND_ATTRIBUTES, text('a'), payload)
    tree.stage(KIND_POINTER, text('b'), encodePointer({ fid: 1, offset: 20_000, len: 100 }))
    tree.stage(KIND_POINTER, text('c'), encodePointer({ fid: 1, offset: 20, len: 401 }))
    tree.stage(KIND_POINTER, text('d'), encodePointer({ fid: 1, offset: 10, len: 100 }))
    await flush(tree)
    await tree.movePointers([moveOf(1, 4)])
    const out = newLookupResult()
    const found = (key: string): string => {
      expect(tree.get(text(key), tree.visibleSequence, out)).toBe(true)
      return Buffer.from(out.valueBytes.subarray(out.valueStart, out.valueEnd)).toString('hex')
    }
    expect(found('a')).toBe(Buffer.from([...encodePointer(movedOf(1, 0)), 7, 0]).toString('hex'))
    expect(tree.liveReferences()).toEqual(new Map([[1, { count: 3, bytes: 601 }], [51, { count: 1, bytes: 100 }]]))
    await tree.close({ clean: true })
  })

  test('is done by whatever compacts meanwhile, too, a flush among them', async () => {
    const tree = await opened()
    await fill(tree)
    for (let i = 50; i < 500; i += 7) point(tree, i, 4)
    const work = [tree.movePointers([moveOf(1, 600), moveOf(2, 600), moveOf(3, 600)]), tree.compact({ flush: false }), flush(tree, true)]
    await Promise.all(work)
    expect(referred(tree).filter((fid) => fid <= 3)).toEqual([])
    const view = tree.acquireView()
    const lines = versions(tree, view)
    view.release()
    expect(lines.filter((line) => line.startsWith('key 0102'))[0]).toMatch(/ 53:15200\+100$/)
    await tree.close({ clean: true })
  })

  test('aborted, it settles only when no job writes new pointers any more', async () => {
    const fs = new HoldingFileSystem(new MemoryFileSystem())
    const tree = await opened(fs)
    for (let i = 0; i < 20; i++) point(tree, i, 1)
    const snapshot = tree.snapshot()
    for (let i = 0; i < 20; i++) point(tree, i, 2)
    await flush(tree)
    await tree.compact()
    snapshot.release()
    for (let i = 500; i < 520; i++) point(tree, i, 3)
    await flush(tree)
    fs.hold = createsTable
    const controller = new AbortController()
    let isSettled = false
    const moving = tree.movePointers([moveOf(1, 600), moveOf(2, 600), moveOf(3, 600)], { signal: controller.signal })
    const settled = moving.then(() => expect.unreachable(), (error: unknown) => {
      isSettled = true
      expect(error).toMatchObject({ code: 'WK_ABORTED' })
      // The other job has ended before: what it wrote is known.
      expect(referred(tree)).toEqual([3, 52])
    })
    const compacted = tree.compact({ flush: false, range: { lte: text(keyOf(100)) } })
    while (fs.held.length < 2) await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    fs.held.shift()!()
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isSettled).toBe(false)
    fs.release()
    await Promise.all([settled, compacted])
    expect(isSettled).toBe(true)
    await tree.movePointers([moveOf(3, 600)])
    expect(referred(tree)).toEqual([52, 53])
    await tree.close({ clean: true })
  })

  test('ends between two steps when that is enough', async () => {
    const tree = await opened()
    await fill(tree)
    await tree.movePointers([moveOf(1, 600)], { isEnough: () => true })
    expect(referred(tree)).toEqual([1, 2, 3])
    await tree.close({ clean: true })
  })
})

describe('the plan', () => {
  const options = { levelBaseSize: 10_000, levelSizeMultiplier: 10, maxLevels: 4, l0CompactionTrigger: 4, tableSize: 1000, maxGrandparentOverlap: 10_000 }
  const refers = (fid: number): { size: number; references: { fid: number; count: number; bytes: number }[] } => ({ size: 900, references: [{ fid, count: 1, bytes: 1 }] })
  const due = (candidate: Parameters<typeof refersTo>[0]): boolean => refersTo(candidate, new Set([1]))

  test('takes neighbours of a level together, and writes them where they lie', () => {
    const levels = [[], [table(1, 'a', 'b', refers(1)), table(2, 'c', 'd', refers(1)), table(3, 'e', 'f', refers(2)), table(4, 'g', 'h', refers(1))], [table(5, 'a', 'z', refers(2))]]
    const step = planPointerMoves({ levels, options, running: [] }, due)
    expect(step).toMatchObject({ type: 'run', pick: { reason: 'pointers', outputLevel: 1, trivialMove: false, inputs: [{ level: 1, tables: [{ number: 1 }, { number: 2 }] }] } })
    if (step.type !== 'run') return
    const next = planPointerMoves({ levels, options, running: [step.pick] }, due)
    expect(next).toMatchObject({ type: 'run', pick: { inputs: [{ level: 1, tables: [{ number: 4 }] }] } })
    if (next.type === 'run') expect(planPointerMoves({ levels, options, running: [step.pick, next.pick] }, due)).toEqual({ type: 'wait' })
    expect(planPointerMoves({ levels, options, running: [] }, ({ number }) => number > 7)).toEqual({ type: 'done' })
  })

  test('of level 0 older tables come along, never as a mere move', () => {
    const levels = [[table(9, 'a', 'c', refers(1)), table(8, 'b', 'd', refers(2)), table(7, 'x', 'z', refers(2))], [], [], []]
    expect(planPointerMoves({ levels, options, running: [] }, due)).toMatchObject({ type: 'run', pick: { trivialMove: false, inputs: [{ level: 0, tables: [{ number: 9 }, { number: 8 }] }] } })
  })
})
