import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { CrashOracle, crashProfile, drawHistory, exploreCrashes, HistoryRunner, Rng, type CrashReport } from '../src/index.js'
import { openLogDatabase, type CrashBug } from './log-database.js'

function explore(bug: CrashBug | undefined, operations = 40): Promise<CrashReport> {
  const history = drawHistory(new Rng(11), crashProfile(operations, 64))
  return exploreCrashes({
    dir: '/db',
    createFileSystem: () => new MemoryFileSystem(),
    open: (fs) => openLogDatabase(fs, bug),
    createOracle: () => new CrashOracle(),
    run: (fs, oracle) => new HistoryRunner(() => openLogDatabase(fs, bug), oracle).run(history),
    policies: ['P0', 'P1', 'P2', 'P3'],
    seeds: [1, 2],
    recoveryEvery: 5,
    maintainEvery: 3,
  })
}

describe('the explorer', () => {
  it('finds nothing in a database that keeps its promises', async () => {
    const report = await explore(undefined, 100)
    expect(report.findings).toEqual([])
    expect(report.operations).toBeGreaterThan(80)
    expect(report.images).toBe((report.operations + 1) * 6)
    expect(report.distinctImages).toBeLessThan(report.images)
    expect(report.recoveryImages).toBeGreaterThan(20)
    expect([...report.kinds.keys()]).toEqual(expect.arrayContaining(['create', 'write', 'sync', 'syncDir', 'end']))
  })

  it('holds no name for durable that was created after the call of the sync of its directory', async () => {
    const report = await exploreCrashes({
      dir: '/db',
      createFileSystem: () => new MemoryFileSystem(),
      open: (fs) => openLogDatabase(fs, 'reuses numbers'),
      createOracle: () => new CrashOracle(),
      run: async (fs) => {
        await fs.mkdir('/db')
        const syncing = fs.syncDir('/db')
        const file = fs.openSync('/db/000007.vlog', 'create')
        await syncing
        file.writeSync(new Uint8Array(3), 0, 3, 0)
        file.closeSync()
      },
      policies: ['P0'],
      seeds: [1],
      recoveryEvery: 0,
      maintainEvery: 0,
    })
    expect([...report.kinds.keys()]).toEqual(['mkdir', 'syncDir', 'create', 'write', 'end'])
    expect(report.findings).toEqual([])
  })

  const laws: Record<CrashBug, number[]> = {
    'acknowledges before sync': [1, 4],
    'no directory sync': [1],
    'splits batches': [1, 2],
    'skips damage': [1, 4],
    'forgets on reopen': [1],
    'leaves orphans': [5],
    'ends with orphans': [5],
    'reuses numbers': [11],
  }
  for (const [bug, expected] of Object.entries(laws) as [CrashBug, number[]][]) {
    it(`finds a database that ${bug}`, async () => {
      const report = await explore(bug)
      expect(report.findings.length).toBeGreaterThan(0)
      expect(expected).toContain(report.findings[0]?.law)
    })
  }
})
