import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { DB } from '../src/index.js'
import { SMALL, all, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, temporaryDirectory, text } from './harness.js'

onBothFileSystems('close', (place) => {
  it('lets writes that were called end, and makes them durable', async () => {
    const at = place()
    const db = await at.open()
    const writes = Array.from({ length: 50 }, (_, i) => db.put(`k${i}`, large(i % 2 === 0 ? 10 : 600, i), { sync: i % 10 === 0 }))
    const closing = db.close()
    await Promise.all(writes)
    await closing
    const again = await at.open()
    for (let i = 0; i < 50; i++) expect(await again.get(`k${i}`)).toEqual(large(i % 2 === 0 ? 10 : 600, i))
  })

  it('is idempotent, also while it runs', async () => {
    const db = await place().open()
    await db.put('k', 'v')
    await Promise.all([db.close(), db.close()])
    await db.close()
  })

  it('then everything is WK_CLOSED: the database, its iterators and its snapshots', async () => {
    const at = place()
    const db = await at.open()
    await db.put('k', large(500))
    const [iterator, keys, snapshot] = [db.iterator(), db.keys(), db.snapshot()]
    await iterator.next()
    await db.close()
    for (const use of [
      () => db.put('k', 'v'),
      () => db.del('k'),
      () => db.get('k'),
      () => db.getSync('k'),
      () => db.getMany(['k']),
      () => db.has('k'),
      () => db.getEntry('k'),
      () => db.batch([]),
      () => db.clear(),
      () => all(db.iterator()),
      () => all(db.keys()),
      () => all(db.values()),
      () => db.snapshot(),
      () => db.runValueLogGC(0.5),
      () => db.flush(),
      () => db.compact(),
      () => db.sync(),
      () => db.verify(),
      () => iterator.next(),
      () => iterator.nextv(1),
      () => keys.next(),
      () => db.get('k', { snapshot }),
    ]) {
      await expectCode(use, 'WK_CLOSED')
    }
    await iterator.close()
    await keys.close()
    snapshot.close()
  })

  it('starts refusing in the turn of the call', async () => {
    const db = await place().open()
    const closing = db.close()
    await expectCode(() => db.put('k', 'v'), 'WK_CLOSED')
    await expectCode(() => db.getSync('k'), 'WK_CLOSED')
    await closing
  })

  it('ends work that is under way, and leaves a database that opens', async () => {
    const at = place()
    for (let round = 0; round < 5; round++) {
      const db = await at.open()
      for (let i = 0; i < 120; i++) await db.put(`k${i % 40}`, large(500, round * 1000 + i))
      const work = Promise.allSettled([db.compact(), db.runValueLogGC(0.1), db.flush(), db.verify(), db.clear({ gte: 'zz' })])
      await db.close()
      for (const outcome of await work) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: expect.stringMatching(/^WK_(CLOSED|ABORTED|NO_REWRITE)$/) })
      }
      const again = await at.open()
      for (let i = 80; i < 120; i++) expect(await again.get(`k${i % 40}`)).toEqual(large(500, round * 1000 + i))
      expect((await again.verify()).ok).toBe(true)
      await again.close()
    }
  })

  it('opened and closed many times over, keeps everything and gathers no debris', async () => {
    const at = place()
    for (let round = 0; round < 25; round++) {
      const db = await at.open()
      for (let i = 0; i < round; i++) expect(await db.get(`k${i}`)).toEqual(large(300, i))
      await db.put(`k${round}`, large(300, round))
      await db.close()
    }
    const names = await at.names()
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(names.filter((name) => name.startsWith('MANIFEST')).length).toBeLessThanOrEqual(2)
    expect(names.filter((name) => name.endsWith('.wal')).length).toBeLessThanOrEqual(2)
  })
})

describe('locks between processes', () => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const hasBuild = existsSync(join(root, 'dist/index.js'))

  /** Another process that opens the directory, says so, and waits to be told to close. */
  async function holder(dir: string): Promise<{ child: ChildProcess; close(): Promise<void> }> {
    const script = `import { DB } from ${JSON.stringify(join(root, 'dist/index.js'))}
      const db = await DB.open(${JSON.stringify(dir)})
      await db.put('from', 'child')
      process.stdout.write('open\\n')
      process.stdin.once('data', async () => { await db.close(); process.exit(0) })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    return {
      child,
      close: async () => {
        child.stdin?.write('x')
        await once(child, 'exit')
      },
    }
  }

  it.skipIf(!hasBuild)('another process holds it: WK_LOCKED that names its pid, until it closes', async () => {
    const at = nodePlace()
    const other = await holder(at.dir)
    const err = await expectCode(() => at.open(), 'WK_LOCKED')
    expect(err.message).toContain(String(other.child.pid))
    await expectCode(() => at.destroy(), 'WK_LOCKED')
    await other.close()
    expect(text(await (await at.open()).get('from'))).toBe('child')
  })

  it.skipIf(!hasBuild)('after the owner was killed it opens at once, without a manual step', async () => {
    const at = nodePlace()
    const other = await holder(at.dir)
    other.child.kill('SIGKILL')
    await once(other.child, 'exit')
    const start = performance.now()
    const db = await at.open()
    expect(performance.now() - start).toBeLessThan(5000)
    expect(text(await db.get('from'))).toBe('child')
  })
})

describe('what surrounds the process', () => {
  it('a relative directory whose working directory is gone is WK_IO with the cause; an absolute one needs none', async () => {
    const gone = temporaryDirectory()
    const place = nodePlace()
    const cwd = process.cwd()
    process.chdir(gone)
    rmdirSync(gone)
    try {
      for (const use of [() => DB.open('relative'), () => DB.destroy('relative'), () => DB.repair('relative', { to: place.dir }), () => DB.repair(place.dir, { to: 'relative' })]) {
        const { cause } = await expectCode(use, 'WK_IO')
        expect(cause).toMatchObject({ code: 'ENOENT' })
      }
      const db = await place.open({ workers: 1 })
      for (let i = 0; i < 200; i++) await db.put(`k${i % 20}`, large(1000, i))
      await db.flush()
      await db.compact()
      await db.gc()
      expect((await expectCode(() => db.checkpoint('relative'), 'WK_IO')).cause).toMatchObject({ code: 'ENOENT' })
      await db.close()
    } finally {
      process.chdir(cwd)
    }
  })

  it('a relative directory stays the same one after chdir', async () => {
    const parent = temporaryDirectory()
    const elsewhere = temporaryDirectory()
    const cwd = process.cwd()
    process.chdir(parent)
    try {
      const db = keep(await DB.open('./db', SMALL))
      await db.put('k', large(2000))
      process.chdir(elsewhere)
      for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(2000, i))
      await db.flush()
      expect(await db.get('k')).toEqual(large(2000))
      await db.close()
    } finally {
      process.chdir(cwd)
    }
    expect(readdirSync(elsewhere)).toEqual([])
    expect(readdirSync(parent)).toEqual(['db'])
  })

  it('whoever does nothing but await it does not hold the event loop, whatever is called', async () => {
    const db = keep(await DB.open('/db', { ...SMALL, fs: new MemoryFileSystem({ crashable: false }) }))
    await db.put('k', large(300))
    const calls: Record<string, () => Promise<unknown>> = {
      put: () => db.put('k', 'v'),
      del: () => db.del('l'),
      batch: () => db.batch([]),
      get: () => db.get('k'),
      getMany: () => db.getMany(['k', 'l']),
      has: () => db.has('k'),
      getEntry: () => db.getEntry('k'),
      'getEntry of nothing': () => db.getEntry('l'),
      versions: () => db.versions('k'),
      clear: () => db.clear({ gte: 'm' }),
      next: () => db.keys({ limit: 1 }).all(),
      transaction: () => db.transaction((txn) => txn.get('k')),
      flush: () => db.flush(),
    }
    for (const [name, call] of Object.entries(calls)) {
      let turned = false
      setImmediate(() => (turned = true))
      for (const start = performance.now(); !turned && performance.now() - start < 2000; ) await call()
      expect(turned, name).toBe(true)
    }
  })

  it('a listener that throws is an uncaught exception of its own, and nobody is told anything else for it', async () => {
    const faults = new FaultFileSystem(new MemoryFileSystem(), [])
    const db = keep(await DB.open('/db', { ...SMALL, fs: faults }))
    await db.put('k', 'v')
    db.on('health', () => {
      throw new Error('of the listener')
    })
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const uncaught = once(process, 'uncaughtException') as Promise<[Error]>
    try {
      faults.add({ operation: ['write', 'sync'], errno: 'ENOSPC', times: Infinity })
      const [first, second] = [expectCode(() => db.put('k', 'w'), 'WK_IO'), expectCode(() => db.put('l', large(500), { sync: true }), 'WK_IO')]
      for (const err of await Promise.all([first, second])) expect(err).toMatchObject({ cause: { code: 'ENOSPC' } })
      expect((await uncaught)[0].message).toBe('of the listener')
    } finally {
      for (const listener of others) process.on('uncaughtException', listener)
    }
    expect(await expectCode(() => db.put('k', 'x'), 'WK_READ_ONLY')).toMatchObject({ cause: { code: 'WK_IO', cause: { code: 'ENOSPC' } } })
    expect(text(await db.get('k'))).toBe('v')
  })

  it('an iterator that met a read error goes on where it was', async () => {
    const disk = new MemoryFileSystem()
    const faults = new FaultFileSystem(disk, [])
    const at = memoryPlace(disk)
    const db = await at.open()
    for (let i = 0; i < 10; i++) await db.put(`k${i}`, large(5000, i))
    await db.close()
    const again = keep(await DB.open(at.dir, { ...SMALL, fs: faults }))
    const it = again.iterator()
    faults.add({ operation: 'read', path: '.vlog', errno: 'EIO' })
    await expectCode(() => it.next(), 'WK_IO')
    const keys: (string | undefined)[] = []
    for (let entry = await it.next(); entry !== undefined; entry = await it.next()) keys.push(text(entry[0]))
    expect(keys).toEqual(Array.from({ length: 10 }, (_, i) => `k${i}`))
    await it.close()
  })
})
