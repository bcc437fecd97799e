/** A flush that merges: straight to the deepest level, in one edit; what it hides is out of the tables then. Crashes at every operation. */
import { KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, encodePointer, newLookupResult } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import type { CrashPolicy, FileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { pickBelow } from '../src/compaction/flush-pick.js'
import { LsmTree, NO_DEPENDENCY } from '../src/index.js'
import { DIR, smallOptions, text } from './engine-support.js'

const EMPTY = new Uint8Array(0)
/** No compaction but those asked for. */
const QUIET = { l0CompactionTrigger: 100, l0SlowdownTrigger: 200, l0StopTrigger: 300 }

async function opened(fs: FileSystem): Promise<LsmTree> {
  await fs.mkdir(DIR)
  return LsmTree.open(DIR, { ...smallOptions(fs), ...QUIET })
}

async function flush(tree: LsmTree, merge: boolean): Promise<void> {
  const flushed = tree.flush({ merge })
  const group = tree.takeGroup()
  if (group !== undefined && !tree.writeGroupSync(group, NO_DEPENDENCY)) await tree.writeGroup(group, NO_DEPENDENCY)
  await flushed
}

function point(tree: LsmTree, key: string, fid: number, offset: number): void {
  tree.stage(KIND_POINTER, text(key), encodePointer({ fid, offset, len: 100 }))
}

function tablesByLevel(tree: LsmTree): number[] {
  const view = tree.acquireView()
  const counts = view.version.levels.map((tables) => tables.length)
  view.release()
  return counts
}

function found(tree: LsmTree, key: string, sequence = tree.visibleSequence): boolean {
  const out = newLookupResult()
  return tree.get(text(key), sequence, out) && out.kind !== KIND_TOMBSTONE
}

describe('a flush that merges', () => {
  test('leaves one level, and only what is alive is referenced', async () => {
    const tree = await opened(new MemoryFileSystem())
    for (const key of ['a', 'b', 'c', 'd']) point(tree, key, 1, key.charCodeAt(0) * 1000)
    await flush(tree, false)
    await tree.compact()
    const before = tablesByLevel(tree)
    expect(before.slice(0, -1).every((count) => count === 0)).toBe(true)
    point(tree, 'b', 2, 20)
    tree.stage(KIND_TOMBSTONE, text('c'), EMPTY)
    const { compactions, flushes } = tree.stats()
    await flush(tree, true)
    expect(tablesByLevel(tree)).toEqual(before)
    expect(tree.stats()).toMatchObject({ compactions: compactions + 1, flushes: flushes + 1 })
    expect(tree.liveReferences()).toEqual(new Map([[1, { count: 2, bytes: 200 }], [2, { count: 1, bytes: 100 }]]))
    expect(['a', 'b', 'c', 'd'].map((key) => found(tree, key))).toEqual([true, true, false, true])
    expect(tree.droppedTombstone).toBe(tree.visibleSequence)
    await tree.close({ clean: true })
  })

  test('merges what was written before the call as well', async () => {
    const tree = await opened(new MemoryFileSystem())
    point(tree, 'a', 1, 1000)
    await flush(tree, false)
    await tree.compact()
    point(tree, 'a', 2, 20)
    await tree.writeGroup(tree.takeGroup()!, NO_DEPENDENCY)
    await tree.flush({ merge: true })
    expect(tablesByLevel(tree)[0]).toBe(0)
    expect(tree.liveReferences()).toEqual(new Map([[2, { count: 1, bytes: 100 }]]))
    await tree.close({ clean: true })
  })

  test('keeps what a snapshot sees, and old tables for who reads them', async () => {
    const fs = new MemoryFileSystem()
    const tree = await opened(fs)
    point(tree, 'a', 1, 1000)
    await flush(tree, false)
    await tree.compact()
    const snapshot = tree.snapshot()
    const view = tree.acquireView()
    tree.stage(KIND_TOMBSTONE, text('a'), EMPTY)
    await flush(tree, true)
    expect(found(tree, 'a')).toBe(false)
    expect(found(tree, 'a', snapshot.sequence)).toBe(true)
    const cursor = tree.cursor(view, snapshot.sequence)
    cursor.first()
    expect(cursor.valid).toBe(true)
    view.release()
    snapshot.release()
    await tree.compact()
    expect(tree.liveReferences().size).toBe(0)
    await tree.close({ clean: true })
  })

  test('goes to level 0 where older entries lie there, or nothing lies below', async () => {
    const tree = await opened(new MemoryFileSystem())
    tree.stage(KIND_VALUE, text('a'), text('1'))
    await flush(tree, true)
    expect(tablesByLevel(tree)[0]).toBe(1)
    tree.stage(KIND_VALUE, text('a'), text('2'))
    await flush(tree, true)
    expect(tablesByLevel(tree)[0]).toBe(2)
    await tree.compact()
    tree.stage(KIND_VALUE, text('a'), text('3'))
    await flush(tree, true)
    expect(tablesByLevel(tree)[0]).toBe(0)
    await tree.close({ clean: true })
  })

  test('does not run beside a compaction, or onto more tables than can be merged at once', async () => {
    const tree = await opened(new MemoryFileSystem())
    tree.stage(KIND_VALUE, text('a'), text('1'))
    await flush(tree, false)
    await tree.compact()
    const view = tree.acquireView()
    const { levels } = view.version
    const options = { levelBaseSize: 1, levelSizeMultiplier: 2, maxLevels: 7, l0CompactionTrigger: 1, tableSize: 1 << 20, maxGrandparentOverlap: 1 << 20 }
    const keys = { smallest: text('0'), largest: text('z') }
    const pick = pickBelow({ levels, options, running: [] }, keys)
    expect(pick).toMatchObject({ outputLevel: levels.findLastIndex((tables) => tables.length > 0), trivialMove: false, hull: keys, deeper: [] })
    expect(pickBelow({ levels, options, running: [pick!] }, keys)).toBeUndefined()
    expect(pickBelow({ levels, options: { ...options, tableSize: 1 }, running: [] }, keys)).toBeUndefined()
    expect(pickBelow({ levels, options, running: [] }, { smallest: text('x'), largest: text('z') })).toBeUndefined()
    view.release()
    await tree.close({ clean: true })
  })
})

test.each<[CrashPolicy]>([['P0'], ['P1'], ['P2'], ['P3']])('laws 1, 4: a crash at every operation of it, policy %s', async (policy) => {
  const fs = new MemoryFileSystem()
  const tree = await opened(fs)
  for (let i = 0; i < 40; i++) point(tree, `key ${i}`, 1, 1000 * (i + 1))
  await flush(tree, false)
  await tree.compact()
  for (let i = 0; i < 40; i += 2) tree.stage(KIND_TOMBSTONE, text(`key ${i}`), EMPTY)
  const group = tree.takeGroup()
  if (group !== undefined) await tree.writeGroup(group, NO_DEPENDENCY)
  await tree.syncWal()
  const clones: MemoryFileSystem[] = []
  fs.onMutatingOperation = (index) => void clones.push(fs.crashClone(policy, index))
  await flush(tree, true)
  clones.push(fs.crashClone(policy, 1))
  fs.onMutatingOperation = undefined
  expect(clones.length).toBeGreaterThan(6)
  for (const clone of clones) {
    const again = await LsmTree.open(DIR, { ...smallOptions(clone), ...QUIET })
    for (let i = 0; i < 40; i++) expect(found(again, `key ${i}`)).toBe(i % 2 === 1)
    await again.compact()
    expect(again.liveReferences()).toEqual(new Map([[1, { count: 20, bytes: 2000 }]]))
    await again.close({ clean: true })
  }
  await tree.close({ clean: true })
})
