/** Merges: the bytes that a table writer makes of the same entries in order, whatever sources they come from; and what is asked and told meanwhile. */
import { KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, compareBytes, encodePointer } from '@wk/codec'
import { MERGE, TableMerge, TableReader, TableWriter, VERDICT } from '@wk/sstable'
import type { MergeSource } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { merged, sourceOf } from './merged.js'
import { ArrayFile, anyOptions, anyTable, build, bytes, numbered, pointerEntries, runs, show } from './support.js'
import type { Entry } from './support.js'

/** Entries dealt out to sources: in memory, one table, or two. */
function sourcesOf(entries: readonly Entry[], deal: readonly number[], options: Parameters<typeof build>[1][]): MergeSource[] {
  const hands: Entry[][] = options.map(() => [])
  for (const [i, entry] of entries.entries()) hands[deal[i % deal.length]! % options.length]!.push(entry)
  return hands.map((hand, i): MergeSource => {
    if (hand.length === 0) return sourceOf()
    if (i === 0) return build(hand, options[i]).open().cursor()
    const cut = hand.findIndex(({ key }, at) => at >= hand.length / 2 && compareBytes(key, hand[at - 1]?.key ?? key) !== 0)
    return cut <= 0 ? sourceOf(build(hand, options[i]).open()) : sourceOf(build(hand.slice(0, cut), options[i]).open(), build(hand.slice(cut), options[i]).open())
  })
}

const tombstone = (i: number, sequence: number): Entry => ({ key: numbered(i), sequence, kind: KIND_TOMBSTONE, value: new Uint8Array(0) })
const pointer = (i: number, sequence: number, fid: number): Entry => ({ key: numbered(i), sequence, kind: KIND_POINTER, value: encodePointer({ fid, offset: 20, len: 100 + i }) })

describe('a merge', () => {
  it('writes what a table writer makes of the same entries', () => {
    fc.assert(
      fc.property(anyTable(120), fc.array(fc.nat(7), { minLength: 1, maxLength: 9 }), fc.array(anyOptions, { minLength: 1, maxLength: 6 }), anyOptions, (entries, deal, from, to) => {
        const { tables, entries: read, shadowed } = merged(sourcesOf(entries, deal, from), to)
        const wanted = build(entries, to)
        expect(tables).toHaveLength(1)
        expect(tables[0]!.bytes).toEqual(wanted.file.bytes)
        expect(tables[0]!.summary).toEqual(wanted.summary)
        expect([read, shadowed]).toEqual([entries.length, 0])
      }),
      runs(300),
    )
  })

  it('leaves older versions out unseen where nobody asks for them, and says what they pointed to', () => {
    fc.assert(
      fc.property(anyTable(80), fc.array(fc.nat(7), { minLength: 1, maxLength: 9 }), fc.array(anyOptions, { minLength: 1, maxLength: 4 }), (entries, deal, from) => {
        const { tables, entries: read, judged, shadowed, tombstones, lost } = merged(sourcesOf(entries, deal, from), { dropsOlder: true })
        const isNewest = (entry: Entry, i: number): boolean => i === 0 || compareBytes(entries[i - 1]!.key, entry.key) !== 0
        const newest = entries.filter(isNewest)
        const older = entries.filter((entry, i) => !isNewest(entry, i))
        expect(tables[0]!.bytes).toEqual(build(newest).file.bytes)
        expect(read).toBe(entries.length)
        expect(judged).toBe(newest.filter(({ kind }) => kind !== KIND_VALUE && kind !== KIND_POINTER).length)
        expect(shadowed).toBe(older.length)
        expect(tombstones).toBe(older.filter(({ kind }) => kind === KIND_TOMBSTONE).length)
        const pointers = older.filter(({ kind }) => (kind & ~KIND_ATTRIBUTES) === KIND_POINTER)
        expect(lost).toEqual(pointers.map(({ value }) => [value[0], new DataView(value.buffer, value.byteOffset).getUint32(4, true)]))
      }),
      runs(200),
    )
  })

  it('sees of the same entry in two sources that of the newer one', () => {
    const old = Array.from({ length: 50 }, (_, i) => pointer(i, 100 + i, 1))
    const young = old.map((entry) => ({ ...entry, value: encodePointer({ fid: 2, offset: 7, len: 8 }) }))
    const { tables, entries } = merged([sourceOf(build(young).open()), sourceOf(build(old).open())])
    expect(tables[0]!.bytes).toEqual(build(young).file.bytes)
    expect(entries).toBe(50)
  })

  it('fetches what it has no room for, however large a block', () => {
    const entries = pointerEntries(6000)
    const older = entries.map((entry) => ({ ...entry, sequence: entry.sequence - 900 + 10_000, value: encodePointer({ fid: 9, offset: 1, len: 5 }) }))
    const { tables, lost } = merged([sourceOf(build(older).open()), sourceOf(build(entries).open())], { dropsOlder: true, blockSize: 1 << 20 })
    expect(tables[0]!.bytes).toEqual(build(older, { blockSize: 1 << 20 }).file.bytes)
    expect(lost).toHaveLength(6000)
  })

  it('grows with what it is given: long keys, long values, and many sources', () => {
    const long = Array.from({ length: 40 }, (_, i): Entry => ({ key: Uint8Array.from([...numbered(i), ...new Uint8Array(i * 1600)]), sequence: 9, kind: KIND_VALUE, value: new Uint8Array(i * 40_000).fill(i) }))
    const { tables } = merged(long.map((entry) => sourceOf(build([entry]).open())))
    expect(Buffer.compare(tables[0]!.bytes, build(long).file.bytes)).toBe(0)
  })

  it('fetches keys that point nowhere, and pointers of one key', () => {
    const values = Array.from({ length: 6000 }, (_, i): Entry => ({ key: numbered(i), sequence: 5, kind: KIND_VALUE, value: new Uint8Array(0) }))
    const versions = Array.from({ length: 6000 }, (_, i) => pointer(1, 6000 - i, 1 + i))
    for (const entries of [values, versions]) {
      const { tables } = merged([sourceOf(build(entries).open())], { blockSize: 1 << 20 })
      expect(Buffer.compare(tables[0]!.bytes, build(entries, { blockSize: 1 << 20 }).file.bytes)).toBe(0)
    }
  })

  it('grows before the restart points of a block are more than its room', () => {
    // Entries of 32 bytes, of which 512 fill the first room.
    for (let count = 480; count <= 512; count += 8) {
      const entries = Array.from({ length: count }, (_, i): Entry => ({ key: numbered(i), sequence: 5, kind: KIND_VALUE, value: new Uint8Array(6) }))
      const options = { blockSize: 1 << 20, restartInterval: 1 }
      const { tables } = merged([sourceOf(build(entries).open())], options)
      expect(Buffer.compare(tables[0]!.bytes, build(entries, options).file.bytes), String(count)).toBe(0)
    }
  })

  it('grows before a key is longer than its room, by however little', () => {
    // Room is of 256 bytes at first, and of some more that copies of whole words may spoil.
    for (let length = 250; length < 300; length++) {
      const keys = Array.from({ length: 6 }, (_, i): Entry => ({ key: new Uint8Array(length).fill(7).fill(i, length - 1), sequence: 9, kind: KIND_VALUE, value: new Uint8Array(0) }))
      const { tables } = merged([0, 1].map((own) => sourceOf(build(keys.filter((_, i) => i % 2 === own)).open())))
      expect(Buffer.compare(tables[0]!.bytes, build(keys).file.bytes), String(length)).toBe(0)
    }
  })

  it('tells where damage lies', () => {
    const [later, earlier] = [1, 0].map((i) => build([pointer(i, 5, 1)]).open())
    expect(() => merged([sourceOf(later!, earlier!)])).toThrow(expect.objectContaining({ code: 'WK_CORRUPTION', file: '000007.sst', offset: 0 }))
  })

  it('cuts tables where they have grown to their size, between keys', () => {
    const entries = pointerEntries(3000).flatMap((entry) => [{ ...entry, sequence: entry.sequence + 10_000 }, entry])
    const { tables } = merged([sourceOf(build(entries).open())], { tableSize: 20_000 })
    let from = 0
    for (const { bytes: made, summary } of tables) {
      const file = new ArrayFile()
      const writer = new TableWriter(file, { fileNumber: summary.number })
      for (; from < entries.length; from++) {
        const { key, sequence, kind, value } = entries[from]!
        if (from % 2 === 0 && writer.entries > 0 && writer.estimatedSize >= 20_000) break
        writer.add(key, 0, key.length, sequence, kind, value, 0, value.length)
      }
      expect([writer.finish(), file.bytes]).toEqual([summary, made])
    }
    expect(from).toBe(entries.length)
    expect(tables.length).toBeGreaterThan(4)
  })
})

describe('whoever merges', () => {
  /** Steps and the entry that each is about. */
  function steps(entries: readonly Entry[], options: { dropsOlder?: boolean; showsPointers?: boolean; bound?: Uint8Array }, answer: (merge: TableMerge, step: number) => number = () => VERDICT.KEEP): string[] {
    const seen: string[] = []
    const file = new ArrayFile()
    const merge = new TableMerge([sourceOf(build(entries).open())], { blockSize: 4096, restartInterval: 16, dropsOlder: false, showsPointers: false, onLost: () => undefined, ...options })
    const names = ['done', 'judge', 'bound', 'table', 'pointer', 'pause']
    merge.setBound(options.bound)
    let verdict: number = VERDICT.KEEP
    for (let step = merge.step(); step !== MERGE.DONE; step = merge.step(verdict)) {
      if (step === MERGE.TABLE) merge.beginTable(file, 7, Infinity)
      if (step === MERGE.BOUND) merge.setBound(undefined)
      verdict = answer(merge, step)
      if (step !== MERGE.PAUSE) seen.push(`${names[step]} ${Buffer.from(merge.keyBytes.slice(merge.keyStart, merge.keyEnd)).toString().replace(/^0+(?=.)/, '')}@${merge.sequence}`)
    }
    const finish = merge.finishSteps()
    let step = finish.next()
    while (step.done !== true) step = finish.next()
    merge.close()
    const cursor = TableReader.openSync(file, 7, step.value.size).cursor()
    for (cursor.first(); cursor.valid; cursor.next()) seen.push(show({ key: cursor.keyBytes.slice(cursor.keyStart, cursor.keyEnd), sequence: cursor.sequence, kind: cursor.kind, value: cursor.valueBytes.slice(cursor.valueStart, cursor.valueEnd) }))
    return seen
  }

  const entries = [pointer(0, 5, 1), pointer(1, 9, 1), pointer(1, 4, 1), tombstone(2, 8), pointer(2, 7, 1), { ...pointer(3, 6, 1), kind: KIND_POINTER | KIND_ATTRIBUTES, value: Uint8Array.from([...pointer(3, 6, 1).value, 1, 0]) }]

  it('is asked about deletions, attributes and older versions', () => {
    const seen = steps(entries, {}, (merge, step) => (step === MERGE.JUDGE && (merge.sequence === 4 || merge.sequence === 7) ? VERDICT.DROP : VERDICT.KEEP))
    expect(seen).toEqual(['table 0@5', 'judge 1@4', 'judge 2@8', 'judge 2@7', 'judge 3@6', ...[0, 1, 3, 5].map((i) => show(entries[i]))])
  })

  it('is told of the version before', () => {
    const newer: (number | boolean)[] = []
    steps(entries, {}, (merge, step) => {
      if (step === MERGE.JUDGE) newer.push(merge.isNewKey ? true : merge.newerSequence)
      return VERDICT.KEEP
    })
    expect(newer).toEqual([9, true, 8, true])
  })

  it('may keep an older version where the newest goes: it begins tables like any other, and is told to be behind the bound', () => {
    const versions = [1, 2].flatMap((i) => [9, 8, 7].map((sequence) => pointer(i, sequence, 1)))
    const seen = steps(versions, { bound: numbered(0) }, (merge, step) => (step === MERGE.JUDGE && merge.sequence === 8 ? VERDICT.KEEP : VERDICT.DROP))
    expect(seen).toEqual(['bound 1@9', 'table 1@9', 'judge 1@8', 'judge 1@7', 'judge 2@8', 'judge 2@7', ...[0, 1, 3, 4].map((i) => show(versions[i]))])
    const deleted = [tombstone(1, 9), pointer(1, 8, 1), pointer(1, 7, 1), tombstone(2, 9), pointer(2, 8, 1)]
    const older = steps(deleted, { bound: numbered(0) }, (merge, step) => (step === MERGE.JUDGE && merge.sequence === 9 ? VERDICT.DROP : VERDICT.KEEP))
    expect(older).toEqual(['judge 1@9', 'judge 1@8', 'bound 1@8', 'table 1@8', 'judge 1@7', 'judge 2@9', 'judge 2@8', ...[1, 2, 4].map((i) => show(deleted[i]))])
  })

  it('gets to look at the clock however large blocks are', () => {
    const many = Array.from({ length: 30_000 }, (_, i): Entry => ({ key: numbered(i), sequence: 5, kind: KIND_VALUE, value: new Uint8Array(0) }))
    const large = { blockSize: 4 << 20, bloomBitsPerKey: 0 }
    const newer = build(many.map((entry) => ({ ...entry, sequence: 6 })), large)
    const merge = new TableMerge([sourceOf(newer.open()), sourceOf(build(many, large).open())], { ...large, restartInterval: 16, dropsOlder: true, showsPointers: false, onLost: () => undefined })
    const file = new ArrayFile()
    let longest = 0
    let before = 0
    for (let step = merge.step(); step !== MERGE.DONE; step = merge.step()) {
      if (step === MERGE.TABLE) merge.beginTable(file, 7, Infinity)
      longest = Math.max(longest, merge.entries - before)
      before = merge.entries
    }
    for (const steps = merge.finishSteps(); steps.next().done !== true; );
    merge.close()
    expect(longest).toBeLessThan(10_000)
    expect(Buffer.compare(file.bytes, newer.file.bytes)).toBe(0)
  })

  it('may put a tombstone in the place of an entry, attributes and all', () => {
    const seen = steps(entries, { dropsOlder: true }, (merge) => (merge.sequence === 6 ? VERDICT.BURY : VERDICT.KEEP))
    expect(seen.slice(-1)).toEqual([show(tombstone(3, 6))])
  })

  it('may write pointers anew', () => {
    const moved = encodePointer({ fid: 77, offset: 1, len: 2 })
    const seen = steps(entries, { dropsOlder: true, showsPointers: true }, (merge, step) => {
      if (step === MERGE.POINTER) merge.valueBytes.set(moved, merge.valueStart)
      return VERDICT.KEEP
    })
    expect(seen.filter((line) => line.startsWith('pointer'))).toEqual(['pointer 0@5', 'pointer 1@9', 'pointer 3@6'])
    expect(seen.slice(-4)).toEqual([show({ ...entries[0]!, value: moved }), show({ ...entries[1]!, value: moved }), show(entries[3]), show({ ...entries[5]!, value: Uint8Array.from([...moved, 1, 0]) })])
  })

  it('is told of the first entry behind the bound', () => {
    expect(steps(entries, { dropsOlder: true, bound: numbered(1) }).slice(0, 3)).toEqual(['table 0@5', 'judge 2@8', 'bound 2@8'])
    expect(steps(entries, { dropsOlder: true, bound: new Uint8Array(0) })[0]).toBe('bound 0@5')
    expect(steps(entries, { dropsOlder: true, bound: bytes('z') }).some((line) => line.startsWith('bound'))).toBe(false)
  })
})

describe('a merge in a thread that had others', () => {
  it('says nothing twice at its end', () => {
    const lost: number[] = []
    const versions = [pointer(1, 9, 1), pointer(1, 8, 2)]
    const merge = new TableMerge([sourceOf(build(versions).open())], { blockSize: 1, restartInterval: 16, dropsOlder: true, showsPointers: false, onLost: (fid) => lost.push(fid) })
    for (let step = merge.step(); step !== MERGE.DONE; step = merge.step()) if (step === MERGE.TABLE) merge.beginTable(new ArrayFile(), 7, Infinity)
    expect([merge.step(), merge.step()]).toEqual([MERGE.DONE, MERGE.DONE])
    merge.close()
    expect(lost).toEqual([2])
  })

  it('has its own memory, though another was closed twice', () => {
    const options = { blockSize: 500, restartInterval: 16, dropsOlder: true, showsPointers: false, onLost: () => undefined }
    const closed = new TableMerge([], options)
    closed.close()
    closed.close()
    const tables = [build(pointerEntries(300), { blockSize: 500 }), build(pointerEntries(200), { blockSize: 500 })]
    const merges = tables.map((table) => new TableMerge([sourceOf(table.open())], options))
    const files = merges.map(() => new ArrayFile())
    const left = new Set(merges.keys())
    while (left.size > 0) {
      for (const i of left) {
        const step = merges[i]!.step()
        if (step === MERGE.TABLE) merges[i]!.beginTable(files[i]!, 7, Infinity)
        if (step === MERGE.DONE) left.delete(i)
      }
    }
    for (const [i, merge] of merges.entries()) {
      for (const steps = merge.finishSteps(); steps.next().done !== true; );
      merge.close()
      expect(Buffer.compare(files[i]!.bytes, tables[i]!.file.bytes)).toBe(0)
    }
  })

  it('knows nothing of their entries, bounds and tables, wherever they were left', () => {
    const table = build(pointerEntries(300))
    const options = { blockSize: 500, restartInterval: 16, dropsOlder: true, showsPointers: false, onLost: () => undefined }
    for (let left = 0; left < 60; left++) {
      const merge = new TableMerge([sourceOf(table.open()), sourceOf(table.open())], options)
      merge.setBound(numbered(250))
      for (let i = 0; i < left; i++) if (merge.step() === MERGE.TABLE) merge.beginTable(new ArrayFile(), 7, 1 << 20)
      merge.cut()
      merge.close()
      const next = new TableMerge([sourceOf(table.open())], options)
      expect([next.entries, next.unseen]).toEqual([0, { shadowed: 0, tombstones: 0 }])
      const file = new ArrayFile()
      for (let step = next.step(); step !== MERGE.DONE; step = next.step()) {
        expect(step === MERGE.PAUSE || step === MERGE.TABLE).toBe(true)
        if (step === MERGE.TABLE) next.beginTable(file, 7, 1 << 20)
      }
      for (const steps = next.finishSteps(); steps.next().done !== true; );
      next.close()
      expect(Buffer.compare(file.bytes, build(pointerEntries(300), { blockSize: 500 }).file.bytes)).toBe(0)
    }
  })
})
