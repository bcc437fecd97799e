import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, crashProfile, drawHistory, exploreCrashes, HistoryRunner, Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { oneIn } from './crash-sample.js'
import { all, contentsOf, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, SMALL, temporaryDirectory, text } from './harness.js'

const KEY = new Uint8Array(32).fill(7)
const SEED = Number(process.env.WK_SEED ?? 1)

/** Writes enough for tables of several levels, rotated and collected value logs, and a WAL that is not flushed. */
async function fill(db: DB): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 200; i++) await db.put(`secret-key-${i % 150}`, i % 2 === 0 ? `secret-small-${i}-${round}` : `secret-large-${round}-`.repeat(20))
    await db.flush()
  }
  await db.compact()
  await db.gc({ maxSpaceAmp: 1.05 })
  await db.put('secret-key-last', 'secret-last')
}

onBothFileSystems('encryption at rest', (place) => {
  it.each([16, 24, 32])('a key of %i bytes: everything is read back, in every open', async (length) => {
    const at = place()
    const encryptionKey = new Uint8Array(length).fill(3)
    const db = await at.open({ encryptionKey })
    await fill(db)
    const before = await all(db.iterator())
    await db.close()
    for (const readOnly of [false, true]) {
      const again = await at.open({ encryptionKey, readOnly })
      expect(await all(again.iterator())).toEqual(before)
      expect(await again.verify()).toMatchObject({ ok: true })
      await again.close()
    }
  })

  it('another key, none, or one too many is WK_WRONG_KEY and changes nothing', async () => {
    const [hidden, open] = [place(), place()]
    for (const [at, encryptionKey] of [[hidden, KEY], [open, undefined]] as const) {
      const db = await at.open({ encryptionKey })
      await fill(db)
      await db.close()
    }
    const before = at(hidden)
    for (const encryptionKey of [undefined, new Uint8Array(32), new Uint8Array(16).fill(7)]) {
      for (const readOnly of [false, true]) await expectCode(() => hidden.open({ encryptionKey, readOnly }), 'WK_WRONG_KEY')
    }
    await expectCode(() => open.open({ encryptionKey: KEY }), 'WK_WRONG_KEY')
    expect(at(hidden)).toEqual(before)
    expect(text(await (await hidden.open({ encryptionKey: KEY })).get('secret-key-last'))).toBe('secret-last')

    function at({ kind, dir }: { kind: string; dir: string }): unknown {
      return kind === 'node' ? contentsOf(dir) : undefined
    }
  })

  it('the same for a database without any large value, and for an empty one', async () => {
    for (const count of [0, 3]) {
      const at = place()
      const db = await at.open({ encryptionKey: KEY })
      for (let i = 0; i < count; i++) await db.put(`k${i}`, 'v')
      await db.close()
      await expectCode(() => at.open(), 'WK_WRONG_KEY')
      await expectCode(() => at.open({ encryptionKey: new Uint8Array(32) }), 'WK_WRONG_KEY')
      const again = await at.open({ encryptionKey: KEY })
      expect(await all(again.keys())).toHaveLength(count)
      await again.close()
    }
  })

  it('destroy removes the key registry as well', async () => {
    const at = place()
    const db = await at.open({ encryptionKey: KEY })
    await fill(db)
    expect(await at.names()).toContain('KEYREGISTRY')
    await db.close()
    await at.destroy()
    await expectCode(() => at.open({ createIfMissing: false }), 'WK_NOT_FOUND')
  })
})

describe('on disk', () => {
  it('no file shows a key or a value, at any time', async () => {
    const at = nodePlace()
    const db = await at.open({ encryptionKey: KEY, memTableSize: 1 << 20 })
    await fill(db)
    const look = (): void => {
      for (const [name, content] of contentsOf(at.dir)) expect(Buffer.from(content, 'base64').includes('secret'), name).toBe(false)
    }
    look()
    await db.close()
    look()
    const plain = nodePlace()
    const open = await plain.open()
    await fill(open)
    await open.close()
    expect([...contentsOf(plain.dir).values()].some((content) => Buffer.from(content, 'base64').includes('secret')), 'the check would see one').toBe(true)
  })

  it('a worker thread writes encrypted tables', async () => {
    const dir = temporaryDirectory()
    const warnings: unknown[] = []
    const db = keep(await DB.open(dir, { ...SMALL, encryptionKey: KEY, memTableSize: 1 << 20, compression: 'none' }))
    db.on('warning', (warning) => warnings.push(warning))
    for (let i = 0; i < 4000; i++) await db.put(`secret-key-${i}`, 'x'.repeat(50))
    await db.flush()
    expect(db.stats().flushes).toBeGreaterThan(0)
    expect(warnings).toEqual([])
    expect(text(await db.get('secret-key-17'))).toBe('x'.repeat(50))
    // Files that are not needed any more go in the background.
    await db.close()
    expect([...contentsOf(dir).values()].some((content) => Buffer.from(content, 'base64').includes('secret'))).toBe(false)
  })

  it('in memory a key changes nothing; one of another length is refused', async () => {
    const db = keep(await DB.open('', { inMemory: true, encryptionKey: KEY }))
    await db.put('k', large(1000))
    expect(await db.get('k')).toEqual(large(1000))
    for (const length of [0, 15, 33]) await expectCode(() => memoryPlace().open({ encryptionKey: new Uint8Array(length) }), 'WK_INVALID_ARGUMENT')
  })
})

it('laws 1 to 8 and 11 hold for an encrypted database at mutating operations, under P0 to P5', async () => {
  const open = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...SMALL, fs, encryptionKey: KEY })
  const history = drawHistory(new Rng(SEED), crashProfile(40, 64))
  const report = await exploreCrashes({
    dir: '/db',
    createFileSystem: () => new MemoryFileSystem(),
    open,
    createOracle: () => new CrashOracle(),
    run: (fs, oracle) => new HistoryRunner(() => open(fs), oracle).run(history).then(() => undefined),
    policies: CRASH_POLICIES,
    seeds: [SEED],
    recoveryEvery: 40,
    maintainEvery: 40,
    crashBefore: oneIn(2),
  })
  const replay = `WK_SEED=${SEED} npx vitest run test/encryption.contract.test.ts`
  expect(report.findings.map(({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}\n  replay: ${replay}`)).toEqual([])
  expect(report.images).toBeGreaterThan(100)
})
