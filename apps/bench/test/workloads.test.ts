import { existsSync, mkdtempSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { runEngine } from '../src/engine-run.js'
import type { Database, Engine } from '../src/engines/engine.js'
import { loadEngine } from '../src/engines/registry.js'
import { planInput, writePlan } from '../src/input/input-plan.js'
import type { EngineJob } from '../src/protocol.js'
import type { EngineResult } from '../src/report/result.js'
import { WORKLOADS } from '../src/workloads/catalog.js'
import { temporaryDirectory, writeInput } from './temporary-directory.js'

const ROOT = temporaryDirectory()
const INPUT = join(ROOT, 'input')
const PLAN = join(ROOT, 'plan.json')

beforeAll(async () => {
  mkdirSync(INPUT)
  writeInput(INPUT, 60)
  writePlan(PLAN, await planInput(INPUT, { maxBytes: 1e9, maxFiles: 1000, seed: 1 }))
})

function run(engine: Engine, workload: EngineJob['workload'] = 'files', part = 'files'): Promise<EngineResult> {
  const dir = mkdtempSync(join(ROOT, 'run-'))
  const job: EngineJob = { engine: engine.name, workload, part, quick: true, seed: 42, dir, plan: workload === 'files' ? PLAN : null }
  return runEngine(engine, job, { onProgress: () => {}, onPhase: () => {} })
}

/** The engine with some calls of its database replaced. */
function sabotaged(engine: Engine, change: (database: Database, dir: string) => Partial<Database>): Engine {
  return {
    ...engine,
    async open(dir, options) {
      const database = await engine.open(dir, options)
      const changed = change(database, dir)
      return new Proxy(database, {
        get(target, name) {
          const value: unknown = Reflect.get(name in changed ? changed : target, name)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
    },
  }
}

describe.each(WORKLOADS.files.engines)('the main job on %s', (name) => {
  it('runs all phases and finds what it wrote', async () => {
    const engine = await loadEngine(name)
    const result = await run(engine)
    expect(result.failure).toBeNull()
    const phases = result.phases.map((phase) => phase.name)
    const expected = ['open', 'load', 'read', 'overwrite', 'delete', 'close', 'reopen', 'read-again']
    expect(phases.filter((phase) => !['collect', 'verify', 'scan', 'scan-again'].includes(phase))).toEqual(expected)
    expect(phases.includes('scan-again')).toBe(name !== 'level-blobs')
    expect(phases.includes('collect')).toBe(engine.collection !== null)
    const phase = (wanted: string) => result.phases.find((candidate) => candidate.name === wanted)
    expect(phase('load')).toMatchObject({ operations: 60, writes: true })
    expect(phase('overwrite')?.operations).toBe(30)
    expect(phase('delete')?.operations).toBe(15)
    expect(phase('read-again')?.operations).toBe(60)
    if (name !== 'level-blobs') expect(phase('scan-again')?.operations).toBe(45)
    expect(result.userBytesWritten).toBeGreaterThan(1_000_000)
    for (const { seconds, liveBytes } of result.phases.slice(1)) {
      expect(seconds).toBeGreaterThan(0)
      expect(liveBytes).toBeGreaterThan(0)
    }
    // What warming up wrote and took, the same job at least once, is not in it.
    const inPhases = result.phases.reduce((sum, { written }) => sum + (written?.handed ?? 0), 0)
    if (result.bytesHanded !== null) expect(result.bytesHanded - inPhases).toBeLessThan(result.userBytesWritten / 2)
    expect(result.wallSeconds).toBeLessThan(1.5 * result.phases.reduce((sum, { wallSeconds }) => sum + wallSeconds, 0.2))
  })
})

describe('the key-value workload', () => {
  it.each([
    ['1k-puts', ['1 KiB put-256', '1 KiB put']],
    ['1k-synced', ['1 KiB synced-1', '1 KiB synced-16', '1 KiB synced-256']],
    ['16k-reads', ['16 KiB load', '16 KiB get-sync', '16 KiB get', '16 KiB get-64', '16 KiB scan', '16 KiB scan-keys']],
  ])('runs the part %s', async (part, expected) => {
    const result = await run(await loadEngine('wk'), 'kv', part)
    expect(result.failure).toBeNull()
    expect(result.phases.map((phase) => phase.name)).toEqual(expected)
  })

  it('leaves out the rows of what an engine has not', async () => {
    const result = await run(await loadEngine('rocksdb-blobs'), 'kv', '1k-synced')
    expect(result).toMatchObject({ failure: null, phases: [] })
    const reads = await run(await loadEngine('rocksdb-blobs'), 'kv', '1k-reads')
    expect(reads.failure).toBeNull()
    expect(reads.phases.map((phase) => phase.name)).not.toContain('1 KiB get-sync')
  })

  it('leaves room above the engines: the one that does nothing is far ahead', async () => {
    const result = await run(await loadEngine('null'), 'kv', '1k-puts')
    const phase = result.phases.find(({ name }) => name === '1 KiB put-256')
    expect((phase?.operations ?? 0) / (phase?.seconds ?? 1)).toBeGreaterThan(50_000)
  })
})

describe('the churn workload', () => {
  it('samples space, counts what is written, and finds every last value', async () => {
    const result = await run(await loadEngine('wk'), 'churn', '16k-zipfian')
    expect(result.failure).toBeNull()
    const phase = (wanted: string) => result.phases.find(({ name }) => name === `16 KiB zipfian ${wanted}`)
    expect(phase('overwrite')?.operations).toBe(5 * 2000)
    expect(phase('overwrite')?.space?.length).toBeGreaterThan(1)
    expect(phase('overwrite')?.figures?.['space amp, worst']).toBeGreaterThan(1)
    if (existsSync('/proc/self/io')) expect(phase('after')?.figures?.['written per user byte']).toBeGreaterThan(1)
  })

  it('with long values, gives back holes where that is asked for', async () => {
    const result = await run(await loadEngine('wk-holes'), 'churn', '1m-uniform')
    expect(result.failure).toBeNull()
    expect(result.phases.find(({ name }) => name === '1 MiB uniform overwrite')?.operations).toBe(5 * 40)
    expect(result.stats).toHaveProperty('gcBytesPunched')
  })

  it('writes new values into gaps, or copies what is alive where that is asked for', async () => {
    for (const [name, fills] of [['wk', true], ['wk-copies', false]] as const) {
      const result = await run(await loadEngine(name), 'churn', '16k-uniform')
      expect(result.failure).toBeNull()
      expect(result.phases.find((phase) => phase.name === '16 KiB uniform overwrite')?.operations).toBe(5 * 2000)
      expect((result.stats?.gcBytesFilled ?? 0) > 0).toBe(fills)
    }
  })

  it('catches a lost overwrite', async () => {
    let puts = 0
    const engine = sabotaged(await loadEngine('lmdb'), (database) => ({
      put: (key, value) => (++puts > 9000 && puts % 3 === 0 ? Promise.resolve() : database.put(key, value)),
    }))
    expect((await run(engine, 'churn', '16k-uniform')).failure).toMatch(/is not what was written/)
  })

  it('measures loads alone, and what is left when everything is deleted', async () => {
    const load = await run(await loadEngine('wk'), 'churn', 'load-only')
    expect(load.failure).toBeNull()
    expect(load.phases.map(({ name }) => name)).toContain('4 KiB load only close')
    const deleted = await run(await loadEngine('wk'), 'churn', 'delete-all')
    expect(deleted.failure).toBeNull()
    expect(deleted.phases.at(-1)?.figures).toHaveProperty(["directory in value-log files' worth"])
  })
})

describe('the comparison catches', () => {
  const base = () => loadEngine('classic-level')

  it('one wrong byte in one read', async () => {
    let reads = 0
    const engine = sabotaged(await base(), (database) => ({
      async get(key) {
        const value = await database.get(key)
        if (++reads === 20 && value !== undefined) value[value.length >> 1]! ^= 1
        return value
      },
    }))
    expect((await run(engine)).failure).toMatch(/MismatchError: .*byte \d+ of \d+ differs/)
  })

  it('one wrong byte on the way in, in the scan too', async () => {
    let batches = 0
    const engine = sabotaged(await base(), (database) => ({
      putBatch(operations) {
        const [first] = operations
        if (++batches === 1 && first !== undefined) first.value[0]! ^= 0x80
        return database.putBatch(operations)
      },
      get: () => Promise.resolve(undefined),
    }))
    expect((await run(engine)).failure).toMatch(/missing/)
    batches = 0
    const readsFine = sabotaged(await base(), (database) => ({
      putBatch(operations) {
        const [first] = operations
        if (++batches === 1 && first !== undefined) first.value[0]! ^= 0x80
        return database.putBatch(operations)
      },
    }))
    expect((await run(readsFine)).failure).toMatch(/byte 0 of \d+ differs/)
  })

  it('an overwrite that was lost', async () => {
    let batches = 0
    const engine = sabotaged(await base(), (database) => ({
      putBatch: (operations) => (++batches > 1 ? Promise.resolve() : database.putBatch(operations)),
    }))
    expect((await run(engine)).failure).toMatch(/generation 1/)
  })

  it('a delete that was lost', async () => {
    const engine = sabotaged(await base(), () => ({ deleteBatch: () => Promise.resolve() }))
    const { failure, phases } = await run(engine)
    expect(failure).toMatch(/deleted, yet it has a value/)
    // While warming up already: that is the same job.
    expect(phases).toEqual([])
  })

  it('what goes wrong only after warming up', async () => {
    const engine = sabotaged(await base(), (_, dir) => (dir.endsWith('warm-up') ? {} : { deleteBatch: () => Promise.resolve() }))
    const { failure, phases } = await run(engine)
    expect(failure).toMatch(/deleted, yet it has a value/)
    expect(phases.at(-1)?.name).toBe('reopen')
  })

  it('an entry that a scan leaves out, and one it makes up', async () => {
    const leavesOut = sabotaged(await base(), (database) => ({
      scan() {
        const scan = database.scan!()
        return { ...scan, next: async () => (await scan.next()).slice(1) }
      },
    }))
    expect((await run(leavesOut)).failure).toMatch(/should not be there|ended after/)
    let batches = 0
    const makesUp = sabotaged(await base(), (database) => ({
      putBatch: (operations) =>
        database.putBatch(++batches === 1 ? [...operations, { type: 'put', key: Buffer.from('extra'), value: Buffer.from('x') }] : operations),
    }))
    expect((await run(makesUp)).failure).toMatch(/extra, which should not be there/)
  })

  it('problems that verify reports', async () => {
    const engine = sabotaged(await base(), () => ({ verify: () => Promise.resolve(['WK_CORRUPTION 000001.vlog at 20: damaged']) }))
    expect((await run(engine)).failure).toMatch(/verify found 1 problems, first: WK_CORRUPTION/)
  })

  it('an error of the engine, with its code and cause', async () => {
    const engine = sabotaged(await base(), () => ({
      putBatch: () => Promise.reject(Object.assign(new Error('disk', { cause: new Error('full') }), { code: 'WK_IO' })),
    }))
    expect((await run(engine)).failure).toBe('WK_IO: disk <- Error: full')
  })
})
