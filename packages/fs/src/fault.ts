/**
 * A file system that fails on purpose, by rule.
 *
 * A rule matches operations by kind and path, skips the first `index` of them, and then acts once, a number of times,
 * or for ever: it fails the operation with an errno, before or after the real one took place, or makes a read or
 * write short. A failed `close` closes all the same, as the system does. The first rule that acts on an operation wins.
 */
import { ioErrorOf } from './errno.js'
import type { File, FileSystem } from './file-system.js'
import { InterceptedFileSystem } from './intercept.js'
import type { Operation, OperationKind } from './intercept.js'

export interface FaultRule {
  /** Kinds to match; default all. */
  operation?: OperationKind | readonly OperationKind[]
  /** Paths to match: a part of the path, or a pattern. Default all. */
  path?: string | RegExp
  /** How many matching operations pass before the rule acts. Default 0. */
  index?: number
  /** How many matching operations it then acts on; `Infinity` for a sticky fault. Default 1. */
  times?: number
  /** The failure. Without it, and without `short`, `EIO`. */
  errno?: string
  /**
   * Bytes that a matching read or write moves at most (at least 1, or the call would look like the end of the file).
   * With `errno` as well, a write moves them and then fails.
   */
  short?: number
  /** Fail after the operation has taken place instead of before. Default false. */
  after?: boolean
  /**
   * For `sync`: once it has failed, later syncs of the same path succeed without doing anything, as after a failed
   * fsync on Linux, where the pages count as clean; until it is created anew, with other pages. Default false.
   */
  thenLie?: boolean
}

/** A fault that was injected. */
export interface InjectedFault {
  /** Number of the operation, counted over all of them from 0. */
  readonly index: number
  readonly kind: OperationKind
  readonly path: string
  readonly rule: FaultRule
}

interface ActiveRule {
  readonly rule: FaultRule
  seen: number
}

export class FaultFileSystem extends InterceptedFileSystem {
  /** What was injected, in order. */
  readonly injected: InjectedFault[] = []
  #rules: ActiveRule[] = []
  readonly #lying = new Set<string>()
  #opCount = 0

  constructor(inner: FileSystem, rules: readonly FaultRule[] = []) {
    super(inner, 'fault')
    for (const rule of rules) this.add(rule)
  }

  /** Operations of all kinds so far. */
  get opCount(): number {
    return this.#opCount
  }

  /** Adds a rule; it counts from now on. */
  add(rule: FaultRule): void {
    this.#rules.push({ rule, seen: 0 })
  }

  /** Removes all rules, and syncs tell the truth again: the device is whole. */
  clear(): void {
    this.#rules = []
    this.#lying.clear()
  }

  async around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    const rule = this.#next(operation)
    if (rule === undefined) return this.#lies(operation) ? (undefined as T) : run()
    if (this.#shorten(rule, operation)) return run()
    if (takesPlace(rule, operation)) letGo(operation, await run())
    throw this.#failure(rule, operation)
  }

  aroundSync<T>(operation: Operation, run: () => T): T {
    const rule = this.#next(operation)
    if (rule === undefined) return this.#lies(operation) ? (undefined as T) : run()
    if (this.#shorten(rule, operation)) return run()
    if (takesPlace(rule, operation)) letGo(operation, run())
    throw this.#failure(rule, operation)
  }

  #next(operation: Operation): FaultRule | undefined {
    const index = this.#opCount++
    let acting: FaultRule | undefined
    for (const active of this.#rules) {
      if (!matches(active.rule, operation)) continue
      const at = active.seen++ - (active.rule.index ?? 0)
      if (acting === undefined && at >= 0 && at < (active.rule.times ?? 1)) acting = active.rule
    }
    if (acting !== undefined) {
      this.injected.push({ index, kind: operation.kind, path: operation.path, rule: acting })
    }
    return acting
  }

  /** Applies `short`. @returns whether the operation then succeeds */
  #shorten(rule: FaultRule, operation: Operation): boolean {
    if (rule.short === undefined || operation.length === undefined) return false
    if (operation.kind !== 'read' && operation.kind !== 'write') return false
    if (operation.length > 0) operation.length = Math.max(1, Math.min(operation.length, rule.short))
    return rule.errno === undefined
  }

  #lies(operation: Operation): boolean {
    if (operation.kind === 'create') this.#lying.delete(operation.path)
    return operation.kind === 'sync' && this.#lying.has(operation.path)
  }

  #failure(rule: FaultRule, operation: Operation): Error {
    if (operation.kind === 'sync' && rule.thenLie === true) this.#lying.add(operation.path)
    return ioErrorOf(rule.errno ?? 'EIO', operation.kind, operation.path)
  }
}

function matches(rule: FaultRule, operation: Operation): boolean {
  if (rule.operation !== undefined) {
    const kinds = typeof rule.operation === 'string' ? [rule.operation] : rule.operation
    if (!kinds.includes(operation.kind)) return false
  }
  if (rule.path === undefined) return true
  const paths = operation.to === undefined ? [operation.path] : [operation.path, operation.to]
  const { path } = rule
  return paths.some((one) => (typeof path === 'string' ? one.includes(path) : one.search(path) >= 0))
}

/** A file that was opened and is not handed out must not stay open. */
function letGo(operation: Operation, result: unknown): void {
  if (operation.kind === 'open' || operation.kind === 'create') (result as File).closeSync()
}

/** Whether the operation has its effect although it is reported as failed. */
function takesPlace(rule: FaultRule, operation: Operation): boolean {
  if (rule.after === true || operation.kind === 'close') return true
  return operation.kind === 'write' && rule.short !== undefined
}
