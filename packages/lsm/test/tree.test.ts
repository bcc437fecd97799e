/** The tree as a host drives it: staging, groups, pointers, views, references, recovery beside a value log. */
import { CorruptionError, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, encodePointer, formatFileName, newLookupResult } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem, defaultRuntime } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { describe, expect, test } from 'vitest'
import { LsmTree, NO_DEPENDENCY } from '../src/index.js'
import type { DependencyPosition, LsmOptions } from '../src/index.js'
import { DIR, smallOptions, text } from './engine-support.js'
import { pointerEntry } from './iterator-support.js'
import { readFile, replaceFile } from './log-support.js'

const EMPTY = new Uint8Array(0)

async function write(tree: LsmTree, dependency: DependencyPosition = NO_DEPENDENCY): Promise<void> {
  const group = tree.takeGroup()
  if (group !== undefined && !tree.writeGroupSync(group, dependency)) await tree.writeGroup(group, dependency)
}

function put(tree: LsmTree, key: string, value = 'v'): number {
  return tree.stage(KIND_VALUE, text(key), text(value))
}

function point(tree: LsmTree, key: string, fid: number, offset: number, len = 100): number {
  return tree.stage(KIND_POINTER, text(key), encodePointer({ fid, offset, len }))
}

/** Flushes while somebody writes the groups. */
async function flush(tree: LsmTree): Promise<void> {
  const flushed = tree.flush()
  await write(tree)
  await flushed
}

function keys(tree: LsmTree, sequence = tree.visibleSequence): string[] {
  const view = tree.acquireView()
  const cursor = tree.cursor(view, sequence)
  const found: string[] = []
  for (cursor.first(); cursor.valid; cursor.next()) found.push(Buffer.from(cursor.keyBytes.subarray(cursor.keyStart, cursor.keyEnd)).toString())
  view.release()
  return found
}

async function opened(more: Partial<LsmOptions> = {}): Promise<{ fs: MemoryFileSystem; tree: LsmTree }> {
  const fs = new MemoryFileSystem()
  await fs.mkdir(DIR)
  return { fs, tree: await LsmTree.open(DIR, { ...smallOptions(fs), ...more }) }
}

describe('staging', () => {
  test('is visible at once, in order, and survives with its group', async () => {
    const { fs, tree } = await opened()
    expect(tree.nextSequence()).toBe(1)
    expect([put(tree, 'a'), put(tree, 'b'), tree.stage(KIND_TOMBSTONE, text('a'), EMPTY)]).toEqual([1, 2, 3])
    expect(tree.visibleSequence).toBe(3)
    expect(keys(tree)).toEqual(['b'])
    expect(keys(tree, 1)).toEqual(['a'])
    const clone = fs.crashClone('P1')
    await write(tree)
    expect(tree.takeGroup()).toBeUndefined()
    const before = await LsmTree.open(DIR, smallOptions(clone))
    expect(keys(before)).toEqual([])
    const after = await LsmTree.open(DIR, smallOptions(fs.crashClone('P1')))
    expect(keys(after)).toEqual(['b'])
    expect(after.nextSequence()).toBe(4)
    await Promise.all([tree, before, after].map((each) => each.close({ clean: true })))
  })

  test('copies what it is given', async () => {
    const { fs, tree } = await opened()
    const [key, value] = [text('key'), text('value')]
    tree.stage(KIND_VALUE, key, value, 1, 4)
    key.fill(0)
    value.fill(0)
    await write(tree)
    const out = newLookupResult()
    expect(tree.get(text('key'), 1, out)).toBe(true)
    expect(Buffer.from(out.valueBytes.subarray(out.valueStart, out.valueEnd)).toString()).toBe('alu')
    await tree.close({ clean: false })
    const again = await LsmTree.open(DIR, smallOptions(fs))
    expect(again.get(text('key'), 1, out)).toBe(true)
    expect(Buffer.from(out.valueBytes.subarray(out.valueStart, out.valueEnd)).toString()).toBe('alu')
    await again.close({ clean: true })
  })

  test('a batch never spans two frames, however large it is', async () => {
    const { fs, tree } = await opened()
    const value = 'x'.repeat(1000)
    for (let batch = 0; batch < 12; batch++) {
      tree.prepareBatch(20, 20 * (5 + value.length))
      for (let i = 0; i < 20; i++) put(tree, `${batch % 10}:${String(i).padStart(3, '0')}`, value)
    }
    const large = 300
    tree.prepareBatch(large, large * (5 + value.length))
    for (let i = 0; i < large; i++) put(tree, `L:${String(i).padStart(3, '0')}`, value)
    const points: number[] = []
    fs.onMutatingOperation = () => {
      const clone = fs.crashClone('P1')
      points.push(1)
      clones.push(clone)
    }
    const clones: MemoryFileSystem[] = []
    await write(tree)
    fs.onMutatingOperation = undefined
    clones.push(fs.crashClone('P1'))
    for (const clone of clones) {
      const recovered = await LsmTree.open(DIR, smallOptions(clone))
      const counts = new Map<string, number>()
      for (const key of keys(recovered)) counts.set(key[0] ?? '', (counts.get(key[0] ?? '') ?? 0) + 1)
      for (const [name, count] of counts) expect(count).toBe(name === 'L' ? large : 20)
      await recovered.close({ clean: false })
    }
    await tree.close({ clean: true })
  })

  test('groups that come while a log is being made are written after it, in order', async () => {
    const { fs, tree } = await opened()
    put(tree, 'a')
    const first = tree.takeGroup()
    expect(first).toBeDefined()
    expect(tree.writeGroupSync(first!, NO_DEPENDENCY)).toBe(false)
    const writing = tree.writeGroup(first!, NO_DEPENDENCY)
    put(tree, 'b')
    await writing
    const second = tree.takeGroup()
    expect(tree.writeGroupSync(second!, NO_DEPENDENCY)).toBe(true)
    await tree.syncWal()
    const again = await LsmTree.open(DIR, smallOptions(fs.crashClone('P0')))
    expect(keys(again)).toEqual(['a', 'b'])
    await Promise.all([tree.close({ clean: true }), again.close({ clean: true })])
  })

  test('a sync covers older logs too', async () => {
    const memory = new MemoryFileSystem()
    await memory.mkdir(DIR)
    const fs = new HoldingFileSystem(memory)
    const tree = await LsmTree.open(DIR, smallOptions(fs))
    put(tree, 'a')
    await write(tree)
    const oldest = (await memory.list(DIR)).find((name) => name.endsWith('.wal')) ?? ''
    fs.hold = ({ kind, path }) => (kind === 'sync' && path.endsWith(oldest)) || path.endsWith('.sst')
    const flushed = tree.flush()
    put(tree, 'b')
    await write(tree)
    let synced = false
    const syncing = tree.syncWal().then(() => (synced = true))
    for (let i = 0; i < 50; i++) await Promise.resolve()
    expect(synced).toBe(false)
    fs.release()
    await syncing
    const again = await LsmTree.open(DIR, smallOptions(memory.crashClone('P0')))
    expect(keys(again)).toEqual(['a', 'b'])
    await flushed
    await Promise.all([tree.close({ clean: true }), again.close({ clean: true })])
  })

  test('without a WAL survives only when flushed', async () => {
    const { fs, tree } = await opened({ wal: false })
    put(tree, 'a')
    await flush(tree)
    put(tree, 'b')
    await write(tree)
    expect(keys(tree)).toEqual(['a', 'b'])
    expect((await fs.list(DIR)).filter((name) => name.endsWith('.wal'))).toEqual([])
    const again = await LsmTree.open(DIR, smallOptions(fs.crashClone('P0')))
    expect(keys(again)).toEqual(['a'])
    await Promise.all([tree.close({ clean: true }), again.close({ clean: true })])
  })
})

describe('a failure reported by the host', () => {
  test('hides what came after, at once and for ever, and rejects who waits', async () => {
    const { tree } = await opened()
    put(tree, 'a')
    await write(tree)
    put(tree, 'b')
    const flushed = tree.flush()
    tree.fail(new CorruptionError('elsewhere'), 2)
    expect(tree.visibleSequence).toBe(1)
    expect(keys(tree, 99)).toEqual(['a'])
    expect(tree.get(text('b'), 99, newLookupResult())).toBe(false)
    await expect(flushed).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    await expect(tree.waitForRoom()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    expect(() => put(tree, 'c')).toThrow(expect.objectContaining({ code: 'WK_READ_ONLY' }))
    await expect(write(tree)).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    await tree.close({ clean: true })
    await expect(tree.waitForRoom()).rejects.toMatchObject({ code: 'WK_CLOSED' })
    expect(() => keys(tree)).toThrow(expect.objectContaining({ code: 'WK_CLOSED' }))
  })

  test('reaches the host when it began here', async () => {
    const fs = new FaultFileSystem(new MemoryFileSystem())
    await fs.mkdir(DIR)
    const failures: unknown[] = []
    const tree: LsmTree = await LsmTree.open(DIR, { ...smallOptions(fs), onFailure: (error) => failures.push(error) })
    put(tree, 'a')
    fs.add({ operation: 'write', path: '.wal', errno: 'ENOSPC' })
    await expect(write(tree)).rejects.toMatchObject({ code: 'WK_IO' })
    expect(failures).toMatchObject([{ code: 'WK_IO' }])
    expect(keys(tree)).toEqual([])
    await tree.close({ clean: false })
  })
})

async function rangesOf(tree: LsmTree, fid: number): Promise<{ offset: number; len: number }[] | undefined> {
  const ranges = (await tree.liveRanges([fid])).get(fid)
  return ranges === undefined ? undefined : [...ranges.offsets].map((offset, i) => ({ offset, len: ranges.lengths[i]! }))
}

describe('references', () => {
  test('law 8: references follow entries through memtables, tables and compactions', async () => {
    const { tree } = await opened()
    const references = (): unknown => Object.fromEntries(tree.liveReferences())
    point(tree, 'a', 1, 16, 101)
    point(tree, 'b', 1, 200, 50)
    point(tree, 'c', 2, 16, 33)
    await write(tree)
    expect(references()).toEqual({ 1: { count: 2, bytes: 151 }, 2: { count: 1, bytes: 33 } })
    expect(await rangesOf(tree, 1)).toBeUndefined()
    await flush(tree)
    expect(references()).toEqual({ 1: { count: 2, bytes: 151 }, 2: { count: 1, bytes: 33 } })
    expect(await rangesOf(tree, 1)).toEqual([{ offset: 16, len: 101 }, { offset: 200, len: 50 }])
    const view = tree.acquireView()
    point(tree, 'a', 3, 16, 10)
    tree.stage(KIND_TOMBSTONE, text('c'), EMPTY)
    await flush(tree)
    await tree.compact()
    expect(references()).toEqual({ 1: { count: 1, bytes: 50 }, 3: { count: 1, bytes: 10 } })
    // The old view still needs what it shows.
    expect(tree.pinnedFids()).toEqual(new Set([1, 2, 3]))
    expect(await rangesOf(tree, 1)).toEqual([{ offset: 16, len: 101 }, { offset: 200, len: 50 }])
    view.release()
    expect(tree.pinnedFids()).toEqual(new Set([1, 3]))
    expect(await rangesOf(tree, 1)).toEqual([{ offset: 200, len: 50 }])
    expect(await rangesOf(tree, 9)).toEqual([])
    await tree.close({ clean: true })
  })

  test('live ranges are merged over all tables and versions, each record once, and pin what they read', async () => {
    const { tree } = await opened()
    const expected: { offset: number; len: number }[] = []
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 20; i++) {
        const offset = ((i * 5 + round) * 37) % 1000
        point(tree, `k${round}-${i}`, 1, offset, 10 + round)
        expected.push({ offset, len: 10 + round })
      }
      await flush(tree)
    }
    const view = tree.acquireView()
    const compacted = tree.compact()
    const collected = rangesOf(tree, 1)
    await compacted
    expected.sort((a, b) => a.offset - b.offset)
    expect(await collected).toEqual(expected)
    expect(await rangesOf(tree, 1)).toEqual(expected)
    view.release()
    await expect(tree.liveRanges([1], AbortSignal.abort())).rejects.toMatchObject({ code: 'WK_ABORTED' })
    await tree.close({ clean: true })
  })

  test('entries that expire are taken out without new writes, once a quarter of a table has expired', async () => {
    const fs = new MemoryFileSystem()
    const runtime = { ...defaultRuntime, now: () => clock * 1000 }
    let clock = 1000
    const tree = await LsmTree.open(DIR, { ...smallOptions(fs), runtime })
    for (let i = 0; i < 100; i++) {
      const { key, kind, payload } = pointerEntry(`k${String(i).padStart(3, '0')}`, 0, 1, i * 100, 100, i % 2 === 0 ? 2000 + i : 0)
      tree.stage(kind, key, payload)
    }
    await flush(tree)
    await tree.compact()
    const settled = async (): Promise<number | undefined> => {
      tree.reclaimExpired()
      await defaultRuntime.sleep(50)
      return tree.liveReferences().get(1)?.count
    }
    clock = 2040
    expect(await settled()).toBe(100)
    clock = 2048
    expect(await settled()).toBe(75)
    clock = 3000
    expect(await settled()).toBe(50)
    expect(tree.stats().tableEntries).toBe(50)
    await tree.verify((problem) => expect(problem).toBeUndefined())
    await tree.close({ clean: true })
  })

  test('tables are removed only when no view holds them', async () => {
    const { fs, tree } = await opened()
    const tables = async (): Promise<string[]> => (await fs.list(DIR)).filter((name) => name.endsWith('.sst'))
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) put(tree, `k${i}`, `round ${round}`)
      await flush(tree)
    }
    const view = tree.acquireView()
    const pinned = [...view.version.tables()].map(({ number }) => formatFileName('table', number))
    expect(pinned.length).toBeGreaterThan(0)
    await tree.compact()
    expect(await tables()).toEqual(expect.arrayContaining(pinned))
    const cursor = tree.cursor(view, tree.visibleSequence)
    let count = 0
    for (cursor.first(); cursor.valid; cursor.next()) count++
    expect(count).toBe(20)
    view.release()
    await tree.close({ clean: true })
    expect((await tables()).some((name) => pinned.includes(name))).toBe(false)
  })

  test('memory of a flushed memtable is used again only when no view shows it', async () => {
    const { tree } = await opened()
    for (let i = 0; i < 50; i++) put(tree, `old ${i}`, 'o'.repeat(500))
    await write(tree)
    const view = tree.acquireView()
    const { visibleSequence } = tree
    for (let round = 0; round < 4; round++) {
      await flush(tree)
      for (let i = 0; i < 90; i++) put(tree, `new ${i}`, 'n'.repeat(500))
      await write(tree)
    }
    const cursor = tree.cursor(view, visibleSequence)
    let count = 0
    for (cursor.first(); cursor.valid; cursor.next()) {
      expect(Buffer.from(cursor.keyBytes.subarray(cursor.keyStart, cursor.keyEnd)).toString()).toMatch(/^old/)
      expect(cursor.valueBytes[cursor.valueStart]).toBe('o'.charCodeAt(0))
      count++
    }
    expect(count).toBe(50)
    view.release()
    await tree.close({ clean: true })
  })

  test('law 3: values are made durable before the tables that point to them', async () => {
    const order: string[] = []
    const fs = new MemoryFileSystem({ onMutatingOperation: (_, { kind, path }) => void order.push(`${kind} ${path}`) })
    await fs.mkdir(DIR)
    const beforePublish = async (): Promise<DependencyPosition> => {
      // The tables are written meanwhile, and must wait.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
      order.push('values')
      return { fid: 4, offset: 777 }
    }
    const tree = await LsmTree.open(DIR, { ...smallOptions(fs), beforePublish })
    point(tree, 'a', 4, 16)
    await write(tree)
    order.length = 0
    await flush(tree)
    const at = order.indexOf('values')
    expect(at).toBeGreaterThan(-1)
    expect(order.findIndex((each) => each.startsWith('write /db/MANIFEST'))).toBeGreaterThan(at)
    await tree.close({ clean: false })
    expect((await LsmTree.recover(DIR, smallOptions(fs))).promise).toEqual({ fid: 4, offset: 777 })
  })
})

describe('recovery beside a value log', () => {
  async function crashed(dependency: DependencyPosition): Promise<MemoryFileSystem> {
    const { fs, tree } = await opened()
    point(tree, 'a', 1, 16)
    await write(tree)
    point(tree, 'b', 1, 200)
    put(tree, 'b2')
    await write(tree, dependency)
    point(tree, 'c', 1, 400)
    await write(tree, dependency)
    put(tree, 'd')
    await write(tree, dependency)
    await tree.syncWal()
    return fs.crashClone('P0')
  }
  const without = (offset: number) => (_key: Uint8Array, _sequence: number, _fid: number, at: number): boolean => at !== offset

  test('ends at the first pointer that dangles, a frame as a whole', async () => {
    const fs = await crashed(NO_DEPENDENCY)
    const recovery = await LsmTree.recover(DIR, smallOptions(fs))
    expect(recovery).toMatchObject({ exists: true, promise: null, cleanClose: undefined })
    const tree = await recovery.finish({ verifyPointer: without(200), minSequence: 40 })
    expect(keys(tree)).toEqual(['a'])
    // CR12: nothing that was ever used comes back.
    expect(tree.nextSequence()).toBe(41)
    put(tree, 'new')
    await write(tree)
    await tree.close({ clean: false })
    const again = await (await LsmTree.recover(DIR, smallOptions(fs))).finish({ verifyPointer: () => true })
    expect(keys(again)).toEqual(['a', 'new'])
    await again.close({ clean: true })
  })

  test('leaves out sequence numbers that nobody can tell the use of', async () => {
    const tree = await (await LsmTree.recover(DIR, smallOptions(await crashed(NO_DEPENDENCY)))).finish({ verifyPointer: without(200), minSequence: 40, unknownSequences: 100 })
    expect(tree.nextSequence()).toBe(141)
    await tree.close({ clean: false })
  })

  test('a pointer that dangles below the promise is corruption', async () => {
    const fs = await crashed({ fid: 1, offset: 400 })
    const recovery = await LsmTree.recover(DIR, smallOptions(fs))
    expect(recovery.promise).toEqual({ fid: 1, offset: 400 })
    await expect(recovery.finish({ verifyPointer: without(200) })).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000002.wal' })
    // At the promise it is a tail.
    const tree = await (await LsmTree.recover(DIR, smallOptions(fs))).finish({ verifyPointer: without(400) })
    expect(keys(tree)).toEqual(['a', 'b', 'b2'])
    await tree.close({ clean: true })
  })

  test('a clean close says where the value log ends; writing again takes that back', async () => {
    const { fs, tree } = await opened()
    point(tree, 'a', 7, 16)
    await write(tree)
    await tree.close({ clean: true, vlog: { fid: 7, size: 4096 } })
    const recovery = await LsmTree.recover(DIR, smallOptions(fs))
    expect(recovery.cleanClose).toEqual({ vlogFid: 7, vlogSize: 4096 })
    expect([...recovery.referencedFids]).toEqual([7])
    expect((await fs.list(DIR)).filter((name) => name.endsWith('.wal'))).toEqual([])
    const again = await recovery.finish()
    expect((await LsmTree.recover(DIR, smallOptions(fs.crashClone('P1')))).cleanClose).toEqual({ vlogFid: 7, vlogSize: 4096 })
    await again.begin()
    expect((await LsmTree.recover(DIR, smallOptions(fs.crashClone('P0')))).cleanClose).toBeUndefined()
    await again.close({ clean: false })
  })
})

describe('read-only', () => {
  test('replays in memory and changes nothing', async () => {
    const { fs, tree } = await opened()
    put(tree, 'a')
    await flush(tree)
    put(tree, 'b')
    await write(tree)
    await tree.close({ clean: false })
    fs.onMutatingOperation = (_, { kind, path }) => {
      throw new Error(`${kind} ${path}`)
    }
    const reader = await LsmTree.open(DIR, { ...smallOptions(fs), readOnly: true })
    expect(keys(reader)).toEqual(['a', 'b'])
    expect(() => put(reader, 'c')).toThrow(expect.objectContaining({ code: 'WK_READ_ONLY' }))
    await expect(reader.flush()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    await expect(reader.compact()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    await reader.close({ clean: true })
    await expect(LsmTree.open('/none', { ...smallOptions(fs), readOnly: true })).rejects.toMatchObject({ code: 'WK_NOT_FOUND' })
  })
})

describe('what lies in the directory', () => {
  test('data without CURRENT is corruption, also for a writer', async () => {
    for (const name of ['000004.sst', '000004.vlog', '000004.rlog', '000004.wal']) {
      const fs = new MemoryFileSystem()
      await fs.mkdir(DIR)
      await replaceFile(fs, `${DIR}/${name}`, text('something'))
      await expect(LsmTree.open(DIR, smallOptions(fs))).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: 'CURRENT', offset: undefined })
      expect(await fs.list(DIR)).toEqual([name])
    }
  })

  test('stray empty files are removed, foreign ones stay, numbers do not come back', async () => {
    const fs = new MemoryFileSystem()
    await fs.mkdir(DIR)
    const foreign = ['notes.txt', '12.sst', '../x'.replace('../', '_'), 'MANIFEST-1', '000007.sst.bak']
    for (const name of [...foreign, '000004.sst', '000900.wal', 'CURRENT.tmp']) await replaceFile(fs, `${DIR}/${name}`, EMPTY)
    const tree = await LsmTree.open(DIR, smallOptions(fs))
    put(tree, 'a')
    await write(tree)
    await tree.close({ clean: true })
    const left = await fs.list(DIR)
    expect(left).toEqual(expect.arrayContaining(foreign))
    const ours = left.filter((name) => !foreign.includes(name) && name !== 'CURRENT')
    expect(ours.every((name) => Number(/[0-9]{6}/.exec(name)?.[0]) > 900)).toBe(true)
  })

  test('a missing table is corruption that names it', async () => {
    const { fs, tree } = await opened()
    put(tree, 'a')
    await write(tree)
    await tree.close({ clean: true })
    const name = (await fs.list(DIR)).find((each) => each.endsWith('.sst')) ?? ''
    await fs.remove(`${DIR}/${name}`)
    await expect(LsmTree.open(DIR, smallOptions(fs))).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: name, offset: undefined })
  })

  test('a manifest that lost edits is found out by the tables it does not name', async () => {
    const { fs, tree } = await opened()
    put(tree, 'a')
    await flush(tree)
    await tree.close({ clean: true })
    const name = (await fs.list(DIR)).find((each) => each.startsWith('MANIFEST')) ?? ''
    const bytes = await readFile(fs, `${DIR}/${name}`)
    const seen = new Set<string>()
    for (let length = 0; length < bytes.length; length++) {
      const copy = fs.crashClone('P1')
      await replaceFile(copy, `${DIR}/${name}`, bytes.subarray(0, length))
      try {
        const again = await LsmTree.open(DIR, smallOptions(copy))
        expect(keys(again), `cut at ${length}`).toEqual(['a'])
        await again.close({ clean: false })
        seen.add('open')
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptionError)
        seen.add('corrupt')
      }
    }
    expect(seen).toEqual(new Set(['open', 'corrupt']))
  })

  test('exists or not, as the options want it', async () => {
    const { fs, tree } = await opened()
    await tree.close({ clean: true })
    await expect(LsmTree.open(DIR, { ...smallOptions(fs), errorIfExists: true })).rejects.toMatchObject({ code: 'WK_EXISTS' })
    await expect(LsmTree.open('/none', { ...smallOptions(fs), createIfMissing: false })).rejects.toMatchObject({ code: 'WK_NOT_FOUND' })
    expect(() => fs.openSync('/none', 'read')).toThrow()
  })
})

describe('snapshots', () => {
  test('keep what they see through compactions', async () => {
    const { tree } = await opened()
    put(tree, 'a', 'old')
    const snapshot = tree.snapshot()
    put(tree, 'a', 'new')
    tree.stage(KIND_TOMBSTONE, text('a'), EMPTY)
    await flush(tree)
    await tree.compact()
    expect(keys(tree)).toEqual([])
    expect(keys(tree, snapshot.sequence)).toEqual(['a'])
    snapshot.release()
    snapshot.release()
    await tree.compact()
    expect(tree.stats().tableEntries).toBe(0)
    await tree.close({ clean: true })
  })
})
