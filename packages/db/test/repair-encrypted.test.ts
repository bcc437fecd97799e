/** `DB.repair` of encrypted databases: what no longer tells how it is to be decrypted is lost and named, and nothing is made up of its bytes. */
import { captureImage, mountImage, sameBytes, textOf, type DiskImage } from '@wk/testkit'
import { MemoryFileSystem, defaultRuntime } from '@wk/fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { DB, type RepairReport } from '../src/index.js'
import { SalvagedValues } from '../src/repair-values.js'
import { all, expectCode, large, type Options } from './harness.js'

const OPTIONS: Options = { valueThreshold: 64, memTableSize: 4 << 20, valueLogFileSize: 4 << 20, workers: 0, gc: { auto: false }, encryptionKey: new Uint8Array(16).fill(3) }
/** So many that some of their encrypted bytes would pass for a version: one record of 2,048. */
const RECORDS = 12_000
const INLINE = 'kept in a table'

const keyOf = (i: number): string => `key ${i}`
const valueOf = (i: number): Uint8Array => (i % 100 === 0 ? Buffer.from(INLINE) : large(64, i))

let image: DiskImage

beforeAll(async () => {
  const fs = new MemoryFileSystem({ crashable: false })
  const db = await DB.open('/db', { ...OPTIONS, fs })
  for (let i = 0; i < RECORDS; i += 1000) await db.batch(Array.from({ length: 1000 }, (_, j) => ({ type: 'put' as const, key: keyOf(i + j), value: valueOf(i + j) })))
  await db.flush()
  await db.close()
  image = await captureImage(fs, '/db')
})

/** Repairs the image with one file changed or gone. All that is saved must have been written. */
async function repaired(file: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Promise<{ report: RepairReport; saved: number }> {
  const damaged = new Map(image)
  const changed = change(Uint8Array.from(image.get(file)!))
  if (changed === undefined) damaged.delete(file)
  else damaged.set(file, changed)
  const fs = await mountImage(damaged, '/db')
  const report = await DB.repair('/db', { to: '/new', fs, target: OPTIONS })
  const db = await DB.open('/new', { ...OPTIONS, fs })
  const held = await all(db.iterator())
  for (const [key, value] of held) {
    const name = textOf(key)
    expect(name).toMatch(/^key \d+$/)
    expect(sameBytes(value, valueOf(Number(name.slice(4)))), name).toBe(true)
  }
  await db.close()
  return { report, saved: held.length }
}

describe('the repair of an encrypted database', () => {
  it('without damage saves everything', async () => {
    expect(await repaired('LOCK', (bytes) => bytes)).toMatchObject({ saved: RECORDS, report: { problems: [], lossCount: 0 } })
  })

  it.each<[string, string, (bytes: Uint8Array) => Uint8Array | undefined]>([
    ['a value log whose header is damaged', '000001.vlog', (bytes) => bytes.fill(0xff, 0, 8)],
    ['a value log whose base IV is damaged', '000001.vlog', (bytes) => bytes.fill(0xff, 8, 20)],
    ['a key registry that is gone', 'KEYREGISTRY', () => undefined],
    ['a key registry that is cut', 'KEYREGISTRY', (bytes) => bytes.subarray(0, bytes.length - 5)],
    ['a key registry that does not verify', 'KEYREGISTRY', (bytes) => bytes.fill(0, bytes.length - 5)],
  ])('with %s saves the values in tables, names the file, and makes no key of encrypted bytes', async (_, file, change) => {
    const { report, saved } = await repaired(file, change)
    expect(saved).toBe(RECORDS / 100)
    expect(report.lossCount).toBe(RECORDS - RECORDS / 100)
    expect(report.losses[0]).toMatchObject({ file: '000001.vlog' })
    expect(report.problems.map((problem) => problem.file)).toContain(file === 'KEYREGISTRY' && change(new Uint8Array(8)) === undefined ? '000001.vlog' : file)
  })

  it.each([[0, 8], [8, 20]])('takes no record for one of a value log that it cannot decrypt: bytes %i to %i of its header are damaged', async (from, to) => {
    const fs = await mountImage(new Map(image).set('000001.vlog', Uint8Array.from(image.get('000001.vlog')!).fill(0xff, from, to)), '/db')
    const values = await SalvagedValues.open(fs, defaultRuntime, '/db', OPTIONS.encryptionKey)
    let records = 0
    for await (const _ of values.records()) records++
    expect(records).toBe(0)
    expect(values.problems).toMatchObject([{ file: '000001.vlog', offset: 0 }])
    await values.close()
  })

  it('refuses what may as well be another key', async () => {
    await expectCode(() => repaired('KEYREGISTRY', (bytes) => bytes.fill(0)), 'WK_WRONG_KEY')
  })
})
