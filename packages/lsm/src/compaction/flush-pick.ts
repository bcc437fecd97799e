/**
 * The compaction that a flush can be at the same time: a memtable merged with what lies below it, straight to the deepest level.
 *
 * One step where flush and compaction would be two, each with its own tables, syncs and edit: what the memtable overwrites
 * counts as garbage at once.
 */
import { compareBytes } from '@wk/codec'
import { hullOf } from './job.js'
import type { JobInput, KeyInterval } from './job.js'
import { bytesOf, makePick, overlapping } from './pick.js'
import type { CompactionPick } from './pick.js'
import type { PickInput } from './picker.js'

/** Tables' worth of bytes, times `tableSize`, that a flush is merged with at most: it must not wait long for them. */
const MOST_TABLES = 8

/** The tables below a memtable with these keys; `undefined` where it has to go to level 0 first. Pure. */
export function pickBelow({ levels, options, running }: Pick<PickInput, 'levels' | 'options' | 'running'>, keys: KeyInterval): CompactionPick | undefined {
  // A newer entry must not sink below an older one: not one in level 0, nor one that is being moved.
  if ((levels[0] ?? []).length > 0 || running.length > 0) return undefined
  const inputs: JobInput[] = []
  let hull = keys
  for (let level = 1; level < levels.length; level++) {
    const tables = overlapping(levels[level] ?? [], hull)
    if (tables.length === 0) continue
    inputs.push({ level, tables })
    hull = around(hull, hullOf(tables))
  }
  const last = inputs.at(-1)
  if (last === undefined || levels.slice(last.level + 1).some((tables) => tables.length > 0)) return undefined
  if (bytesOf(inputs.flatMap(({ tables }) => tables)) > MOST_TABLES * options.tableSize) return undefined
  return { ...makePick(levels, 'full', inputs, last.level, options.maxGrandparentOverlap), hull, trivialMove: false }
}

function around(a: KeyInterval, b: KeyInterval): KeyInterval {
  return {
    smallest: compareBytes(a.smallest, b.smallest) <= 0 ? a.smallest : b.smallest,
    largest: compareBytes(a.largest, b.largest) >= 0 ? a.largest : b.largest,
  }
}
