/**
 * Random histories. A history is drawn from one seed and one profile: which kinds of operation, how often, over which
 * keys and value sizes. Some steps are placed, not drawn: each history holds a burst of overwrites, flushes,
 * compactions and value-log collections, so that no seed goes by without crossing them. Knows nothing of a database.
 */
import { textOf, type KeyText, type ModelRange } from './model.js'
import type { Operation, ValueSpec, WriteSpec } from './operations.js'
import type { Rng } from './rng.js'

/** What a history is like. */
export interface Profile {
  readonly operations: number
  /** Number of different keys. */
  readonly keys: number
  /** Value sizes to draw from, with repetition for weight. */
  readonly sizes: readonly number[]
  /** Odds of `sync: true` on a write. */
  readonly syncOdds: number
  /** Odds that a write or read is not awaited before the next operation. */
  readonly overlapOdds: number
  /** Draw reads, snapshots and iterators too. */
  readonly reads: boolean
  /** Weight of reopening, where a put has 34; 0 never. */
  readonly reopens: number
  /** Places in the history (0 to 1) where a burst of overwrites, then the named maintenance steps stand. */
  readonly maintenance: readonly number[]
}

/** The profile of the model test: everything, sizes around the threshold. */
export function modelProfile(operations: number, threshold: number): Profile {
  return {
    operations,
    keys: 48,
    sizes: [0, 1, 7, threshold - 1, threshold, threshold + 1, threshold * 2, 300, 700, 1500, 5000].filter((size) => size >= 0),
    syncOdds: 0.1,
    overlapOdds: 0.3,
    reads: true,
    reopens: 0.8,
    maintenance: [0.3, 0.6, 0.9],
  }
}

/** The profile of the crash tests: writes and maintenance only, small. */
export function crashProfile(operations: number, threshold: number): Profile {
  return {
    operations,
    keys: 14,
    sizes: [0, 3, threshold - 1, threshold, threshold + 1, 200, 600, 1400].filter((size) => size >= 0),
    syncOdds: 0.25,
    overlapOdds: 0.4,
    reads: false,
    reopens: 0,
    maintenance: [0.35, 0.7],
  }
}

/** Sizes of values of which the long ones leave whole blocks when they die. */
export const LONG_SIZES: readonly number[] = [20, 300, 9000, 13_000, 20_000]

/** The profile with long values and more collections: under options `withHoles` they leave holes. */
export function holesProfile(profile: Profile): Profile {
  return { ...profile, keys: 20, sizes: LONG_SIZES, syncOdds: 0.1, maintenance: [0.3, 0.5, 0.7, 0.9] }
}

/** The profile with values of much the same length, which fit where others of them died. */
export function gapsProfile(profile: Profile): Profile {
  return { ...profile, keys: 24, sizes: [20, 300, 450, 600, 600], maintenance: [0.4, 0.8] }
}

/** The same with an opening and closing at every fourth operation or so, often with nothing in between. */
export function openCloseProfile(operations: number, threshold: number): Profile {
  return { ...crashProfile(operations, threshold), reopens: 20, maintenance: [0.5] }
}

/** A set of keys that mixes plain text, shared prefixes, raw bytes, one long key, and the empty key. */
export function drawKeys(rng: Rng, count: number): KeyText[] {
  const keys = new Set<KeyText>(['', '\0', '\xff\xff', `long${'x'.repeat(rng.between(200, 900))}`])
  while (keys.size < count) {
    switch (rng.below(4)) {
      case 0:
        keys.add(`user:${rng.below(1000)}`)
        break
      case 1:
        keys.add(textOf(rng.bytes(rng.between(1, 4))))
        break
      case 2:
        keys.add(`${rng.pick([...keys])}${String.fromCharCode(rng.pick([0, 1, 0x61, 0xff]))}`)
        break
      default:
        keys.add(`a/${'b/'.repeat(rng.below(6))}${rng.below(20)}`)
    }
  }
  return [...keys]
}

/** Draws a history. */
export function drawHistory(rng: Rng, profile: Profile): Operation[] {
  const keys = drawKeys(rng, profile.keys)
  const hot = keys.slice(0, 4)
  const placed = profile.maintenance.map((place) => Math.floor(place * profile.operations))
  const history: Operation[] = []
  const open = { snapshots: [] as number[], iterators: [] as number[], next: 1 }
  while (history.length < profile.operations) {
    if (placed[0] !== undefined && history.length >= placed[0]) {
      placed.shift()
      history.push(...maintenanceBurst(rng, profile, keys))
      continue
    }
    history.push(drawOne(rng, profile, rng.chance(0.3) ? hot : keys, keys, open))
  }
  history.push({ type: 'drain' }, { type: 'compareAll' })
  return history
}

/**
 * The history with many compactions, which bring garbage out, and few collections, which end what it is used for: under options `withGaps` new
 * values are written where dead ones lie.
 */
export function fillingGaps(rng: Rng, history: readonly Operation[]): Operation[] {
  const filling: Operation[] = []
  for (const operation of history) {
    if (rng.chance(1 / 14)) filling.push({ type: 'compact' })
    if (operation.type !== 'gc' || rng.chance(0.15)) filling.push(operation)
  }
  return filling
}

/** Overwrites until something is garbage, then flush, GC, compaction, GC, in a random arrangement. */
function maintenanceBurst(rng: Rng, profile: Profile, keys: readonly KeyText[]): Operation[] {
  const burst: Operation[] = []
  const rounds = Math.max(4, Math.floor(profile.operations / 30))
  const victims = [rng.pick(keys), rng.pick(keys), rng.pick(keys)]
  const large = profile.sizes.filter((size) => size >= 600)
  for (let i = 0; i < rounds; i++) {
    burst.push(write(rng, profile, [{ key: rng.pick(victims), value: { size: rng.pick(large), seed: rng.next() } }], false))
  }
  const ratio = rng.pick([0.05, 0.3, 0.5])
  burst.push({ type: 'drain' })
  if (rng.chance(0.7)) burst.push({ type: 'flush' })
  if (rng.chance(0.5)) burst.push({ type: 'compact' })
  burst.push({ type: 'gc', ratio }, { type: 'compact' }, { type: 'gc', ratio })
  return burst
}

function drawOne(
  rng: Rng,
  profile: Profile,
  favoured: readonly KeyText[],
  keys: readonly KeyText[],
  open: { snapshots: number[]; iterators: number[]; next: number },
): Operation {
  const place = (): { snapshot?: number } => (open.snapshots.length > 0 && rng.chance(0.4) ? { snapshot: rng.pick(open.snapshots) } : {})
  const reads = profile.reads ? 1 : 0
  const kind = rng.weighted({
    put: 34,
    del: 9,
    batch: 9,
    clear: 0.7,
    get: 14 * reads,
    getMany: 4 * reads,
    scan: 7 * reads,
    seekScan: 3 * reads,
    iterator: 4 * reads,
    snapshot: 3 * reads,
    sync: 1,
    flush: 1.2,
    compact: 0.6,
    gc: 1,
    drain: 2,
    verify: profile.reads ? 0.3 : 0,
    compareAll: 0.8 * reads,
    reopen: profile.reopens,
  })
  switch (kind) {
    case 'put':
      return write(rng, profile, [{ key: rng.pick(favoured), value: drawValue(rng, profile) }], false)
    case 'del':
      return write(rng, profile, [{ key: rng.pick(favoured), value: undefined }], false)
    case 'batch':
      return write(rng, profile, drawBatch(rng, profile, keys), true)
    case 'clear':
      return { type: 'clear', range: narrowRange(rng, keys) }
    case 'get':
      return { type: 'get', key: rng.pick(favoured), how: rng.pick(['get', 'get', 'getSync', 'has']), awaited: !rng.chance(profile.overlapOdds), ...place() }
    case 'getMany':
      return { type: 'getMany', keys: Array.from({ length: rng.below(7) }, () => rng.pick(keys)), awaited: !rng.chance(profile.overlapOdds), ...place() }
    case 'scan':
      return { type: 'scan', what: rng.pick(['iterator', 'keys', 'values']), range: drawRange(rng, keys), chunk: rng.below(6), ...place() }
    case 'seekScan':
      return { type: 'seekScan', range: drawRange(rng, keys), before: rng.below(4), target: rng.pick(keys), chunk: rng.below(4), ...place() }
    case 'iterator':
      return drawIteratorStep(rng, keys, open, place)
    case 'snapshot':
      return drawSnapshotStep(rng, open)
    case 'gc':
      return { type: 'gc', ratio: rng.pick([0.01, 0.2, 0.5, 0.9]) }
    case 'reopen':
      open.snapshots = []
      open.iterators = []
      return { type: 'reopen' }
    default:
      return { type: kind }
  }
}

function drawValue(rng: Rng, profile: Profile): ValueSpec {
  return { size: rng.pick(profile.sizes), seed: rng.next() }
}

function write(rng: Rng, profile: Profile, writes: readonly WriteSpec[], batch: boolean): Operation {
  return { type: 'write', writes, batch, sync: rng.chance(profile.syncOdds), awaited: !rng.chance(profile.overlapOdds) }
}

/** Batches of 0 to 12 writes, with keys that repeat: the last write of a key wins. */
function drawBatch(rng: Rng, profile: Profile, keys: readonly KeyText[]): WriteSpec[] {
  return Array.from({ length: rng.below(13) }, () => ({ key: rng.pick(keys), value: rng.chance(0.75) ? drawValue(rng, profile) : undefined }))
}

/** Any bounds, the empty and the contradictory range among them. */
function drawRange(rng: Rng, keys: readonly KeyText[]): ModelRange {
  const range: { -readonly [name in keyof ModelRange]: ModelRange[name] } = {}
  if (rng.chance(0.3)) range.gt = rng.pick(keys)
  if (rng.chance(0.4)) range.gte = rng.pick(keys)
  if (rng.chance(0.3)) range.lt = rng.pick(keys)
  if (rng.chance(0.4)) range.lte = rng.pick(keys)
  if (rng.chance(0.4)) range.reverse = true
  if (rng.chance(0.4)) range.limit = rng.pick([-1, 0, 1, 3, 10])
  return range
}

/** A range of two neighbouring drawn keys, so that `clear` leaves most of the map alone. */
function narrowRange(rng: Rng, keys: readonly KeyText[]): ModelRange {
  const sorted = [...keys].sort()
  const at = rng.below(sorted.length)
  const low = sorted[at] as KeyText
  const high = sorted[Math.min(sorted.length - 1, at + rng.between(0, 5))] as KeyText
  return rng.chance(0.5) ? { gte: low, lt: high } : { gt: low, lte: high }
}

function drawIteratorStep(rng: Rng, keys: readonly KeyText[], open: { iterators: number[]; next: number }, place: () => { snapshot?: number }): Operation {
  if (open.iterators.length === 0 || (open.iterators.length < 3 && rng.chance(0.3))) {
    const id = open.next++
    open.iterators.push(id)
    return { type: 'openIterator', id, range: drawRange(rng, keys), ...place() }
  }
  const id = rng.pick(open.iterators)
  if (rng.chance(0.8)) return { type: 'stepIterator', id, count: rng.between(1, 8) }
  open.iterators = open.iterators.filter((other) => other !== id)
  return { type: 'closeIterator', id }
}

function drawSnapshotStep(rng: Rng, open: { snapshots: number[]; next: number }): Operation {
  if (open.snapshots.length < 3 && rng.chance(0.6)) {
    const id = open.next++
    open.snapshots.push(id)
    return { type: 'snapshot', id }
  }
  const id = open.snapshots.length === 0 ? 0 : rng.pick(open.snapshots)
  open.snapshots = open.snapshots.filter((other) => other !== id)
  return { type: 'closeSnapshot', id }
}
