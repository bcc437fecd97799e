/**
 * A tree without files: levels of entry arrays that picks are applied to, with the real merge and the real drop rules.
 * It checks after every step that levels are sorted and disjoint and that no reader can tell the difference.
 */
import { MAX_SEQUENCE, compareBytes } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { expect } from 'vitest'
import { BURY, DropRules, KEEP, SHADOWED } from '../src/compaction/drop-rules.js'
import { learnShadowRatio } from '../src/compaction/garbage.js'
import { intersects } from '../src/compaction/job.js'
import type { JobResult } from '../src/compaction/job.js'
import type { CompactionPick } from '../src/compaction/pick.js'
import { advanceCursors } from '../src/compaction/picker.js'
import type { PickInput, PickerOptions } from '../src/compaction/picker.js'
import { MergingCursor } from '../src/iterator/merging-cursor.js'
import { summaryOf } from './compaction-support.js'
import { ArrayCursor, entryAt, show, sorted, text, visible } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

export class ModelTree {
  readonly options: PickerOptions
  levels: TableSummary[][]
  readonly #snapshotsAtStart = new Map<CompactionPick, number[]>()
  readonly contents = new Map<number, Entry[]>()
  cursors: (Uint8Array | undefined)[] = []
  running: CompactionPick[] = []
  snapshots: number[] = []
  now = 0
  nextNumber = 1
  sequence = 0
  shadowRatio = 0.5
  written = 0

  constructor(options: PickerOptions) {
    this.options = options
    this.levels = Array.from({ length: options.maxLevels }, () => [])
  }

  input(reclaim: boolean): PickInput {
    const { levels, options, cursors, running, shadowRatio, now } = this
    return { levels, options, cursors, running, reclaim, shadowRatio, now, oldestSnapshot: this.snapshots[0] }
  }

  entries(): Entry[] {
    return this.levels.flat().flatMap(({ number }) => this.contents.get(number) ?? [])
  }

  /** Entries without sequence numbers become one table of level 0. */
  flush(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    const numbered = entries.map((entry) => ({ ...entry, sequence: ++this.sequence }))
    const rules = new DropRules({ snapshots: this.snapshots, now: this.now, versionsToKeep: 1, deeper: undefined })
    this.levels[0]!.unshift(this.#table(this.#apply(rules, sorted(numbered)).output))
  }

  start(pick: CompactionPick): void {
    this.running.push(pick)
    this.#snapshotsAtStart.set(pick, this.snapshots)
    this.cursors = advanceCursors(this.cursors, pick)
  }

  /** Ends a compaction that was started. */
  finish(pick: CompactionPick): void {
    this.running = this.running.filter((other) => other !== pick)
    const before = this.#views()
    const taken = new Set(pick.inputs.flatMap(({ tables }) => tables))
    for (const { level, tables } of pick.inputs) {
      for (const table of tables) expect(this.levels[level]).toContain(table)
      this.levels[level] = this.levels[level]!.filter((table) => !taken.has(table))
    }
    const outputs = pick.trivialMove ? pick.inputs[0]!.tables : this.#merge(pick)
    while (this.levels.length <= pick.outputLevel) this.levels.push([])
    this.levels[pick.outputLevel]!.push(...outputs)
    this.levels[pick.outputLevel]!.sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
    this.check()
    expect(this.#views()).toEqual(before)
  }

  run(pick: CompactionPick): void {
    this.start(pick)
    this.finish(pick)
  }

  /** Levels are sorted, no two tables of one share a user key, level 0 is newest first. */
  check(): void {
    for (const [level, tables] of this.levels.entries()) {
      for (let i = 1; i < tables.length; i++) {
        const before = tables[i - 1]!
        const table = tables[i]!
        if (level === 0) expect(before.smallestSequence).toBeGreaterThan(table.largestSequence)
        else expect(compareBytes(before.largestKey, table.smallestKey)).toBeLessThan(0)
      }
    }
    // A version is never deeper than an older one of its key.
    const newestAbove = new Map<string, number>()
    for (const [level, tables] of this.levels.entries()) {
      const here = new Map<string, number[]>()
      for (const { number } of tables) {
        for (const { key, sequence } of this.contents.get(number)!) here.set(text(key), [...(here.get(text(key)) ?? []), sequence])
      }
      for (const [key, sequences] of here) {
        const above = newestAbove.get(key)
        if (above !== undefined) expect(Math.max(...sequences), `key ${key} in level ${level}`).toBeLessThan(above)
        newestAbove.set(key, Math.min(...sequences))
      }
    }
  }

  #views(): string[][] {
    return [...this.snapshots, MAX_SEQUENCE].map((sequence) => visible(this.entries(), sequence, this.now).map(show))
  }

  #merge(pick: CompactionPick): TableSummary[] {
    const sources = pick.inputs.flatMap(({ level, tables }) => {
      const arrays = tables.map(({ number }) => this.contents.get(number)!)
      return level === 0 ? arrays : [arrays.flat()]
    })
    const merged = new MergingCursor(sources.map((entries) => new ArrayCursor(entries)))
    const all: Entry[] = []
    for (merged.first(); merged.valid; merged.next()) all.push(entryAt(merged))
    const snapshots = this.#snapshotsAtStart.get(pick) ?? []
    const rules = new DropRules({ snapshots, now: this.now, versionsToKeep: 1, deeper: pick.deeper })
    const { output, shadowed } = this.#apply(rules, all)
    const result = { dropped: { shadowed } } as JobResult
    this.shadowRatio = learnShadowRatio(this.shadowRatio, pick, result)
    this.written += all.length
    const tables: Entry[][] = []
    let last = ''
    for (const entry of output) {
      if (tables.length === 0 || (text(entry.key) !== last && tables.at(-1)!.length * 100 >= this.options.tableSize)) tables.push([])
      tables.at(-1)!.push(entry)
      last = text(entry.key)
    }
    return tables.map((entries) => this.#table(entries))
  }

  #apply(rules: DropRules, entries: readonly Entry[]): { output: Entry[]; shadowed: number } {
    const cursor = new ArrayCursor(entries)
    const output: Entry[] = []
    let shadowed = 0
    for (cursor.first(); cursor.valid; cursor.next()) {
      const verdict = rules.judge(cursor)
      if (verdict === KEEP) output.push(entryAt(cursor))
      else if (verdict === BURY) output.push({ ...entryAt(cursor), kind: 0, payload: new Uint8Array(0) })
      else if (verdict === SHADOWED) shadowed++
    }
    return { output, shadowed }
  }

  #table(entries: Entry[]): TableSummary {
    const summary = summaryOf(this.nextNumber++, entries)
    this.contents.set(summary.number, entries)
    return summary
  }
}

/** Whether two picks touch the same table, or overlap in level 0 or in what they write. */
export function interfere(a: CompactionPick, b: CompactionPick): boolean {
  const tables = new Set(a.inputs.flatMap(({ tables }) => tables))
  if (b.inputs.some((input) => input.tables.some((table) => tables.has(table)))) return true
  if (a.outputLevel !== b.outputLevel) return false
  return intersects(a.hull, b.hull)
}

