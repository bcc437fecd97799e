/**
 * Which faults there are to inject: every operation of a fault-free run, with every error that the call can give, once
 * and for good; every sync; every read and write cut short. Pure: a list of operations in, a list of cases out.
 */
import type { FaultRule, OperationKind } from '@wk/fs'
import type { Rng } from './rng.js'

/** One run with one fault. */
export interface FaultCase {
  /** In words, and unique: `ENOSPC once at write 17`. */
  readonly name: string
  readonly rule: FaultRule
  /** Nothing may be seen of it: no error, no other answer. */
  readonly harmless: boolean
}

/** The calls that can give an error. EIO is the one that any can give. */
const CALLS: Readonly<Record<string, readonly OperationKind[]>> = {
  EIO: ['open', 'create', 'rename', 'remove', 'list', 'mkdir', 'syncDir', 'lock', 'read', 'write', 'truncate', 'punch', 'sync', 'size', 'usage', 'close'],
  ENOSPC: ['create', 'rename', 'mkdir', 'write', 'truncate', 'punch', 'sync', 'syncDir'],
  EMFILE: ['open', 'create', 'list', 'syncDir', 'lock'],
  EACCES: ['open', 'create', 'rename', 'remove', 'list', 'mkdir', 'lock'],
}

/** Calls that may report a failure although they took place. (An open would lose its handle.) */
const MAY_TAKE_PLACE: readonly OperationKind[] = ['rename', 'remove', 'mkdir', 'syncDir', 'write', 'truncate', 'punch', 'sync']

/** Errors at every operation. Once in a while a write fails after it moved a part, or a call after it took place. */
export function errorCases(operations: readonly OperationKind[], rng: Rng): FaultCase[] {
  const cases: FaultCase[] = []
  for (const [errno, kinds] of Object.entries(CALLS)) {
    for (const [index, kind] of operations.filter((one) => kinds.includes(one)).entries()) {
      const rule: FaultRule = { operation: kinds, index, errno }
      cases.push({ name: `${errno} for good from ${kind} ${index}`, rule: { ...rule, times: Infinity }, harmless: false })
      const short = kind === 'write' && rng.chance(0.5) ? rng.between(1, 200) : undefined
      if (short !== undefined) cases.push({ name: `${errno} once at ${kind} ${index} after ${short} bytes`, rule: { ...rule, short }, harmless: false })
      else if (MAY_TAKE_PLACE.includes(kind) && rng.chance(0.5)) cases.push({ name: `${errno} once at ${kind} ${index}, which takes place`, rule: { ...rule, after: true }, harmless: false })
      else cases.push({ name: `${errno} once at ${kind} ${index}`, rule, harmless: false })
    }
  }
  return cases
}

/** Every sync of a file or directory fails; later ones of the same path lie, as on Linux. */
export function syncCases(operations: readonly OperationKind[]): FaultCase[] {
  const count = operations.filter((kind) => kind === 'sync' || kind === 'syncDir').length
  return Array.from({ length: count }, (_, index) => ({ name: `sync ${index} fails`, rule: { operation: ['sync', 'syncDir'], index, errno: 'EIO', thenLie: true }, harmless: false }))
}

/** Every read and write moves a few bytes less than asked, and once all of them do. */
export function shortCases(operations: readonly OperationKind[], rng: Rng): FaultCase[] {
  const cases: FaultCase[] = [{ name: 'every read and write is short', rule: { operation: ['read', 'write'], short: rng.between(1, 9), times: Infinity }, harmless: true }]
  for (const kind of ['read', 'write'] as const) {
    const count = operations.filter((one) => one === kind).length
    for (let index = 0; index < count; index++) cases.push({ name: `short ${kind} ${index}`, rule: { operation: kind, index, short: rng.pick([1, 2, 7, 16, 100]) }, harmless: true })
  }
  return cases
}
