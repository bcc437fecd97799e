/**
 * Several rounds of one engine made into one result. On a shared machine a single round may be off by half; of each phase the
 * round in the middle is taken, with all its figures, so that no figure is a mix.
 */
import type { EngineResult, PhaseResult } from './result.js'

/** Puts the parts of one round together; each ran in a process of its own. The first failure is the failure of the whole. */
export function mergeParts(parts: readonly EngineResult[]): EngineResult {
  const [first] = parts
  if (first === undefined) throw new RangeError('no part to merge')
  const sum = (valueOf: (part: EngineResult) => number | null): number | null =>
    parts.some((part) => valueOf(part) === null) ? null : parts.reduce((total, part) => total + (valueOf(part) ?? 0), 0)
  return {
    ...first,
    phases: parts.flatMap(({ phases }) => phases),
    userBytesWritten: sum(({ userBytesWritten }) => userBytesWritten) ?? 0,
    bytesHanded: sum(({ bytesHanded }) => bytesHanded),
    bytesDirtied: sum(({ bytesDirtied }) => bytesDirtied),
    residentPeak: Math.max(...parts.map(({ residentPeak }) => residentPeak)),
    anonymousPeak: first.anonymousPeak === null ? null : Math.max(...parts.map(({ anonymousPeak }) => anonymousPeak ?? 0)),
    wallSeconds: sum(({ wallSeconds }) => wallSeconds) ?? 0,
    stats: parts.findLast(({ stats }) => stats !== null)?.stats ?? null,
    failure: parts.find(({ failure }) => failure !== null)?.failure ?? null,
  }
}

/** Merges rounds of the same engine, at least one. A round that failed is the result: a failure must not be averaged away. */
export function mergeRounds(rounds: readonly EngineResult[]): EngineResult {
  const [first] = rounds
  if (first === undefined) throw new RangeError('no round to merge')
  const failed = rounds.find(({ failure }) => failure !== null)
  if (failed !== undefined || rounds.length === 1) return failed ?? first
  const middle = median(rounds, ({ wallSeconds }) => wallSeconds)
  return {
    ...middle,
    phases: first.phases.map(({ name }) => mergePhase(rounds.flatMap(({ phases }) => phases.filter((phase) => phase.name === name)))),
    residentPeak: Math.max(...rounds.map(({ residentPeak }) => residentPeak)),
    anonymousPeak: middle.anonymousPeak === null ? null : Math.max(...rounds.map(({ anonymousPeak }) => anonymousPeak ?? 0)),
  }
}

function mergePhase(phases: readonly PhaseResult[]): PhaseResult {
  return { ...median(phases, ({ seconds }) => seconds), roundSeconds: phases.map(({ seconds }) => seconds) }
}

/** The item in the middle; of an even number the upper one, so that two rounds count as the slower. */
function median<T>(items: readonly T[], valueOf: (item: T) => number): T {
  const sorted = [...items].sort((a, b) => valueOf(a) - valueOf(b))
  return sorted[sorted.length >> 1] as T
}
