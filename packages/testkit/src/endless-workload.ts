/**
 * A write workload without end or state: step n is a function of the seed and n alone. A process that is killed and
 * started again goes on at any step, and whoever outlives it knows what it must have written.
 */
import type { Change, KeyText } from './model.js'
import { valueBytes } from './operations.js'
import { Rng } from './rng.js'

const KEYS = 80
const PREFIX = 'key '
const SIZES = [0, 5, 40, 63, 64, 65, 200, 200, 500, 1000, 1000, 3000, 9000]

/** The changes of one step: a put, a deletion, or a batch of up to eight of both with one value in common. */
export function endlessStep(seed: number, step: number): Change[] {
  const rng = Rng.of(seed, step)
  const kind = rng.weighted({ put: 70, del: 12, batch: 18 })
  if (kind === 'put') return [{ key: drawKey(rng), value: drawValue(rng) }]
  if (kind === 'del') return [{ key: drawKey(rng), value: undefined }]
  const shared = drawValue(rng)
  return Array.from({ length: rng.between(2, 8) }, () => ({ key: drawKey(rng), value: rng.chance(0.8) ? shared : undefined }))
}

/** Whether the workload writes this key. */
export function isEndlessKey(key: KeyText): boolean {
  return key.startsWith(PREFIX)
}

function drawKey(rng: Rng): KeyText {
  return `${PREFIX}${rng.below(KEYS)}`
}

function drawValue(rng: Rng): Uint8Array {
  return valueBytes({ size: rng.pick(SIZES), seed: rng.next() })
}
