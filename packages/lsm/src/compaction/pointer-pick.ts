/**
 * Plans the rewriting of pointers: tables that refer to certain value-log files, until there are none.
 *
 * A table below level 0 is written anew where it lies, its neighbours that are due along with it. From level 0 tables go down with all
 * that a compaction of them takes along. Pure.
 */
import type { TableSummary } from '@wk/sstable'
import type { FullCompactionStep } from './full-compaction.js'
import { hullOf } from './job.js'
import { levelTargets } from './level-targets.js'
import { conflicts, levelZeroClosure, makePick, overlapping } from './pick.js'
import type { CompactionPick } from './pick.js'
import type { PickInput } from './picker.js'

/** Tables' worth of bytes, times `tableSize`, that one step takes. */
const STEP_TABLES = 8

/** The next step: the first that nothing is in the way of. `isDue`: the table has such pointers. */
export function planPointerMoves(input: Pick<PickInput, 'levels' | 'options' | 'running'>, isDue: (table: TableSummary) => boolean): FullCompactionStep {
  let isWaiting = false
  for (const pick of picks(input, isDue)) {
    if (!input.running.some((other) => conflicts(pick, other))) return { type: 'run', pick }
    isWaiting = true
  }
  return { type: isWaiting ? 'wait' : 'done' }
}

function* picks({ levels, options }: Pick<PickInput, 'levels' | 'options'>, isDue: (table: TableSummary) => boolean): Generator<CompactionPick> {
  const levelZero = levelZeroClosure(levels[0] ?? [], isDue, false)
  if (levelZero.length > 0) {
    const { baseLevel } = levelTargets(levels, options)
    const lower = overlapping(levels[baseLevel] ?? [], hullOf(levelZero))
    const inputs = [
      { level: 0, tables: levelZero },
      { level: baseLevel, tables: lower },
    ]
    // A move would keep the pointers.
    yield { ...makePick(levels, 'pointers', inputs, baseLevel, options.maxGrandparentOverlap), trivialMove: false }
  }
  for (let level = 1; level < levels.length; level++) {
    for (const tables of stretches(levels[level] ?? [], isDue, STEP_TABLES * options.tableSize)) {
      yield makePick(levels, 'pointers', [{ level, tables }], level, options.maxGrandparentOverlap)
    }
  }
}

/** Neighbouring tables that are due, up to `limit` bytes or one. */
function* stretches(tables: readonly TableSummary[], isDue: (table: TableSummary) => boolean, limit: number): Generator<TableSummary[]> {
  let stretch: TableSummary[] = []
  let bytes = 0
  for (const table of tables) {
    const due = isDue(table)
    if (stretch.length > 0 && (!due || bytes + table.size > limit)) {
      yield stretch
      stretch = []
      bytes = 0
    }
    if (!due) continue
    stretch.push(table)
    bytes += table.size
  }
  if (stretch.length > 0) yield stretch
}
