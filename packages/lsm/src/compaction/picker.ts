/**
 * Chooses the next compaction: a pure function of the version, the options, the round-robin cursors and what runs.
 *
 * 1. A level that is too large goes first, the largest excess before the others (`level-targets.ts`). Level 0 moves to
 *    the base level; a level below moves its next table, round robin, to the level under it.
 * 2. When no level is too large and `reclaim` is set: the table that frees most garbage for the bytes it costs
 *    (`garbage.ts`) moves one level down; tombstones with nothing below them are rewritten away. Every such step moves
 *    entries down or takes tombstones out, so it ends: a database that only deletes shrinks without new writes.
 *
 * `full-compaction.ts` plans explicit compactions. What every pick must keep is in `pick.ts`.
 */
import { compareBytes } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { INITIAL_SHADOW_RATIO, estimateGarbage } from './garbage.js'
import type { Garbage } from './garbage.js'
import { hullOf } from './job.js'
import type { JobInput } from './job.js'
import { levelScores, levelTargets } from './level-targets.js'
import type { LevelOptions } from './level-targets.js'
import { bytesOf, conflicts, levelZeroClosure, makePick, overlapping } from './pick.js'
import type { CompactionPick, Levels, PickReason } from './pick.js'

export interface PickerOptions extends LevelOptions {
  /** Bytes of an output table. */
  tableSize: number
  /** Bytes of the level after next that one table may overlap. */
  maxGrandparentOverlap: number
}

export interface PickInput {
  /** `Version.levels`. */
  levels: Levels
  options: PickerOptions
  /** By level: the largest key of the last pick there ({@link advanceCursors}). */
  cursors: readonly (Uint8Array | undefined)[]
  /** Compactions under way. */
  running: readonly CompactionPick[]
  /** Sequence number of the oldest live snapshot. */
  oldestSnapshot: number | undefined
  /** Whether compactions may run for garbage alone. Set it when nothing more urgent waits. */
  reclaim: boolean
  /** Unix seconds; what expired by then counts as garbage. Default: nothing has expired. */
  now?: number
  /** From {@link learnShadowRatio}. */
  shadowRatio?: number
}

/** Tables of bytes, times `tableSize`, up to which the upper side of a compaction is widened for free. */
const EXPANSION_TABLES = 25

/** From this part of all data on, estimated garbage is worth compactions of its own. */
const WORTHWHILE_GARBAGE = 0.1

/** The next compaction, or `undefined` if nothing is due or everything due conflicts with what runs. */
export function pickCompaction(input: PickInput): CompactionPick | undefined {
  const { levels, options } = input
  const targets = levelTargets(levels, options)
  // What is being compacted is on its way out already.
  const busy = new Set(input.running.flatMap(({ inputs }) => inputs.flatMap(({ tables }) => tables)).map(({ number }) => number))
  const waiting = busy.size === 0 ? levels : levels.map((tables) => tables.filter(({ number }) => !busy.has(number)))
  for (const { level, score } of levelScores(waiting, targets, options)) {
    if (score < 1) break
    const pick = level === 0 ? pickLevelZero(input, 'l0', targets.baseLevel) : pickRoundRobin(input, level)
    if (pick !== undefined) return pick
  }
  return input.reclaim ? pickGarbage(input, targets.baseLevel) : undefined
}

/** The cursors after `pick` was started. */
export function advanceCursors(
  cursors: readonly (Uint8Array | undefined)[],
  pick: CompactionPick,
): (Uint8Array | undefined)[] {
  const advanced = [...cursors]
  const upper = pick.inputs[0]!
  if (upper.level > 0 && pick.reason !== 'full') {
    while (advanced.length <= upper.level) advanced.push(undefined)
    advanced[upper.level] = upper.tables.at(-1)!.largestKey
  }
  return advanced
}

/** The oldest table of level 0 (or `seed`) with all that overlaps, into `baseLevel`. */
function pickLevelZero(
  input: PickInput,
  reason: PickReason,
  baseLevel: number,
  seed?: TableSummary,
): CompactionPick | undefined {
  const { levels, options } = input
  const levelZero = levels[0] ?? []
  const first = seed ?? levelZero.at(-1)
  if (first === undefined) return undefined
  const tables = levelZeroClosure(levelZero, (table) => table === first, true)
  const lower = overlapping(levels[baseLevel] ?? [], hullOf(tables))
  const inputs = [
    { level: 0, tables },
    { level: baseLevel, tables: lower },
  ]
  return free(input, makePick(levels, reason, inputs, baseLevel, options.maxGrandparentOverlap))
}

function pickRoundRobin(input: PickInput, level: number): CompactionPick | undefined {
  const tables = input.levels[level] ?? []
  const cursor = input.cursors[level]
  let start = cursor === undefined ? 0 : tables.findIndex((table) => compareBytes(table.smallestKey, cursor) > 0)
  if (start < 0) start = 0
  for (let i = 0; i < tables.length; i++) {
    const table = tables[(start + i) % tables.length]!
    const pick = pickDown(input, 'size', level, table)
    if (pick !== undefined) return pick
  }
  return undefined
}

/** `table` of `level` (at least 1) into the level below. */
function pickDown(input: PickInput, reason: PickReason, level: number, table: TableSummary): CompactionPick | undefined {
  const { levels, options } = input
  const inputs = widen(levels, level, [table], options.tableSize * EXPANSION_TABLES)
  return free(input, makePick(levels, reason, inputs, level + 1, options.maxGrandparentOverlap))
}

/** The inputs for moving `tables` down: neighbours come along when that adds nothing to what is read below. */
function widen(levels: Levels, level: number, tables: TableSummary[], limit: number): JobInput[] {
  const upper = levels[level] ?? []
  const lower = overlapping(levels[level + 1] ?? [], hullOf(tables))
  if (lower.length > 0) {
    const wide = overlapping(upper, hullOf([...tables, ...lower]))
    if (wide.length > tables.length && bytesOf(wide) + bytesOf(lower) <= limit) {
      if (overlapping(levels[level + 1] ?? [], hullOf(wide)).length === lower.length) tables = wide
    }
  }
  return [
    { level, tables },
    { level: level + 1, tables: lower },
  ]
}

function pickGarbage(input: PickInput, baseLevel: number): CompactionPick | undefined {
  const { levels, oldestSnapshot } = input
  const { total, tables } = estimateGarbage(levels, input.shadowRatio ?? INITIAL_SHADOW_RATIO, input.now ?? 0)
  let hidden = 0
  for (const { freed } of tables) hidden += freed
  const isWorthwhile = hidden > 0 && hidden >= WORTHWHILE_GARBAGE * total
  const candidates = tables
    .filter(({ table, isHeavy, isBottommost }) =>
      // Without snapshots that are older, a rewrite leaves no tombstone: it is not picked again and again.
      isBottommost ? oldestSnapshot === undefined || table.largestSequence <= oldestSnapshot : isHeavy || isWorthwhile,
    )
    .sort((a, b) => b.freed / b.cost - a.freed / a.cost)
  for (const candidate of candidates) {
    const pick = pickFor(input, candidate, baseLevel)
    if (pick !== undefined) return pick
  }
  return undefined
}

function pickFor(input: PickInput, { level, table, isBottommost }: Garbage, baseLevel: number): CompactionPick | undefined {
  if (level === 0) return pickLevelZero(input, 'reclaim', baseLevel, table)
  if (!isBottommost) return pickDown(input, 'reclaim', level, table)
  const inputs = [{ level, tables: [table] }]
  return free(input, makePick(input.levels, 'rewrite', inputs, level, input.options.maxGrandparentOverlap))
}

/** `pick`, unless it must wait for one that runs. */
function free(input: PickInput, pick: CompactionPick): CompactionPick | undefined {
  return input.running.some((other) => conflicts(pick, other)) ? undefined : pick
}
