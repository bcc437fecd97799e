import { MAX_SEQUENCE, compareBytes } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { planFullCompaction, remainingBytes } from '../src/compaction/full-compaction.js'
import { levelScores, levelTargets } from '../src/compaction/level-targets.js'
import { conflicts, fileNumbersFor, jobOf, levelZeroClosure, makePick } from '../src/compaction/pick.js'
import type { CompactionPick } from '../src/compaction/pick.js'
import { advanceCursors, pickCompaction } from '../src/compaction/picker.js'
import type { PickInput, PickerOptions } from '../src/compaction/picker.js'
import { ModelTree, interfere } from './compaction-model-tree.js'
import { table } from './compaction-support.js'
import { bytes, pointerEntry, propertyOptions, text, tombstone, valueEntry, visible, expiryOf } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

const OPTIONS: PickerOptions = {
  tableSize: 1000,
  levelBaseSize: 4000,
  levelSizeMultiplier: 4,
  maxLevels: 5,
  l0CompactionTrigger: 3,
  maxGrandparentOverlap: 10_000,
}

function levels(...given: TableSummary[][]): TableSummary[][] {
  return Array.from({ length: OPTIONS.maxLevels }, (_, level) => given[level] ?? [])
}

function input(given: TableSummary[][], more: Partial<PickInput> = {}): PickInput {
  return { levels: given, options: OPTIONS, cursors: [], running: [], oldestSnapshot: undefined, reclaim: false, ...more }
}

const shape = (pick: CompactionPick | undefined): unknown =>
  pick === undefined
    ? undefined
    : { to: pick.outputLevel, from: pick.inputs.map(({ level, tables }) => [level, ...tables.map(({ number }) => number)]), move: pick.trivialMove }

describe('level targets', () => {
  test('an empty tree compacts level 0 to the last level', () => {
    expect(levelTargets(levels(), OPTIONS)).toMatchObject({ baseLevel: 4, lastLevel: 4 })
  })

  test('targets follow the last level, down to the base size', () => {
    const { baseLevel, targets } = levelTargets(levels([], [], [], [], [table(1, 'a', 'z', { size: 100_000 })]), OPTIONS)
    expect(targets).toEqual([0, 4000, 6250, 25_000, 100_000])
    expect(baseLevel).toBe(1)
  })

  test('the base level is never below a level with tables (Badger #2278)', () => {
    const shrunken = levels([], [], [table(1, 'a', 'b', { size: 500 })], [], [table(2, 'a', 'z', { size: 1000 })])
    const targets = levelTargets(shrunken, OPTIONS)
    expect(targets.baseLevel).toBe(2)
    expect(targets.targets[2]).toBe(0)
    expect(levelScores(shrunken, targets, OPTIONS)[0]).toEqual({ level: 2, score: 1 })
    expect(shape(pickCompaction(input(shrunken)))).toEqual({ to: 3, from: [[2, 1]], move: true })
  })

  test('a tree with more levels than the options say keeps its last level', () => {
    const deep = [...levels(), [table(1, 'a', 'b', { size: 100 })]]
    expect(levelTargets(deep, { ...OPTIONS, maxLevels: 3 })).toMatchObject({ lastLevel: 5, baseLevel: 5 })
  })
})

describe('picker', () => {
  test('nothing is due in a small tree', () => {
    expect(pickCompaction(input(levels([table(2, 'a', 'c')], [], [], [], [table(1, 'a', 'z', { size: 100_000 })])))).toBeUndefined()
  })

  test('level 0 goes by count, with all that overlaps', () => {
    const given = levels([table(5, 'b', 'd'), table(4, 'x', 'y'), table(3, 'c', 'f')], [], [], [], [table(1, 'a', 'b'), table(2, 'e', 'h'), table(6, 'x', 'x')])
    expect(shape(pickCompaction(input(given)))).toEqual({ to: 4, from: [[0, 5, 3], [4, 1, 2]], move: false })
  })

  test('level 0 goes by bytes, too', () => {
    expect(shape(pickCompaction(input(levels([table(5, 'b', 'd', { size: 12_000 })]))))).toEqual({ to: 4, from: [[0, 5]], move: true })
  })

  test('a lone table of level 0 without overlap moves', () => {
    const given = levels([table(5, 'g', 'h'), table(4, 'e', 'f'), table(3, 'c', 'd')], [], [], [], [table(1, 'a', 'b')])
    expect(shape(pickCompaction(input(given)))).toEqual({ to: 4, from: [[0, 3]], move: true })
  })

  test('a table with tombstones is not moved to where nothing lies below, but rewritten', () => {
    const given = levels([table(5, 'g', 'h'), table(4, 'e', 'f'), table(3, 'c', 'd', { size: 1000, tombstones: 1 })])
    expect(shape(pickCompaction(input(given)))).toEqual({ to: 4, from: [[0, 3]], move: false })
  })

  test('a move onto too many grandparents is a rewrite', () => {
    const big = table(1, 'a', 'z', { size: 100_000 })
    const given = levels([], [], [], [table(3, 'b', 'c', { size: 30_000 })], [big])
    expect(shape(pickCompaction(input(levels([], [], [table(3, 'b', 'c', { size: 30_000 })], [], [big]))))).toEqual({ to: 3, from: [[2, 3]], move: false })
    expect(shape(pickCompaction(input(given)))).toEqual({ to: 4, from: [[3, 3], [4, 1]], move: false })
  })

  test('tables of a level take turns', () => {
    const given = levels([], [], [], ['a', 'b', 'c'].map((key, i) => table(i + 1, key, key, { size: 30_000 })), ['a', 'b', 'c'].map((key, i) => table(i + 11, key, key, { size: 30_000 })))
    let cursors: readonly (Uint8Array | undefined)[] = []
    const order: unknown[] = []
    for (let i = 0; i < 4; i++) {
      const pick = pickCompaction(input(given, { cursors }))!
      order.push(pick.inputs[0]!.tables[0]!.number)
      cursors = advanceCursors(cursors, pick)
    }
    expect(order).toEqual([1, 2, 3, 1])
  })

  test('neighbours come along when they add nothing below', () => {
    const given = levels([], [], [], [table(1, 'a', 'b', { size: 9000 }), table(2, 'c', 'd', { size: 9000 }), table(3, 'y', 'z', { size: 9000 })], [table(11, 'a', 'e', { size: 5000 }), table(12, 'x', 'z', { size: 60_000 })])
    expect(shape(pickCompaction(input(given)))).toEqual({ to: 4, from: [[3, 1, 2], [4, 11]], move: false })
  })

  test('what runs is left alone, and does not count', () => {
    const given = levels([table(9, 'a', 'z'), table(8, 'a', 'z'), table(7, 'a', 'z')], [], [], [table(1, 'a', 'b', { size: 30_000 }), table(2, 'c', 'd', { size: 30_000 })], [table(11, 'a', 'z', { size: 60_000 })])
    const first = pickCompaction(input(given))!
    expect(first.inputs[0]!.level).toBe(3)
    const second = pickCompaction(input(given, { running: [first] }))!
    expect(shape(second)).toEqual({ to: 2, from: [[0, 9, 8, 7]], move: false })
    expect(pickCompaction(input(given, { running: [first, second] }))).toBeUndefined()
  })

  test('the job of a pick names what lies deeper and the grandparents', () => {
    const given = levels([], [table(1, 'c', 'd')], [], [table(2, 'a', 'c'), table(3, 'd', 'e'), table(4, 'x', 'z')], [table(5, 'c', 'd', { size: 777 })])
    const pick = makePick(given, 'size', [{ level: 1, tables: given[1]! }, { level: 2, tables: [] }], 2, 10_000)
    expect(pick.trivialMove).toBe(true)
    expect(pick.deeper.map(({ smallest, largest }) => text(smallest) + text(largest))).toEqual(['ae'])
    expect(pick.grandparents.map(({ size }) => size)).toEqual([1000, 1000])
    const options = { tableSize: 100, blockSize: 1, restartInterval: 1, bloomBitsPerKey: 0, compression: 'none' as const, verifyChecksums: true, numVersionsToKeep: 1, maxGrandparentOverlap: 1000 }
    expect(fileNumbersFor(pick, options)).toBeGreaterThanOrEqual(12)
    expect(jobOf(pick, { dir: 'd', fileNumbers: [9], options, snapshots: [], now: 0 })).toMatchObject({ type: 'compact', outputLevel: 2, fileNumbers: [9] })
  })

  test('level 0 leaves with everything older that overlaps, in any chain', () => {
    const zero = [table(5, 'a', 'b'), table(4, 'f', 'g'), table(3, 'b', 'd'), table(2, 'c', 'f'), table(1, 'x', 'y')]
    const numbers = (seed: number, newerToo: boolean): number[] => levelZeroClosure(zero, ({ number }) => number === seed, newerToo).map(({ number }) => number)
    expect(numbers(5, false)).toEqual([5, 3, 2])
    expect(numbers(3, false)).toEqual([3, 2])
    expect(numbers(2, false)).toEqual([2])
    expect(numbers(2, true)).toEqual([5, 4, 3, 2])
    expect(numbers(1, true)).toEqual([1])
  })
})

const key = (n: number): string => String(n).padStart(3, '0')

/** Operations without sequence numbers over 60 keys. */
const batchArbitrary = (deletes: number): fc.Arbitrary<Entry[]> =>
  fc.array(
    fc.record({ at: fc.nat(59), dice: fc.nat(99) }).map(({ at, dice }) => (dice < deletes ? tombstone(key(at), 0) : valueEntry(key(at), 0, `v${dice}`))),
    { minLength: 1, maxLength: 30 },
  )

const settle = (tree: ModelTree, reclaim: boolean): number => {
  let steps = 0
  for (let pick = pickCompaction(tree.input(reclaim)); pick !== undefined; pick = pickCompaction(tree.input(reclaim))) {
    tree.run(pick)
    expect(++steps, 'compactions end').toBeLessThan(500)
  }
  return steps
}

describe('picker over histories', () => {
  test('law 4 and order of versions hold through any sequence of picks, also when several run', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ batch: batchArbitrary(25), snapshot: fc.nat(3), finish: fc.nat(5), reclaim: fc.boolean() }), { maxLength: 25 }),
        (steps) => {
          const tree = new ModelTree({ ...OPTIONS, levelBaseSize: 1000, tableSize: 400, levelSizeMultiplier: 2, maxGrandparentOverlap: 1500 })
          for (const { batch, snapshot, finish, reclaim } of steps) {
            tree.flush(batch)
            if (snapshot === 0) tree.snapshots = [...tree.snapshots, tree.sequence].slice(-3)
            // Up to three at a time; a job knows the snapshots there were when it was started.
            for (let i = 0; i < 3 && tree.running.length < 3; i++) {
              const pick = pickCompaction(tree.input(reclaim))
              if (pick === undefined) break
              for (const other of tree.running) expect(interfere(pick, other)).toBe(false)
              tree.start(pick)
            }
            const ended = tree.running[finish % Math.max(1, tree.running.length)]
            if (ended !== undefined) tree.finish(ended)
          }
          while (tree.running.length > 0) tree.finish(tree.running[0]!)
          settle(tree, true)
          for (const [level, score] of levelScores(tree.levels, levelTargets(tree.levels, tree.options), tree.options).map(({ level, score }) => [level, score])) {
            expect(score, `level ${level}`).toBeLessThan(1)
          }
        },
      ),
      propertyOptions(200),
    )
  })

  test('expired entries go without new writes, as far as they make up a quarter of a table', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (expiries, now) => {
        const tree = new ModelTree({ ...OPTIONS, levelBaseSize: 100_000 })
        for (let at = 0; at < expiries.length; at += 15) tree.flush(expiries.slice(at, at + 15).map((expiry, i) => pointerEntry(key(at + i), 0, 1, i, 10_000, expiry)))
        settle(tree, true)
        tree.now = now
        settle(tree, true)
        for (const table of tree.levels.flat()) {
          const expired = tree.contents.get(table.number)!.filter((entry) => expiryOf(entry) !== 0 && expiryOf(entry) <= now).length
          expect(expired).toBeLessThan(table.entries / 4)
        }
        if (expiries.every((expiry) => expiry !== 0 && expiry <= now)) expect(tree.levels.flat()).toEqual([])
      }),
      propertyOptions(200),
    )
  })

  test('a database that only deletes comes back to its live size without new writes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(59), { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (deleted, flushes) => {
        const tree = new ModelTree({ ...OPTIONS, levelBaseSize: 100_000 })
        for (let part = 0; part < 3; part++) {
          tree.flush(Array.from({ length: 20 }, (_, i) => pointerEntry(key(part * 20 + i), 0, 1, i, 10_000)))
        }
        settle(tree, true)
        const each = Math.ceil(deleted.length / flushes)
        for (let i = 0; i < deleted.length; i += each) {
          tree.flush(deleted.slice(i, i + each).map((at) => tombstone(key(at), 0)))
          settle(tree, true)
        }
        const live = visible(tree.entries(), MAX_SEQUENCE, 0).length
        expect(live).toBe(60 - deleted.length)
        expect(tree.entries()).toHaveLength(live)
      }),
      propertyOptions(50),
    )
  })

  test('overwritten values become garbage that is known, and a load of new keys is not compacted for nothing', () => {
    const tree = new ModelTree({ ...OPTIONS, levelBaseSize: 100_000, l0CompactionTrigger: 10 })
    const overwrite = (): void => tree.flush(Array.from({ length: 50 }, (_, i) => pointerEntry(key(i), 0, 1, i, 100_000)))
    overwrite()
    overwrite()
    settle(tree, true)
    expect(tree.entries()).toHaveLength(50)
    const loaded = new ModelTree({ ...OPTIONS, levelBaseSize: 100_000, l0CompactionTrigger: 10 })
    let compactions = 0
    for (let i = 0; i < 8; i++) {
      loaded.flush(Array.from({ length: 50 }, (_, k) => pointerEntry(key(k * 8 + i), 0, 1, i, 100_000)))
      compactions += settle(loaded, true)
    }
    expect(compactions).toBeLessThan(6)
    expect(loaded.shadowRatio).toBeLessThanOrEqual(0.125)
  })

  test('tombstones that a snapshot needs are not rewritten again and again', () => {
    const tree = new ModelTree(OPTIONS)
    tree.flush([valueEntry('a', 0, 'x'), valueEntry('b', 0, 'y')])
    tree.snapshots = [tree.sequence]
    tree.flush([tombstone('a', 0), tombstone('b', 0)])
    expect(settle(tree, true)).toBeLessThan(5)
    expect(tree.entries()).toHaveLength(4)
    tree.snapshots = []
    settle(tree, true)
    expect(tree.entries()).toHaveLength(0)
  })
})

describe('full compaction', () => {
  test('leaves exactly what is visible, whatever the shape of the tree', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ batch: batchArbitrary(30), picks: fc.nat(4), snapshot: fc.boolean() }), { minLength: 1, maxLength: 15 }), fc.boolean(), (steps, busy) => {
        const tree = new ModelTree({ ...OPTIONS, levelBaseSize: 800, tableSize: 300, levelSizeMultiplier: 2 })
        for (const { batch, picks, snapshot } of steps) {
          tree.snapshots = snapshot ? [tree.sequence] : tree.snapshots
          tree.flush(batch)
          for (let i = 0; i < picks; i++) {
            const pick = pickCompaction(tree.input(false))
            if (pick !== undefined) tree.run(pick)
          }
        }
        tree.snapshots = []
        const before = visible(tree.entries(), MAX_SEQUENCE, 0).length
        const start = { sequence: tree.sequence, floor: tree.nextNumber }
        for (let i = 0; ; i++) {
          expect(i, 'it ends').toBeLessThan(200)
          const step = planFullCompaction({ ...tree.input(false), ...start })
          if (step.type === 'done') break
          expect(step.type).toBe('run')
          if (step.type === 'run') tree.run(step.pick)
          // Others write and compact meanwhile.
          if (busy && i < 100) {
            tree.flush([valueEntry(key(200 + (i % 10)), 0, 'new')])
            const pick = pickCompaction(tree.input(true))
            if (pick !== undefined) tree.run(pick)
          }
        }
        expect(remainingBytes({ ...tree.input(false), ...start })).toBe(0)
        const old = tree.entries().filter(({ sequence }) => sequence <= start.sequence)
        expect(old).toHaveLength(before)
        const filled = tree.levels.flatMap((tables, level) => (tables.some(({ smallestSequence }) => smallestSequence <= start.sequence) ? [level] : []))
        expect(filled.length).toBeLessThanOrEqual(1)
      }),
      propertyOptions(200),
    )
  })

  test('a range takes only the tables that may hold its keys, and what must come along', () => {
    const given = levels(
      [table(9, 'a', 'b'), table(8, 'm', 'n'), table(7, 'n', 'q')],
      [],
      [table(5, 'a', 'c'), table(6, 'm', 'o')],
      [table(4, 'o', 'p')],
      [table(1, 'a', 'c'), table(2, 'l', 'm'), table(3, 'p', 'z')],
    )
    const plan = (given: TableSummary[][]): unknown => {
      const step = planFullCompaction({ ...input(given), sequence: 1000, floor: 10, range: { gte: bytes('m'), lt: bytes('n') } })
      return step.type === 'run' ? shape(step.pick) : step.type
    }
    expect(plan(given)).toEqual({ to: 2, from: [[0, 8, 7], [2, 6]], move: false })
    given[0] = [table(9, 'a', 'b')]
    expect(plan(given)).toEqual({ to: 4, from: [[2, 6], [3, 4], [4, 2, 3]], move: false })
    given[2] = [table(5, 'a', 'c')]
    given[3] = []
    expect(plan(given)).toEqual({ to: 4, from: [[4, 2]], move: false })
    given[4] = [table(1, 'a', 'c'), table(12, 'l', 'm'), table(3, 'p', 'z')]
    expect(plan(given)).toBe('done')
  })

  test('waits for a compaction that is in the way', () => {
    const given = levels([table(1, 'a', 'b'), table(2, 'a', 'c'), table(3, 'a', 'd')])
    const running = pickCompaction(input(given))!
    expect(planFullCompaction({ ...input(given), running: [running], sequence: 1000, floor: 10 })).toEqual({ type: 'wait' })
  })
})

test('conflicts: a shared table, level 0 twice, or the same keys in the same levels', () => {
  const given = levels([table(9, 'a', 'z')], [table(1, 'a', 'c'), table(2, 'd', 'f')], [table(3, 'a', 'a'), table(4, 'e', 'e')], [], [table(5, 'a', 'z')])
  const pick = (upper: number, tables: number[], lower: number[]): CompactionPick =>
    makePick(
      given,
      'size',
      [
        { level: upper, tables: given[upper]!.filter(({ number }) => tables.includes(number)) },
        { level: upper + 1, tables: given[upper + 1]!.filter(({ number }) => lower.includes(number)) },
      ],
      upper + 1,
      1e9,
    )
  expect(conflicts(pick(1, [1], [3]), pick(1, [2], [4]))).toBe(false)
  expect(conflicts(pick(1, [1], [3]), pick(2, [3], []))).toBe(true)
  expect(conflicts(pick(0, [9], [1]), pick(2, [4], []))).toBe(false)
  expect(conflicts(pick(0, [9], [1]), pick(1, [2], [4]))).toBe(true)
  expect(conflicts(pick(0, [9], []), pick(0, [9], []))).toBe(true)
})

test('the model agrees that keys compare as bytes', () => {
  expect(compareBytes(bytes(key(9)), bytes(key(10)))).toBeLessThan(0)
})
