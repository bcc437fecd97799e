/** What opening and closing write, counted (ADR 0015). */
import { MemoryFileSystem, TraceFileSystem } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { large, SMALL } from './harness.js'

const DIR = '/data/db'
const READS = new Set(['open', 'read', 'size', 'list', 'lock', 'close'])

interface Place {
  memory: MemoryFileSystem
  open(): Promise<DB>
  /** Calls that change something or make it durable since the last time, as `kind name`. */
  changes(): string[]
}

function place(): Place {
  const memory = new MemoryFileSystem()
  const fs = new TraceFileSystem(memory)
  return {
    memory,
    open: () => DB.open(DIR, { ...SMALL, fs }),
    changes: () => fs.entries.splice(0).filter(({ kind }) => !READS.has(kind)).map(({ kind, path }) => `${kind} ${path.replace(`${DIR}/`, '').replace(/[0-9]{6}/, 'N')}`),
  }
}

const count = (changes: readonly string[], pattern: RegExp): number => changes.filter((change) => pattern.test(change)).length

describe('a new database', () => {
  it('is durable when open resolves, its directory included, after four syncs in two waves', async () => {
    const { memory, open, changes } = place()
    const db = await open()
    expect(changes()).toEqual([
      'mkdir /data/db',
      'create MANIFEST-N',
      'write MANIFEST-N',
      'create CURRENT.tmp',
      'write CURRENT.tmp',
      'write MANIFEST-N',
      'sync CURRENT.tmp',
      'sync MANIFEST-N',
      `syncDir ${DIR}`,
      'write MANIFEST-N',
      'rename CURRENT.tmp',
      `syncDir ${DIR}`,
    ])
    const again = await DB.open(DIR, { ...SMALL, fs: memory.crashClone('P0'), createIfMissing: false })
    await again.close()
    await db.close()
    expect(changes(), 'the mark of a clean end loses nothing with itself').toEqual(['write MANIFEST-N'])
  })
})

describe('a database that was closed', () => {
  it('is opened and closed without a single change or sync', async () => {
    const { memory, open, changes } = place()
    const first = await open()
    await first.put('k', 'v')
    await first.put('large', large(500))
    await first.close()
    changes()
    for (let i = 0; i < 3; i++) {
      const db = await open()
      expect(db.getSync('large')).toEqual(large(500))
      await db.flush()
      await db.sync()
      await db.close()
      expect(changes()).toEqual([])
    }
    const names = await memory.list(DIR)
    expect(names.filter((name) => name.startsWith('MANIFEST'))).toEqual(['MANIFEST-000001'])
  })

  it('says that it is being written before a byte of the value log is', async () => {
    const { open, changes } = place()
    await (await open()).close()
    changes()
    const db = await open()
    await db.put('large', large(500))
    const made = changes()
    expect(made.indexOf('rename CURRENT.tmp')).toBeGreaterThan(0)
    expect(made.indexOf('create N.vlog')).toBeGreaterThan(made.indexOf('rename CURRENT.tmp'))
    await db.close()
  })

  it('is closed after a few writes with one sync of the manifest, and none of the log that goes', async () => {
    const { open, changes } = place()
    const db = await open()
    await db.put('k', 'v')
    changes()
    await db.close()
    const made = changes()
    expect(count(made, /^sync/)).toBe(3)
    expect(made).toContain('sync N.sst')
    expect(made).toContain('sync MANIFEST-N')
    expect(count(made, /^write MANIFEST/)).toBe(1)
    expect((await open().then((again) => (again.getSync('k'), again.close())), changes())).toEqual([])
  })
})

it('the directory that open makes is durable in its parents when it resolves', async () => {
  const memory = new MemoryFileSystem()
  const db = await DB.open('/a/b/c', { ...SMALL, fs: memory })
  expect(await memory.crashClone('P0').list('/a/b/c')).toContain('CURRENT')
  await db.close()
})
