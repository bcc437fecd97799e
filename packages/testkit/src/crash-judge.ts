/**
 * Judges what a crash left: opens the image, reads everything, and compares with what the oracle allows; opens it again,
 * writes something new, loses that image's power; compacts and collects; crashes the recovery itself. Which image to
 * judge, and what to do about a finding, is the explorer's business.
 */
import { createHash } from 'node:crypto'
import { WkError } from '@wk/codec'
import { readFullySync, type CrashPolicy, type MemoryFileSystem } from '@wk/fs'
import type { CrashPoint, CrashReport, ExploreOptions, Law } from './crash-explorer.js'
import type { Database } from './database.js'
import { bytesOf, textOf, type KeyText } from './model.js'
import { sameBytes, type Bounds, type CrashOracle } from './oracle.js'

/** A file system as a crash left it, and what may be found there. */
export interface Image extends CrashPoint {
  readonly fs: MemoryFileSystem
  readonly bounds: Bounds
  /** How many names of files the workload had made durable before. A name that never was can be in no durable byte. */
  readonly created: number
}

type Visible = Map<KeyText, Uint8Array>
type Fail = (law: Law, message: string) => void

/** A name with a number, which must never be given twice. */
const NUMBERED = /\d+\.(sst|vlog|rlog|wal)$/

/** What a recovery must not leave lying about. A value log without a live byte may wait for the collector. */
const OWNED = /\.(sst|tmp)$/

/** Clean ends that may follow one another before the tables are as the last one left them. */
const MOST_ENDS = 10

/** Most operations of one recovery that are crashed before, and of a recovery after a crashed one. */
const RECOVERY_POINTS = 40
const SECOND_RECOVERY_POINTS = 4

/** What loses power in a recovery, in turns, when the image itself was durable. */
const RECOVERY_POLICIES: readonly CrashPolicy[] = ['P1', 'P3', 'P0', 'P4', 'P2', 'P5']

/** Judges the images of one run of one workload, and counts in the report. */
export class CrashJudge {
  readonly #options: ExploreOptions
  readonly #oracle: CrashOracle
  readonly #created: readonly string[]
  readonly #report: CrashReport
  /** What was visible in images that are judged already, by all they hold. */
  readonly #known = new Map<string, Visible>()

  /** @param created every numbered name that became durable, in order: see {@link Image.created} */
  constructor(options: ExploreOptions, oracle: CrashOracle, created: readonly string[], report: CrashReport) {
    this.#options = options
    this.#oracle = oracle
    this.#created = created
    this.#report = report
  }

  /**
   * Recovery, second opening, something new; and, where its turn has come, maintenance and a crashed recovery. Of images
   * that hold the same durable files, and came after the same creations, only the first is opened: what they show is
   * known, only the bounds differ.
   */
  async judge(image: Image): Promise<void> {
    const report = this.#report
    report.images++
    const { index, operation, policy, seed } = image
    const fail: Fail = (law, message) => report.findings.push({ index, operation, policy, seed, law, message })
    // What a killed process left is not all durable: two such images differ in more than their files.
    const print = policy === 'P1' ? `P1 ${index}` : `${image.created} ${await fingerprint(image.fs, this.#options.dir)}`
    const shown = this.#known.get(print)
    if (shown !== undefined) {
      const verdict = this.#oracle.check(shown, image.bounds)
      if (!verdict.ok) fail(verdict.law, verdict.message)
      return
    }
    report.distinctImages++
    const before = new Set(this.#created.slice(0, image.created).filter((path) => NUMBERED.test(path)))
    const recovery = isTurn(this.#options.recoveryEvery, report) ? captureRecovery(image.fs, policy, seed, RECOVERY_POINTS) : undefined
    watchNames(image.fs, before, (path) => fail(11, `${path} was created before the crash and again after it`))
    try {
      const visible = await this.#firstOpen(image, fail, () => recovery?.end())
      if (visible === undefined) return
      this.#known.set(print, visible)
      await this.#secondOpen(image.fs, visible, report.distinctImages, fail)
      if (isTurn(this.#options.maintainEvery, report)) await this.#maintenance(image.fs, fail)
      for (const [at, clone] of recovery?.clones.entries() ?? []) await this.#crashedRecovery(clone, visible, `recovery crashed before its operation ${at}`, this.#options.recoveryTwice === true, fail)
    } catch (err) {
      fail(lawOf(err, 1), `unexpected error: ${err instanceof Error ? (err.stack ?? err.message) : String(err)}`)
    }
  }

  async #firstOpen(image: Image, fail: Fail, opened: () => void): Promise<Visible | undefined> {
    let db: Database
    try {
      db = await this.#options.open(image.fs)
    } catch (err) {
      fail(lawOf(err, 6), `does not open: ${textOfError(err)}`)
      return undefined
    } finally {
      opened()
    }
    try {
      const visible = await readAll(db)
      const verdict = this.#oracle.check(visible, image.bounds)
      if (!verdict.ok) fail(verdict.law, verdict.message)
      await readByKey(db, visible, this.#oracle)
      const verified = await db.verify()
      if (!verified.ok) fail(verified.problems.some((problem) => problem.file.endsWith('log')) ? 3 : 8, `verify: ${JSON.stringify(verified.problems.slice(0, 3))}`)
      if (verdict.ok && image.policy === 'P1') await this.#lostPower(db, image.fs, visible, fail)
      return verdict.ok && verified.ok ? visible : undefined
    } catch (err) {
      fail(isAboutValues(err) ? 3 : lawOf(err, 3), `reading after recovery: ${textOfError(err)}`)
      return undefined
    } finally {
      await db.close()
    }
  }

  /** After the process was killed and recovered, `sync()` must make all that was recovered survive losing power. */
  async #lostPower(db: Database, fs: MemoryFileSystem, visible: Visible, fail: Fail): Promise<void> {
    await db.sync()
    const difference = await this.#differenceOn(fs.crashClone('P0'), visible)
    if (difference !== undefined) fail(1, `recovered, synced, and lost with the power: ${difference}`)
  }

  /** The same map again, nothing left to tidy, and a new write that survives losing power, or in turns a clean end. */
  async #secondOpen(fs: MemoryFileSystem, visible: Visible, turn: number, fail: Fail): Promise<void> {
    const removed: string[] = []
    const hook = fs.onMutatingOperation
    fs.onMutatingOperation = (at, operation) => {
      hook?.(at, operation)
      if (operation.kind === 'remove' && OWNED.test(operation.path)) removed.push(operation.path)
    }
    const db = await this.#options.open(fs)
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
    let survivor = fs
    if (turn % 2 === 0) {
      await db.sync()
      survivor = fs.crashClone('P0', 1)
    }
    await db.close()
    if (survivor === fs) await this.#lookForOrphans(fs, fail)
    const difference = await this.#differenceOn(survivor, expected)
    if (difference !== undefined) fail(1, `something new did not survive (${survivor === fs ? 'closed' : 'lost power'}): ${difference}`)
  }

  /** After a clean end the directory holds the tables that the database knows of, and no other: both as that end left them. */
  async #lookForOrphans(fs: MemoryFileSystem, fail: Fail): Promise<void> {
    for (let attempt = 0; attempt < MOST_ENDS; attempt++) {
      const names = (await fs.list(this.#options.dir)).filter((name) => OWNED.test(name))
      const db = await this.#options.open(fs)
      const known = db.stats?.()
      await db.close()
      if (known === undefined) return
      // A flush or a compaction that began at the opening: what it left is looked at after its end.
      if ((known.flushes ?? 0) + (known.compactions ?? 0) > 0) continue
      if (names.length !== known.tables) fail(5, `orphans after a clean end: ${names.join(', ')} for ${known.tables} tables`)
      return
    }
    fail(5, `every one of ${MOST_ENDS} openings after a clean end changed the tables`)
  }

  /** Compaction and collection after a recovery, opened again in between: nothing changes, nothing comes back. */
  async #maintenance(fs: MemoryFileSystem, fail: Fail): Promise<void> {
    let expected: Visible | undefined
    for (let round = 0; round < 2; round++) {
      const db = await this.#options.open(fs)
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

  /** A recovery that was crashed halfway: it leads to the same map as one that was not, also when it is crashed once more. */
  async #crashedRecovery({ fs, policy, seed }: Halfway, visible: Visible, what: string, again: boolean, fail: Fail): Promise<void> {
    this.#report.recoveryImages++
    const recovery = again ? captureRecovery(fs, policy, seed, SECOND_RECOVERY_POINTS) : undefined
    const difference = await this.#differenceOn(fs, visible, () => recovery?.end())
    if (difference !== undefined) fail(1, `${what}: ${difference}`)
    else await this.#secondOpen(fs, visible, this.#report.recoveryImages, (law, message) => fail(law, `${what}: ${message}`))
    for (const [at, clone] of recovery?.clones.entries() ?? []) await this.#crashedRecovery(clone, visible, `${what}, the next one before a later one (${at})`, false, fail)
  }

  /** Opens an image, reads and verifies everything, closes it. Undefined if it shows what is expected. */
  async #differenceOn(fs: MemoryFileSystem, expected: Visible, opened?: () => void): Promise<string | undefined> {
    try {
      const db = await this.#options.open(fs).finally(opened)
      try {
        return differenceOf(await readAll(db), expected)
      } finally {
        await db.close()
      }
    } catch (err) {
      return `does not open: ${textOfError(err)}`
    }
  }
}

/** A recovery as a crash left it. */
interface Halfway {
  readonly fs: MemoryFileSystem
  readonly policy: CrashPolicy
  readonly seed: number
}

/**
 * Lets the coming recovery of an image fill a list with clones, one before each of its operations, or before some, evenly
 * spread, where there are too many. What a killed process left is not on the device yet, so it is killed again; other
 * images may lose power once more, each clone another way.
 */
function captureRecovery(fs: MemoryFileSystem, policy: CrashPolicy, seed: number, most: number): { clones: Halfway[]; end: () => void } {
  let clones: Halfway[] = []
  let step = 1
  let operations = 0
  let recovering = true
  fs.onMutatingOperation = () => {
    const at = operations++
    if (!recovering || at % step !== 0) return
    const next = policy === 'P1' ? 'P1' : (RECOVERY_POLICIES[(seed + at) % RECOVERY_POLICIES.length] ?? 'P1')
    clones.push({ fs: fs.crashClone(next, seed + at), policy: next, seed: seed + at })
    if (clones.length <= most) return
    step *= 2
    clones = clones.filter((_, i) => i % 2 === 0)
  }
  return {
    get clones() {
      return clones
    },
    end: () => {
      recovering = false
    },
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
