/** What jobs write, byte for byte, and what they say of it, against a model that knows only the rules. */
import { formatFileName } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JobResult } from '../src/compaction/job.js'
import { runJob } from '../src/compaction/job-runner.js'
import { propertyOptions } from './iterator-support.js'
import { makeJob, planArbitrary } from './job-generator.js'
import type { JobPlan, MadeJob } from './job-generator.js'
import { runModel } from './job-model.js'

function contentOf(fs: FileSystem, path: string): Buffer {
  const file = fs.openSync(path, 'read')
  const content = Buffer.alloc(file.sizeSync())
  file.readSync(content, 0, content.length, 0)
  file.closeSync()
  return content
}

/** The first byte that differs; -1 if none does. */
function differenceOf(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return -1
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? a.length : at
}

/** Keys as text: long arrays are compared slowly. */
function plain({ tables, ...rest }: JobResult): unknown {
  const textOf = (key: Uint8Array): string => Buffer.from(key).toString('hex')
  return { ...rest, tables: tables.map(({ smallestKey, largestKey, ...table }) => ({ ...table, smallestKey: textOf(smallestKey), largestKey: textOf(largestKey) })) }
}

/** Compares what a job did, of which `names` were there before, with what the model does. */
async function expectAsModel({ job, sources, fs }: MadeJob, names: readonly string[], result: JobResult): Promise<void> {
  const model = await runModel(job, sources)
  expect(plain(result)).toStrictEqual(plain(model.result))
  const created = result.tables.map(({ number }) => formatFileName('table', number))
  expect(await fs.list(job.dir)).toEqual([...names, ...created].sort())
  for (const name of created) expect(differenceOf(contentOf(fs, `${job.dir}/${name}`), contentOf(model.fs, `${job.dir}/${name}`)), name).toBe(-1)
  expect(fs.openFiles).toBe(0)
}

/** What is rare enough to be lost by a change of the generators, and frequent enough for hundreds of runs. */
function featuresOf({ job, sources }: MadeJob, { tables, dropped }: JobResult): Record<string, boolean> {
  return {
    'a flush': job.type === 'flush',
    'a memtable above tables': job.type === 'compact' && job.memtable !== undefined && sources.length > 1,
    'ten sources': sources.length >= 10,
    'a level of several tables': job.type === 'compact' && job.inputs.some((input) => input.level > 0 && input.tables.length > 1),
    'several tables': tables.length > 2,
    'all file numbers used': tables.length > 1 && tables.length === job.fileNumbers.length,
    'a large table': tables.some(({ size }) => size > 300 << 10),
    'sequences above 32 bits only': tables.some(({ smallestSequence }) => smallestSequence > 2 ** 32),
    'moves': job.type === 'compact' && job.moves !== undefined && tables.some(({ references }) => references.length > 0),
    'shadowed entries': dropped.shadowed > 0,
    'vanished tombstones': dropped.highestTombstone > 0,
    'buried entries': dropped.expired > 0,
    'lost references': dropped.references.length > 0,
  }
}

describe('a job', () => {
  test('writes the tables that the rules ask for, byte for byte, and tells exactly what it did', async () => {
    const counts: Record<string, number> = {}
    const options = propertyOptions<[JobPlan]>(400)
    await fc.assert(
      fc.asyncProperty(planArbitrary, async (plan) => {
        const made = await makeJob(plan)
        const names = await made.fs.list(made.job.dir)
        const result = await runJob(made.job, { fs: made.fs, runtime: defaultRuntime })
        await expectAsModel(made, names, result)
        for (const [name, has] of Object.entries(featuresOf(made, result))) counts[name] = (counts[name] ?? 0) + (has ? 1 : 0)
      }),
      options,
    )
    if ((options.numRuns ?? 0) < 300) return
    for (const [name, count] of Object.entries(counts)) expect(count, name).toBeGreaterThan(0)
  })

  test('does the same in slices, with other jobs in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(planArbitrary, { minLength: 2, maxLength: 4 }), async (plans) => {
        let clock = 0
        const runtime: Runtime = { ...defaultRuntime, monotonic: () => (clock += 100) }
        const jobs = await Promise.all(plans.map(makeJob))
        const names = await Promise.all(jobs.map(({ fs, job }) => fs.list(job.dir)))
        const results = await Promise.all(jobs.map(({ fs, job }) => runJob(job, { fs, runtime })))
        for (const [i, made] of jobs.entries()) await expectAsModel(made, names[i]!, results[i]!)
      }),
      propertyOptions(50),
    )
  })
})
