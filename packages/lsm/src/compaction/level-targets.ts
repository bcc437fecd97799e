/**
 * How large each level may be, and where level 0 goes.
 *
 * Sizes are dynamic: the last level is as large as the data, each level above it a `levelSizeMultiplier`-th of the one
 * below, down to `levelBaseSize`. The level where that is reached is the **base level**: level 0 is compacted straight
 * into it and the levels between stay empty. So about nine tenths of the entries are in the last level, whatever the
 * size of the database, and few stale entries hide above it.
 *
 * The base level is never below a level that holds tables: an entry would sink beneath older ones. When a database
 * shrinks, the levels above the computed base are drained instead (their target is zero) and used until they are empty.
 */
import { bytesOf } from './pick.js'
import type { Levels } from './pick.js'

export interface LevelOptions {
  /** Bytes of the base level. */
  levelBaseSize: number
  /** How many times larger the next level may be. */
  levelSizeMultiplier: number
  /** Levels, level 0 included. */
  maxLevels: number
  /** Tables in level 0 that make it due. */
  l0CompactionTrigger: number
}

export interface LevelTargets {
  /** Where level 0 is compacted to; at least 1. */
  baseLevel: number
  /** The deepest level in use. */
  lastLevel: number
  /** Bytes each level may hold, by level; 0 for level 0 and for levels that should be empty. */
  targets: number[]
}

export function levelTargets(levels: Levels, options: LevelOptions): LevelTargets {
  let lastLevel = Math.max(1, options.maxLevels - 1)
  let firstFilled = Infinity
  let largest = 0
  for (let level = 1; level < levels.length; level++) {
    const tables = levels[level] ?? []
    if (tables.length === 0) continue
    firstFilled = Math.min(firstFilled, level)
    lastLevel = Math.max(lastLevel, level)
    largest = Math.max(largest, bytesOf(tables))
  }
  // A base smaller than what arrives at once from level 0 would be passed through, not filled.
  const base = Math.max(options.levelBaseSize, bytesOf(levels[0] ?? []))
  const targets = Array.from({ length: lastLevel + 1 }, () => 0)
  let level = lastLevel
  let size = largest
  targets[level] = Math.max(size, options.levelBaseSize)
  while (size > base && level > 1) {
    level--
    size /= options.levelSizeMultiplier
    targets[level] = Math.max(size, options.levelBaseSize)
  }
  return { baseLevel: Math.min(level, firstFilled), lastLevel, targets }
}

/** How urgently each level but the last wants to be compacted: from 1 on it should be. Highest first. */
export function levelScores(
  levels: Levels,
  targets: LevelTargets,
  options: LevelOptions,
): { level: number; score: number }[] {
  const levelZero = levels[0] ?? []
  const scores = [
    {
      level: 0,
      score: Math.max(
        levelZero.length / options.l0CompactionTrigger,
        bytesOf(levelZero) / (options.levelBaseSize * options.l0CompactionTrigger),
      ),
    },
  ]
  for (let level = 1; level < targets.lastLevel; level++) {
    const bytes = bytesOf(levels[level] ?? [])
    if (bytes === 0) continue
    const target = targets.targets[level] ?? 0
    // Levels that should be empty are drained, but after those that are really too large.
    scores.push({ level, score: target === 0 ? Math.max(1, bytes / options.levelBaseSize) : bytes / target })
  }
  return scores.sort((a, b) => b.score - a.score || a.level - b.level)
}
