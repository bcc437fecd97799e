/**
 * Crashes a workload before every mutating file-system operation it makes, and judges every image that is left. For
 * each operation index, policy and seed: the image must open; what is visible must be an ordered prefix that holds
 * everything promised; every value must be readable and `verify()` must be content; opening once more must show the
 * same and find no orphan left to remove; and something new must be writable and survive. Where asked, the recovery
 * itself is crashed too, before each of its own operations, and must still lead to the same map.
 *
 * Images are held in memory and judged after the run; a workload with many operations is run several times, one window
 * of indices at a time. Knows no test runner.
 */
import { createHash } from 'node:crypto'
import { WkError } from '@wk/codec'
import { readFullySync, type CrashPolicy, type MemoryFileSystem, type MutatingOperation } from '@wk/fs'
import type { Database } from './database.js'
import { bytesOf, textOf, type KeyText } from './model.js'
import { sameBytes, type Bounds, type CrashOracle } from './oracle.js'

/** The law of architecture.md section 3 that a finding breaks. */
export type Law = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 11

/** Where a crash happened. */
export interface CrashPoint {
  /** The operation before which the image was taken, counted from 0. */
  readonly index: number
  /** That operation, in words. */
  readonly operation: string
  readonly policy: CrashPolicy
  readonly seed: number
}

/** Something that must not be. */
export interface CrashFinding extends CrashPoint {
  readonly law: Law
  readonly message: string
}

/** What was explored, and what was found. */
export interface CrashReport {
  /** Mutating operations of the workload. */
  operations: number
  /** Crash images judged. */
  images: number
  /** Those of them that were opened; the others held the very files of one that had been. */
  distinctImages: number
  /** Images of a crashed recovery judged. */
  recoveryImages: number
  /** Kinds of operation before which an image was taken, with their number. */
  readonly kinds: Map<string, number>
  readonly findings: CrashFinding[]
}

/** How to explore. */
export interface ExploreOptions {
  /** Directory of the database under test. */
  readonly dir: string
  /** Opens the database under test on a file system; every image is opened with it. */
  readonly open: (fs: MemoryFileSystem) => Promise<Database>
  /** A fresh, empty file system for one run of the workload. */
  readonly createFileSystem: () => MemoryFileSystem
  /** Runs the whole workload and tells the oracle of it. May be called several times. */
  readonly run: (fs: MemoryFileSystem, oracle: CrashOracle) => Promise<void>
  readonly createOracle: () => CrashOracle
  readonly policies: readonly CrashPolicy[]
  /** Seeds for the policies that choose at random (P2 and above). */
  readonly seeds: readonly number[]
  /** Crash the recovery of every n-th image as well; 0 never. */
  readonly recoveryEvery: number
  /** Compact and collect garbage in every n-th image after its recovery, which must not change the map; 0 never. */
  readonly maintainEvery: number
  /** Only this operation index. */
  readonly onlyIndex?: number
  /** Most images held at a time; default 600. */
  readonly window?: number
  /** Stop early once this says so; what was explored until then counts. */
  readonly stop?: () => boolean
  /** Stop after this many findings; default 5. */
  readonly maxFindings?: number
}

interface Image extends CrashPoint {
  readonly fs: MemoryFileSystem
  readonly bounds: Bounds
  /** How many names of files the workload had made durable before. A name that never was can be in no durable byte. */
  readonly created: number
  /** True until the image was opened for the first time. */
  recovering: boolean
}

/** A name with a number, which must never be given twice. */
const NUMBERED = /\d+\.(sst|vlog|rlog|wal)$/

/** What a recovery must not leave lying about. A value log without a live byte may wait for the collector. */
const OWNED = /\.(sst|tmp)$/

/** Explores all crash points of a workload. */
export async function exploreCrashes(options: ExploreOptions): Promise<CrashReport> {
  const report: CrashReport = { operations: 0, images: 0, distinctImages: 0, recoveryImages: 0, kinds: new Map(), findings: [] }
  const perIndex = options.policies.reduce((sum, policy) => sum + seedsOf(policy, options.seeds).length, 0)
  const width = Math.max(1, Math.floor((options.window ?? 600) / perIndex))
  for (let from = options.onlyIndex ?? 0; ; from += width) {
    const oracle = options.createOracle()
    const until = options.onlyIndex === undefined ? from + width : from + 1
    const { images, operations, created } = await captureImages(options, oracle, from, until, report.kinds)
    report.operations = Math.max(report.operations, operations)
    const known = new Map<string, ReadonlyMap<KeyText, Uint8Array>>()
    for (const image of images) {
      if (options.stop?.() === true || report.findings.length >= (options.maxFindings ?? 5)) return report
      await judgeImage(options, oracle, image, created, report, known)
    }
    if (options.onlyIndex !== undefined || until > operations) return report
  }
}

function seedsOf(policy: CrashPolicy, seeds: readonly number[]): readonly number[] {
  return policy === 'P0' || policy === 'P1' ? [0] : seeds
}

/** Runs the workload once and clones the file system before each operation of the window, and once after the end. */
async function captureImages(options: ExploreOptions, oracle: CrashOracle, from: number, until: number, kinds: Map<string, number>): Promise<{ images: Image[]; operations: number; created: string[] }> {
  const fs = options.createFileSystem()
  const created: string[] = []
  const unsynced: string[] = []
  const images: Image[] = []
  let operations = 0
  const capture = (operation: string): void => {
    const index = operations
    if (index < from || index >= until) return
    const kind = operation.split(' ')[0] ?? operation
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    for (const policy of options.policies) {
      for (const seed of seedsOf(policy, options.seeds)) {
        images.push({ fs: fs.crashClone(policy, seed), bounds: oracle.bounds(policy === 'P1'), index, operation, policy, seed, created: created.length, recovering: true })
      }
    }
  }
  fs.onMutatingOperation = (_, operation) => {
    capture(describeOperation(operation))
    operations++
    if (operation.kind === 'create') unsynced.push(operation.path)
    else if (operation.kind === 'syncDir') created.push(...unsynced.splice(0))
  }
  await options.run(fs, oracle)
  fs.onMutatingOperation = undefined
  capture('end')
  return { images, operations, created }
}

function describeOperation({ kind, path, to, position, length }: MutatingOperation): string {
  const words = [kind, path, to === undefined ? '' : `to ${to}`, position === undefined ? '' : `at ${position}`, length === undefined ? '' : `length ${length}`]
  return words.filter((word) => word !== '').join(' ')
}

/**
 * Judges one image: recovery, second opening, something new; and, where its turn has come, a crashed recovery. Of
 * images that hold the same durable files, and came after the same creations, only the first is opened: what they
 * show is known, only the bounds differ.
 */
async function judgeImage(options: ExploreOptions, oracle: CrashOracle, image: Image, created: readonly string[], report: CrashReport, known: Map<string, ReadonlyMap<KeyText, Uint8Array>>): Promise<void> {
  report.images++
  const { index, operation, policy, seed } = image
  const fail = (law: Law, message: string): void => {
    report.findings.push({ index, operation, policy, seed, law, message })
  }
  // What a killed process left is not all durable: two such images differ in more than their files.
  const print = policy === 'P1' ? `P1 ${index}` : `${image.created} ${await fingerprint(image.fs, options.dir)}`
  const shown = known.get(print)
  if (shown !== undefined) {
    const verdict = oracle.check(shown, image.bounds)
    if (!verdict.ok) fail(verdict.law, verdict.message)
    return
  }
  report.distinctImages++
  const halfway = isTurn(options.recoveryEvery, report) ? captureRecovery(image) : []
  const before = new Set(created.slice(0, image.created).filter((path) => NUMBERED.test(path)))
  watchNames(image.fs, before, (path) => fail(11, `${path} was created before the crash and again after it`))
  try {
    const visible = await judgeFirstOpen(options, oracle, image, fail)
    if (visible === undefined) return
    known.set(print, visible)
    await judgeSecondOpen(options, image.fs, visible, fail)
    if (isTurn(options.maintainEvery, report)) await judgeMaintenance(options, image.fs, fail)
    for (const [at, fs] of halfway.entries()) {
      report.recoveryImages++
      const again = await readImage(options, fs)
      const difference = again instanceof Error ? `does not open: ${again.message}` : differenceOf(again, visible)
      if (difference !== undefined) fail(1, `recovery crashed before its operation ${at}: ${difference}`)
    }
  } catch (err) {
    fail(lawOf(err, 1), `unexpected error: ${err instanceof Error ? (err.stack ?? err.message) : String(err)}`)
  }
}

/** Reports each file that is created under a name that was given before. Calls the hook that was there, too. */
function watchNames(fs: MemoryFileSystem, before: ReadonlySet<string>, report: (path: string) => void): void {
  const hook = fs.onMutatingOperation
  fs.onMutatingOperation = (at, operation) => {
    hook?.(at, operation)
    if (operation.kind === 'create' && before.has(operation.path)) report(operation.path)
  }
}

function isTurn(every: number, report: CrashReport): boolean {
  return every > 0 && report.distinctImages % every === 0
}

/** A hash of all names, sizes and bytes of a directory. */
async function fingerprint(fs: MemoryFileSystem, dir: string): Promise<string> {
  const hash = createHash('sha1')
  const names = await fs.list(dir).catch(() => [])
  for (const name of names) {
    const file = fs.openSync(`${dir}/${name}`, 'read')
    const bytes = new Uint8Array(file.sizeSync())
    readFullySync(file, bytes, 0, bytes.length, 0)
    file.closeSync()
    hash.update(`${name} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex')
}

/**
 * Lets the coming recovery of the image fill a list with clones, one before each of its operations. What a killed
 * process left is not on the device yet, so it is killed again; other images may lose power once more.
 */
function captureRecovery(image: Image): MemoryFileSystem[] {
  const clones: MemoryFileSystem[] = []
  image.fs.onMutatingOperation = (at) => {
    if (image.recovering && clones.length < 24) clones.push(image.fs.crashClone(image.policy === 'P1' || at % 2 === 0 ? 'P1' : 'P3', image.seed + at))
  }
  return clones
}

async function judgeFirstOpen(options: ExploreOptions, oracle: CrashOracle, image: Image, fail: (law: Law, message: string) => void): Promise<Map<KeyText, Uint8Array> | undefined> {
  let db: Database
  try {
    db = await options.open(image.fs)
  } catch (err) {
    fail(lawOf(err, 6), `does not open: ${textOfError(err)}`)
    return undefined
  } finally {
    image.recovering = false
  }
  try {
    const visible = await readAll(db)
    const verdict = oracle.check(visible, image.bounds)
    if (!verdict.ok) fail(verdict.law, verdict.message)
    await readByKey(db, visible, oracle)
    const verified = await db.verify()
    if (!verified.ok) fail(verified.problems.some((problem) => problem.file.endsWith('log')) ? 3 : 8, `verify: ${JSON.stringify(verified.problems.slice(0, 3))}`)
    if (verdict.ok && image.policy === 'P1') await judgeLostPower(options, db, image.fs, visible, fail)
    return verdict.ok && verified.ok ? visible : undefined
  } catch (err) {
    fail(isAboutValues(err) ? 3 : lawOf(err, 3), `reading after recovery: ${textOfError(err)}`)
    return undefined
  } finally {
    await db.close()
  }
}

/** After the process was killed and recovered, `sync()` must make all that was recovered survive losing power. */
async function judgeLostPower(options: ExploreOptions, db: Database, fs: MemoryFileSystem, visible: Map<KeyText, Uint8Array>, fail: (law: Law, message: string) => void): Promise<void> {
  await db.sync()
  const found = await readImage(options, fs.crashClone('P0'))
  const difference = found instanceof Error ? `does not open: ${found.message}` : differenceOf(found, visible)
  if (difference !== undefined) fail(1, `recovered, synced, and lost with the power: ${difference}`)
}

/** The same map again, nothing left to tidy, and a new write that survives losing power. */
async function judgeSecondOpen(options: ExploreOptions, fs: MemoryFileSystem, visible: Map<KeyText, Uint8Array>, fail: (law: Law, message: string) => void): Promise<void> {
  const removed: string[] = []
  const hook = fs.onMutatingOperation
  fs.onMutatingOperation = (at, operation) => {
    hook?.(at, operation)
    if (operation.kind === 'remove' && OWNED.test(operation.path)) removed.push(operation.path)
  }
  const db = await options.open(fs)
  fs.onMutatingOperation = hook
  if (removed.length > 0) fail(5, `the second opening still had to remove ${removed.join(', ')}`)
  const again = differenceOf(await readAll(db), visible)
  if (again !== undefined) fail(1, `the second opening shows another map: ${again}`)
  const expected = new Map(visible)
  const small = bytesOf('new')
  const large = new Uint8Array(3000).fill(0x77)
  const [oldest] = visible.keys()
  await db.batch([
    { type: 'put', key: 'new small', value: small },
    { type: 'put', key: 'new large', value: large },
  ])
  expected.set('new small', small)
  expected.set('new large', large)
  if (oldest !== undefined) {
    await db.del(bytesOf(oldest))
    expected.delete(oldest)
  }
  await db.sync()
  const after = fs.crashClone('P0', 1)
  await db.close()
  for (const [name, clone] of [['lost power', after] as const, ['closed', fs] as const]) {
    const found = await readImage(options, clone)
    const difference = found instanceof Error ? `does not open: ${found.message}` : differenceOf(found, expected)
    if (difference !== undefined) fail(1, `something new did not survive (${name}): ${difference}`)
  }
}

/** Compaction and collection after a recovery, opened again in between: nothing changes, nothing comes back. */
async function judgeMaintenance(options: ExploreOptions, fs: MemoryFileSystem, fail: (law: Law, message: string) => void): Promise<void> {
  let expected: Map<KeyText, Uint8Array> | undefined
  for (let round = 0; round < 2; round++) {
    const db = await options.open(fs)
    try {
      expected ??= await readAll(db)
      for (const step of [() => db.compact(), () => db.runValueLogGC(0.01), () => db.compact()]) {
        await step().catch((err: unknown) => {
          if (!(err instanceof WkError && err.code === 'WK_NO_REWRITE')) throw err
        })
        const difference = differenceOf(await readAll(db), expected)
        if (difference !== undefined) fail(4, `compaction or collection after the recovery changed the map: ${difference}`)
      }
      const verified = await db.verify()
      if (!verified.ok) fail(8, `verify after maintenance: ${JSON.stringify(verified.problems.slice(0, 3))}`)
    } finally {
      await db.close()
    }
  }
}

/** Opens an image, reads everything, closes it. */
async function readImage(options: ExploreOptions, fs: MemoryFileSystem): Promise<Map<KeyText, Uint8Array> | Error> {
  try {
    const db = await options.open(fs)
    try {
      return await readAll(db)
    } finally {
      await db.close()
    }
  } catch (err) {
    return err instanceof Error ? err : new Error(String(err))
  }
}

/** Everything an iterator shows. */
export async function readAll(db: Database): Promise<Map<KeyText, Uint8Array>> {
  const visible = new Map<KeyText, Uint8Array>()
  for await (const [key, value] of db.iterator()) visible.set(textOf(key), value)
  return visible
}

/** Every key the workload ever touched, read one by one, must agree with the scan. */
async function readByKey(db: Database, visible: ReadonlyMap<KeyText, Uint8Array>, oracle: CrashOracle): Promise<void> {
  for (const key of oracle.keys()) {
    const bytes = bytesOf(key)
    const expected = visible.get(key)
    if (!sameBytes(db.getSync(bytes), expected)) throw new Error(`getSync and iterator differ for ${JSON.stringify(key.slice(0, 40))}`)
    if ((await db.has(bytes)) !== (expected !== undefined)) throw new Error(`has and iterator differ for ${JSON.stringify(key.slice(0, 40))}`)
  }
}

function differenceOf(found: ReadonlyMap<KeyText, Uint8Array>, expected: ReadonlyMap<KeyText, Uint8Array>): string | undefined {
  for (const key of new Set([...found.keys(), ...expected.keys()])) {
    const [a, b] = [found.get(key), expected.get(key)]
    if (!sameBytes(a, b)) return `${JSON.stringify(key.slice(0, 40))} has ${a?.length ?? 'no'} bytes, expected ${b?.length ?? 'no'}`
  }
  return undefined
}

/** Damage that a read meets in a value log right after a recovery: something durable points to what is not. */
function isAboutValues(err: unknown): boolean {
  return typeof err === 'object' && err !== null && 'file' in err && /\.[vr]log$/.test(String(err.file))
}

function lawOf(err: unknown, otherwise: Law): Law {
  return typeof err === 'object' && err !== null && 'code' in err && err.code === 'WK_CORRUPTION' ? 6 : otherwise
}

function textOfError(err: unknown): string {
  if (!(err instanceof Error)) return String(err)
  const facts = ['code', 'file', 'offset'].flatMap((name) => (name in err ? [`${name}=${String((err as unknown as Record<string, unknown>)[name])}`] : []))
  return [err.message, ...facts].join(' ')
}
