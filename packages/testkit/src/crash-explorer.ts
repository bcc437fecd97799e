/**
 * Crashes a workload before every mutating file-system operation it makes, and judges every image that is left. For
 * each operation index, policy and seed: the image must open; what is visible must be an ordered prefix that holds
 * everything promised; every value must be readable and `verify()` must be content; opening once more must show the
 * same and find no orphan left to remove; and something new must be writable and survive. Where asked, the recovery
 * itself is crashed too, before each of its own operations, and the recovery from that again, and must still lead to
 * the same map.
 *
 * Images are held in memory and judged after the run (`crash-judge.ts`); a workload with many operations is run several
 * times, one window of indices at a time. Knows no test runner.
 */
import type { CrashPolicy, MemoryFileSystem, MutatingOperation } from '@wk/fs'
import { CrashJudge, type Image } from './crash-judge.js'
import type { Database } from './database.js'
import type { CrashOracle } from './oracle.js'

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
  /** Mutating operations of the workload, the last time it ran: one that is held up may share fewer writes than another. */
  operations: number
  /** Crash images judged. */
  images: number
  /** Those of them that were opened; the others held the very files of one that had been. */
  distinctImages: number
  /** Images of a crashed recovery judged, those of a recovery after a crashed recovery included. */
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
  /** Crash the recovery from a crashed recovery as well, at some of its operations. Default false. */
  readonly recoveryTwice?: boolean
  /** Compact and collect garbage in every n-th image after its recovery, which must not change the map; 0 never. */
  readonly maintainEvery: number
  /** Only this operation index. */
  readonly onlyIndex?: number
  /** Most images held at a time; default 600. */
  readonly window?: number
  /** Which operations to crash before; default all. Asked in the moment of the operation. */
  readonly crashBefore?: (index: number, operation: string) => boolean
  /** Stop early once this says so; what was explored until then counts. */
  readonly stop?: (report: CrashReport) => boolean
  /** Stop after this many findings; default 5. */
  readonly maxFindings?: number
}

/** Explores all crash points of a workload. */
export async function exploreCrashes(options: ExploreOptions): Promise<CrashReport> {
  const report: CrashReport = { operations: 0, images: 0, distinctImages: 0, recoveryImages: 0, kinds: new Map(), findings: [] }
  const perIndex = options.policies.reduce((sum, policy) => sum + seedsOf(policy, options.seeds).length, 0)
  const width = Math.max(1, Math.floor((options.window ?? 600) / perIndex))
  for (let from = options.onlyIndex ?? 0; ; from += width) {
    const oracle = options.createOracle()
    const until = options.onlyIndex === undefined ? from + width : from + 1
    const { images, operations, created } = await captureImages(options, oracle, from, until, report.kinds)
    report.operations = operations
    const judge = new CrashJudge(options, oracle, created, report)
    for (const image of images) {
      if (options.stop?.(report) === true || report.findings.length >= (options.maxFindings ?? 5)) return report
      await judge.judge(image)
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
  let unsynced: { path: string; index: number }[] = []
  const images: Image[] = []
  let operations = 0
  const capture = (operation: string): void => {
    const index = operations
    if (index < from || index >= until || options.crashBefore?.(index, operation) === false) return
    const kind = operation.split(' ')[0] ?? operation
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    for (const policy of options.policies) {
      for (const seed of seedsOf(policy, options.seeds)) {
        images.push({ fs: fs.crashClone(policy, seed), bounds: oracle.bounds(policy === 'P1'), index, operation, policy, seed, created: created.length })
      }
    }
  }
  fs.onMutatingOperation = (index, operation) => {
    capture(describeOperation(operation))
    operations++
    const { kind, path, covers = 0 } = operation
    if (kind === 'create') unsynced.push({ path, index })
    else if (kind === 'syncDir') {
      // A sync covers what came before its call; a file may have been created since.
      const isCovered = (name: (typeof unsynced)[number]): boolean => name.index < covers && name.path.slice(0, name.path.lastIndexOf('/')) === path
      created.push(...unsynced.filter(isCovered).map((name) => name.path))
      unsynced = unsynced.filter((name) => !isCovered(name))
    }
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
