/**
 * Runs a workload on a file system that fails, and judges: every failure is a typed error that carries the system's;
 * once a write of WAL, value log or manifest failed nothing is acknowledged any more, reads go on, `close()` returns in a
 * second and leaves no file open; and on a whole device again the database holds what was acknowledged, also when the
 * power was lost at the end. Knows no test runner.
 */
import { errnoOf, WkError } from '@wk/codec'
import { defaultRuntime, FaultFileSystem, MemoryFileSystem, type CrashPolicy, type FileSystem, type InjectedFault, type OperationKind } from '@wk/fs'
import { CrashJudge, readAll, type Image } from './crash-judge.js'
import type { CrashReport } from './crash-explorer.js'
import type { Database } from './database.js'
import type { FaultCase } from './fault-case.js'
import { bytesOf } from './model.js'
import { valueBytes, type Operation } from './operations.js'
import { CrashOracle, sameBytes } from './oracle.js'
import { writeStep } from './write-step.js'

/** What a run needs. */
export interface FaultRunOptions {
  readonly dir: string
  readonly open: (fs: FileSystem) => Promise<Database>
  /** Writes, maintenance and scans; what overlaps is awaited at the next step that does not. */
  readonly history: readonly Operation[]
}

/** What a run found. */
export interface FaultReport {
  /** What must not be. */
  readonly findings: string[]
  /** Operations on which the fault acted. */
  injected: number
  /** Calls that were refused. */
  rejected: number
  /** Milliseconds that `close()` took. */
  closeMs: number
}

/** A file whose failed write or sync must end all writing. */
const VITAL = /\.(wal|vlog)$|MANIFEST-|CURRENT/
const CLOSE_MS = 1000

/** The kinds of all operations of a run without a fault, in order. */
export async function operationsOf(options: FaultRunOptions): Promise<OperationKind[]> {
  const kinds: OperationKind[] = []
  class Listing extends FaultsAtZeros {
    override around<T>(operation: Parameters<FaultFileSystem['around']>[0], run: () => Promise<T>): Promise<T> {
      kinds.push(operation.kind)
      return super.around(operation, run)
    }
    override aroundSync<T>(operation: Parameters<FaultFileSystem['aroundSync']>[0], run: () => T): T {
      kinds.push(operation.kind)
      return super.aroundSync(operation, run)
    }
  }
  const disk = new MemoryFileSystem()
  const run = new FaultRun(options, undefined, disk, new Listing(disk))
  await run.work()
  if (run.report.findings.length > 0) throw new Error(`the workload fails without a fault: ${run.report.findings.join('; ')}`)
  return kinds
}

/** Runs the workload with one fault. */
export async function runFault(options: FaultRunOptions, one: FaultCase): Promise<FaultReport> {
  const disk = new MemoryFileSystem()
  const run = new FaultRun(options, one, disk, new FaultsAtZeros(disk, [one.rule]))
  await run.work()
  await run.judgeAfterwards()
  return run.report
}

/** Knows which faults met zeros ahead of records: where there is no room for those there are none (ADR 0021), and writing goes on. */
class FaultsAtZeros extends FaultFileSystem {
  readonly atZeros = new Set<InjectedFault>()

  override aroundSync<T>(operation: Parameters<FaultFileSystem['aroundSync']>[0], run: () => T): T {
    const before = this.injected.length
    const { kind, path, bytes } = operation
    const isZeros = kind === 'write' && path.endsWith('.vlog') && bytes !== undefined && bytes.every((byte) => byte === 0)
    try {
      return super.aroundSync(operation, run)
    } finally {
      if (isZeros) for (const fault of this.injected.slice(before)) this.atZeros.add(fault)
    }
  }
}

class FaultRun {
  readonly report: FaultReport = { findings: [], injected: 0, rejected: 0, closeMs: 0 }
  readonly #options: FaultRunOptions
  readonly #case: FaultCase | undefined
  readonly #disk: MemoryFileSystem
  readonly #fault: FaultsAtZeros
  readonly #oracle = new CrashOracle()
  readonly #pending: Promise<void>[] = []
  /** Steps that were refused; from the first on, nothing may be acknowledged. */
  readonly #refused = new Set<number>()
  /** The device at the end of the work, and after `close()`, as a crash leaves it. */
  readonly #images: Image[] = []

  constructor(options: FaultRunOptions, one: FaultCase | undefined, disk: MemoryFileSystem, fault: FaultsAtZeros) {
    this.#options = options
    this.#case = one
    this.#disk = disk
    this.#fault = fault
  }

  /** Opens, runs the history to its end whatever fails, heals the device, looks, closes. */
  async work(): Promise<void> {
    const db = await this.#options.open(this.#fault).catch((err: unknown) => this.#judgeError('open', err))
    if (db === undefined) return this.#end(undefined)
    for (const operation of this.#options.history) await this.#step(db, operation)
    await Promise.all(this.#pending.splice(0))
    await this.#end(db)
  }

  /** What is left on the device is judged as after a crash. */
  async judgeAfterwards(): Promise<void> {
    const crash: CrashReport = { operations: 0, images: 0, distinctImages: 0, recoveryImages: 0, kinds: new Map(), findings: [] }
    const options = { dir: this.#options.dir, open: this.#options.open, createFileSystem: () => this.#disk, run: () => Promise.resolve(), createOracle: () => this.#oracle, policies: [], seeds: [], recoveryEvery: 0, maintainEvery: 0 }
    const judge = new CrashJudge(options, this.#oracle, [], crash)
    for (const image of this.#images) await judge.judge(image)
    for (const { law, policy, operation, message } of crash.findings) this.#find(`${operation}, ${policy}: law ${law}: ${message}`)
  }

  #keepImage(policy: CrashPolicy, operation: string): void {
    this.#images.push({ fs: this.#disk.crashClone(policy, 1), bounds: this.#oracle.bounds(policy === 'P1'), index: this.#images.length, operation, policy, seed: 1, created: 0 })
  }

  async #step(db: Database, operation: Operation): Promise<void> {
    if (operation.type === 'write') {
      const changes = operation.writes.map(({ key, value }) => ({ key, value: value === undefined ? undefined : valueBytes(value) }))
      const step = this.#oracle.record(changes)
      const call = writeStep(db, changes, { sync: operation.sync }).then(
        () => this.#acknowledged(step, operation.sync),
        (err: unknown) => {
          this.#refused.add(step)
          this.#judgeError('write', err)
        },
      )
      this.#pending.push(call)
      if (!operation.awaited) return
    }
    await Promise.all(this.#pending.splice(0))
    const called = this.#oracle.called
    const run = stepOf(db, operation)
    if (run === undefined) return
    await run.then(
      () => {
        if ((operation.type === 'flush' || operation.type === 'sync') && this.#refused.size === 0) this.#oracle.durable(called)
      },
      (err: unknown) => this.#judgeError(operation.type, err),
    )
  }

  #acknowledged(step: number, durable: boolean): void {
    const [first] = this.#refused
    if (first !== undefined && first < step) this.#find(`write ${step} was acknowledged after write ${first} had been refused`)
    this.#oracle.acknowledge(step, durable)
  }

  /** Only what the fault explains: a typed error with the system's in its chain of causes. */
  #judgeError(what: string, err: unknown): undefined {
    if (err instanceof WkError && err.code === 'WK_NO_REWRITE') return undefined
    this.report.rejected++
    const errno = this.#case?.rule.errno
    const isTyped = err instanceof WkError && (err.code === 'WK_IO' || err.code === 'WK_READ_ONLY')
    if (!isTyped || errno === undefined || this.#case?.harmless === true || errnoOf(err) !== errno) {
      this.#find(`${what}: ${err instanceof Error ? `${err.name} ${'code' in err ? String(err.code) : ''} ${err.message}` : String(err)}, errno ${errnoOf(err) ?? 'none'} instead of ${errno ?? 'no error'}`)
    }
    return undefined
  }

  async #end(db: Database | undefined): Promise<void> {
    const { injected, atZeros } = this.#fault
    const isDispensable = (fault: InjectedFault): boolean => atZeros.has(fault) && fault.rule.errno === 'ENOSPC'
    const vital = injected.some((fault) => (fault.kind === 'write' || fault.kind === 'sync') && VITAL.test(fault.path) && !isDispensable(fault))
    if (this.#case?.harmless === false) this.#keepImage('P0', 'before the end')
    if (db !== undefined) {
      // A device that fails for good goes on failing until after the end in every other run; one that has not failed yet meets close().
      const { times = 1, index = 0 } = this.#case?.rule ?? {}
      if (this.#case === undefined || (injected.length > 0 && (times === 1 || index % 2 === 0))) {
        this.#fault.clear()
        await this.#judgeOpen(db, vital && this.#case?.harmless === false).catch((err: unknown) => this.#find(`on a whole device again: ${String(err)}`))
      }
      await this.#close(db)
    }
    this.report.injected = injected.length
    this.#fault.clear()
    if (this.#disk.openFiles > 0) this.#find(`${this.#disk.openFiles} files are still open after close()`)
    this.#keepImage('P1', 'after the end')
  }

  /** Law 9: reads give what was acknowledged and nothing that was refused, and writes are refused if they must be. */
  async #judgeOpen(db: Database, mustRefuse: boolean): Promise<void> {
    const isWritable = await db.put('probe', 'x').then(
      () => true,
      (err: unknown) => {
        if (!(err instanceof WkError && err.code === 'WK_READ_ONLY' && err.cause instanceof WkError && err.cause.code === 'WK_IO')) this.#find(`a later write: ${String(err)}, caused by ${String((err as Error).cause)}, caused by ${String(((err as Error).cause as Error | undefined)?.cause)}`)
        return false
      },
    )
    if (isWritable) this.#oracle.acknowledge(this.#oracle.record([{ key: 'probe', value: bytesOf('x') }]), false)
    else this.#refused.add(this.#oracle.record([{ key: 'probe', value: bytesOf('x') }]))
    if (isWritable && (mustRefuse || this.#refused.size > 0)) this.#find('a write was acknowledged after one had been refused, or after a vital write or sync had failed')
    const expected = this.#oracle.modelAfter(Math.min(...this.#refused, this.#oracle.called + 1) - 1)
    const visible = await readAll(db)
    for (const [key, value] of expected.entries()) if (!sameBytes(visible.get(key), value)) this.#find(`reads ${JSON.stringify(key.slice(0, 40))} as ${visible.get(key)?.length ?? 'no'} bytes, acknowledged were ${value.length}`)
    if (visible.size > expected.size) this.#find(`${visible.size - expected.size} keys more are visible than were acknowledged`)
    for (const [key, value] of expected.entries()) if (!sameBytes(db.getSync(bytesOf(key)), value)) this.#find(`getSync of ${JSON.stringify(key.slice(0, 40))} is another value`)
  }

  async #close(db: Database): Promise<void> {
    const called = this.#oracle.called
    const start = defaultRuntime.monotonic()
    const closed = await db.close().then(
      () => true,
      (err: unknown) => {
        this.#judgeError('close', err)
        return false
      },
    )
    this.report.closeMs = defaultRuntime.monotonic() - start
    if (this.report.closeMs > CLOSE_MS) this.#find(`close() took ${this.report.closeMs.toFixed(0)} ms`)
    if (closed && this.#fault.injected.length === 0) this.#oracle.durable(called)
  }

  #find(message: string): void {
    if (this.report.findings.length < 5) this.report.findings.push(`${this.#case?.name ?? 'no fault'}${this.#where()}: ${message}`)
  }

  #where(): string {
    const [first] = this.#fault.injected
    return first === undefined ? '' : ` (${first.kind} of ${first.path})`
  }
}

/** The call of a step that is no write. */
function stepOf(db: Database, operation: Operation): Promise<unknown> | undefined {
  switch (operation.type) {
    case 'flush':
      return db.flush()
    case 'compact':
      return db.compact()
    case 'sync':
      return db.sync()
    case 'gc':
      return db.runValueLogGC(operation.ratio)
    case 'verify':
      return db.verify()
    case 'scan':
    case 'compareAll':
      return readAll(db)
    default:
      return undefined
  }
}
