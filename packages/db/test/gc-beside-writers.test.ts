/** What a pass takes from others: no lock from writers, and no read from files that are dead. */
import { InterceptedFileSystem, MemoryFileSystem, type Operation } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, keep, large } from './harness.js'

const keyOf = (i: number): string => `key ${String(i).padStart(3, '0')}`

/** Holds back an operation of a pass, and notes what is done with value logs. */
class HoldingFileSystem extends InterceptedFileSystem {
  readonly seen: string[] = []
  /** Operations to hold, until {@link release}. */
  hold: ((operation: Operation) => boolean) | undefined
  held = 0
  #waiting: (() => void)[] = []

  constructor() {
    super(new MemoryFileSystem({ crashable: false }), 'holding')
  }

  async around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    this.#note(operation)
    if (this.hold?.(operation) === true) {
      this.held++
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return run()
  }

  aroundSync<T>(operation: Operation, run: () => T): T {
    this.#note(operation)
    return run()
  }

  release(): void {
    this.hold = undefined
    for (const resume of this.#waiting.splice(0)) resume()
  }

  #note({ kind, path }: Operation): void {
    if (/\.(vlog|rlog)$/.test(path)) this.seen.push(`${kind} ${path.slice(path.lastIndexOf('/') + 1)}`)
  }
}

/** Two versions of each of 60 keys, every third one once more; what is dead is known. */
async function churned(db: DB): Promise<void> {
  for (let round = 0; round < 2; round++) for (let i = 0; i < 60; i++) await db.put(keyOf(i), large(500, round * 60 + i))
  for (let i = 0; i < 60; i += 3) await db.put(keyOf(i), large(500, 1000 + i))
  await db.compact()
}

describe('writers share no lock with a pass', () => {
  const steps: [string, (operation: Operation) => boolean][] = [
    ['the first write of the copies', ({ kind, path }) => kind === 'write' && path.includes('.rlog')],
    ['their sync', ({ kind, path }) => kind === 'sync' && path.includes('.rlog')],
    ['their rename', ({ kind, path }) => kind === 'rename' && path.includes('.rlog')],
    ['the unlink of a victim', ({ kind, path }) => kind === 'remove' && path.endsWith('.vlog')],
  ]
  it.each(steps)('one that hangs at %s holds nobody up', async (_, hold) => {
    const fs = new HoldingFileSystem()
    const db = keep(await DB.open('/db', { ...SMALL, fs, workers: 0 }))
    await churned(db)
    fs.hold = hold
    const pass = db.gc({ maxSpaceAmp: 1.01 })
    for (let turn = 0; fs.held === 0; turn++) {
      expect(turn).toBeLessThan(10_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (let i = 0; i < 40; i++) await db.put(keyOf(i), large(500, 2000 + i), { sync: i % 4 === 0 })
    await db.batch([{ type: 'del', key: keyOf(50) }, { type: 'put', key: keyOf(51), value: large(500, 3000) }], { sync: true })
    await db.transaction(async (txn) => txn.put(keyOf(52), (await txn.get(keyOf(51)))!))
    await db.sync()
    // Also where a memtable and a value log become full meanwhile.
    for (let i = 0; i < 200; i++) await db.put(`more ${i}`, large(500, i))
    await db.flush()
    expect(fs.held).toBeGreaterThan(0)
    fs.release()
    await pass
    for (let i = 0; i < 40; i++) expect(await db.get(keyOf(i))).toEqual(large(500, 2000 + i))
    expect(await db.get(keyOf(50))).toBeUndefined()
    expect(await db.get(keyOf(52))).toEqual(large(500, 3000))
    expect((await db.verify()).problems).toEqual([])
  })
})

describe('files in which nothing is alive', () => {
  it('go with the edit that killed them, without a call, and are neither opened nor read for it', async () => {
    const fs = new HoldingFileSystem()
    const db = keep(await DB.open('/db', { ...SMALL, fs, workers: 0, gc: { auto: true, minGarbage: 1 << 30 } }))
    for (let i = 0; i < 60; i++) await db.put(keyOf(i), large(500, i))
    await db.flush()
    const dead = db.valueLogFiles().filter(({ state }) => state !== 'active').map(({ number }) => `${String(number).padStart(6, '0')}.vlog`)
    expect(dead.length).toBeGreaterThan(5)
    // Tombstones are no records of a value log.
    for (let i = 0; i < 60; i++) await db.del(keyOf(i))
    await db.put('alive', large(9000, 1))
    expect(db.valueLogFiles().length).toBeGreaterThan(5)
    fs.seen.length = 0
    await db.compact()
    for (let turn = 0; turn < 5000 && db.valueLogFiles().length > 1; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(fs.seen.filter((one) => one.startsWith('remove')).sort()).toEqual(dead.map((name) => `remove ${name}`).sort())
    expect(fs.seen.filter((one) => /^(open|read) /.test(one) && dead.includes(one.slice(one.indexOf(' ') + 1)))).toEqual([])
    expect(db.stats()).toMatchObject({ gcPasses: 0, gcBytesMoved: 0 })
    expect(await db.get('alive')).toEqual(large(9000, 1))
  })
})
