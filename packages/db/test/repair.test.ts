/**
 * `DB.repair` against an oracle: whatever a single damage did, every key that the report does not name has exactly its last
 * value (or is deleted), a key that it names has a value that it once had or none, and the source is as it was.
 */
import { appendices, blocks, captureImage, cleanSpecimen, flips, GAPPED_SPECIMEN_OPTIONS, gappedSpecimen, mountImage, sameBytes, SPECIMEN_OPTIONS, textOf, truncations, uncleanSpecimen, wholeFiles, type Damage, type DiskImage, type KeyText, type Specimen } from '@wk/testkit'
import { MAX_SEQUENCE } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { DB, type RepairLoss, type RepairReport } from '../src/index.js'
import { SalvagedValues } from '../src/repair-values.js'
import { openBounded } from '../src/testing.js'
import { all, expectCode, nodePlace } from './harness.js'

const SEED = Number(process.env['WK_SEED'] ?? 1)
const STRIDE = Number(process.env['WK_DAMAGE_STRIDE'] ?? 61)
const KINDS = { clean: cleanSpecimen, unclean: uncleanSpecimen, gapped: (dir: string) => gappedSpecimen(dir, (fs) => openBounded(dir, { ...GAPPED_SPECIMEN_OPTIONS, fs })) }

const specimenOf = (kind: keyof typeof KINDS, scale?: number): Promise<Specimen> => KINDS[kind]('/db', (fs) => DB.open('/db', { ...SPECIMEN_OPTIONS, fs }), scale)

interface Repaired {
  report: RepairReport
  held: Map<KeyText, Uint8Array>
}

/** Repairs an image and reads the new database. */
async function repaired(image: DiskImage): Promise<Repaired> {
  const fs = await mountImage(image, '/db')
  const report = await DB.repair('/db', { to: '/new', fs, target: SPECIMEN_OPTIONS })
  const after = await captureImage(fs, '/db')
  expect([...after.keys()].filter((name) => name !== 'LOCK')).toEqual([...image.keys()].filter((name) => name !== 'LOCK').sort())
  for (const [name, bytes] of image) expect(sameBytes(bytes, after.get(name)), `${name} was changed`).toBe(true)
  const db = await DB.open('/new', { ...SPECIMEN_OPTIONS, fs })
  try {
    expect(await db.verify()).toMatchObject({ ok: true })
    const held = new Map((await all(db.iterator())).map(([key, value]): [KeyText, Uint8Array] => [textOf(key), value]))
    expect(report.entries).toBe(held.size)
    return { report, held }
  } finally {
    await db.close()
  }
}

const names = ({ fromKey, toKey }: RepairLoss, key: KeyText): boolean => (fromKey === undefined || textOf(fromKey) <= key) && (toKey === undefined || key <= textOf(toKey))

/** What contradicts the promise. */
function wrongIn({ report, held }: Repaired, { states, keys, history, log }: Specimen, damage: Damage | undefined): string[] {
  const last = states.at(-1) as ReadonlyMap<KeyText, Uint8Array>
  const wrong: string[] = []
  // A log that ends earlier leaves no trace of what it held.
  const isCutLog = log !== undefined && damage?.files.includes(log.file) === true
  for (const key of new Set([...keys, ...held.keys()])) {
    const value = held.get(key)
    if (sameBytes(value, last.get(key))) continue
    const isNamed = isCutLog || report.losses.some((loss) => names(loss, key))
    const isOld = value === undefined || (history.get(key) ?? []).some((old) => sameBytes(old, value))
    if (!isNamed || !isOld) wrong.push(`${damage?.what ?? 'undamaged'}: ${key} ${value === undefined ? 'is missing' : 'has another value'}, and ${isNamed ? 'never had it' : 'no loss names it'}`)
  }
  return wrong
}

async function check(specimen: Specimen, damages: Iterable<Damage>, stride: number): Promise<{ cases: number; saved: number }> {
  const wrong: string[] = []
  let index = 0
  const counts = { cases: 0, saved: 0 }
  for (const damage of damages) {
    if ((index++ + SEED) % stride !== 0) continue
    counts.cases++
    try {
      const result = await repaired(damage.image)
      counts.saved += result.held.size / (specimen.states.at(-1)?.size ?? 1)
      wrong.push(...wrongIn(result, specimen, damage))
    } catch (error) {
      wrong.push(`${damage.what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    }
    if (wrong.length > 10) break
  }
  if (process.env['WK_SHOW'] !== undefined) console.log(counts)
  expect(wrong).toEqual([])
  return counts
}

describe.each(['clean', 'unclean', 'gapped'] as const)('a database with a %s end', (kind) => {
  let specimen: Specimen
  beforeAll(async () => {
    specimen = await specimenOf(kind)
  })

  it('undamaged: everything is saved and nothing reported', async () => {
    const result = await repaired(specimen.image)
    expect(result.report).toMatchObject({ manifest: 'intact', losses: [], problems: [], fromValueLog: 0 })
    expect(wrongIn(result, specimen, undefined)).toEqual([])
  })

  it.each(['CURRENT', 'the manifest', 'both'])('without %s: everything is saved', async (what) => {
    const image = new Map([...specimen.image].filter(([name]) => !((what !== 'the manifest' && name === 'CURRENT') || (what !== 'CURRENT' && name.startsWith('MANIFEST')))))
    const result = await repaired(image)
    expect(result.report.manifest).toBe(what === 'CURRENT' ? 'intact' : 'missing')
    expect(result.report.problems.length).toBeGreaterThan(0)
    expect(result.report.losses).toEqual([])
    expect(wrongIn(result, specimen, undefined)).toEqual([])
  })

  it('a flipped byte anywhere', async () => {
    const { cases, saved } = await check(specimen, flips(specimen.image), STRIDE)
    expect(saved / cases).toBeGreaterThan(0.8)
  })
  it('cut at any length', async () => {
    await check(specimen, truncations(specimen.image), STRIDE)
  })
  it('garbage behind the end', async () => {
    await check(specimen, appendices(specimen.image, SEED), Math.ceil(STRIDE / 10))
  })
  it('blocks zeroed or swapped', async () => {
    await check(specimen, blocks(specimen.image, 512), 1)
  })
  it('whole files swapped, copied or gone', async () => {
    await check(specimen, wholeFiles(specimen.image), Math.ceil(STRIDE / 30))
  })
})

it('a table with a hole: what lay in it is taken from the value log, and deletions outside of it hold', async () => {
  const specimen = await specimenOf('clean', 3)
  const [name, bytes] = [...specimen.image].filter(([file]) => file.endsWith('.sst')).sort((a, b) => b[1].length - a[1].length)[0] as [string, Uint8Array]
  const damaged = bytes.slice()
  damaged[10] = (damaged[10] as number) ^ 0xff
  const result = await repaired(new Map(specimen.image).set(name, damaged))
  expect(result.report.losses).toMatchObject([{ file: name, offset: 0 }])
  expect(result.report.fromValueLog).toBeGreaterThan(0)
  expect(wrongIn(result, specimen, undefined)).toEqual([])
})

it('a relocated file that no longer tells what lies where in it: its records are found by key and version', async () => {
  const specimen = await specimenOf('clean')
  const [name, bytes] = [...specimen.image].find(([file]) => file.endsWith('.rlog')) as [string, Uint8Array]
  const damaged = bytes.slice()
  damaged[damaged.length - 1] = 0
  const result = await repaired(new Map(specimen.image).set(name, damaged))
  expect(result.report.problems).toMatchObject([{ file: name }])
  expect(result.report.losses).toEqual([])
  expect(wrongIn(result, specimen, undefined)).toEqual([])
})

it('a record with a version that no write can have is none of ours', async () => {
  const { image } = await specimenOf('clean')
  const { records } = SalvagedValues.prototype
  const spy = vi.spyOn(SalvagedValues.prototype, 'records').mockImplementation(async function* (this: SalvagedValues) {
    for await (const record of records.call(this)) yield* [record, { ...record, sequence: MAX_SEQUENCE + 1, commits: true }, { ...record, sequence: 2 ** 53 - 1, commits: true }]
  })
  try {
    const undamaged = await repaired(image)
    expect(undamaged.report).toMatchObject({ fromValueLog: 0, losses: [], problems: [] })
  } finally {
    spy.mockRestore()
  }
})

describe('the call', () => {
  it('on real files: keeps user meta and expiry, and refuses what it must', async () => {
    const place = nodePlace()
    const db = await place.open({ workers: 0 })
    await db.put('a', new Uint8Array(500).fill(1), { userMeta: 7, ttl: 3600 })
    await db.put('b', 'small', { ttl: 1e-9 })
    const before = await db.getEntry('a')
    await expectCode(() => DB.repair(place.dir, { to: `${place.dir}-new` }), 'WK_LOCKED')
    await db.close()
    await expectCode(() => DB.repair(place.dir, { to: place.dir }), 'WK_INVALID_ARGUMENT')
    const names = await place.names()
    for (const inside of ['new', 'new/deep', './x/../new']) await expectCode(() => DB.repair(place.dir, { to: `${place.dir}/${inside}` }), 'WK_INVALID_ARGUMENT')
    expect(await place.names()).toEqual(names)
    await expectCode(() => DB.repair(place.dir, {} as { to: string }), 'WK_INVALID_ARGUMENT')
    await expectCode(() => DB.repair(`${place.dir}/none`, { to: `${place.dir}-new` }), 'WK_NOT_FOUND')
    const phases: string[] = []
    const report = await DB.repair(place.dir, { to: `${place.dir}-new`, onProgress: ({ phase }) => phases.push(phase) })
    expect(report).toMatchObject({ manifest: 'intact', losses: [], lossCount: 0 })
    await expectCode(() => DB.repair(place.dir, { to: `${place.dir}-new` }), 'WK_EXISTS')
    const copy = await DB.open(`${place.dir}-new`)
    const after = await copy.getEntry('a')
    expect(after).toMatchObject({ userMeta: 7, expiresAt: before?.expiresAt })
    expect(after?.value).toEqual(before?.value)
    await copy.close()
  })

  it('an encrypted database: with its key, and encrypted again; without it WK_WRONG_KEY', async () => {
    const encryptionKey = new Uint8Array(32).fill(5)
    const make = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...SPECIMEN_OPTIONS, fs, encryptionKey })
    for (const kind of ['clean', 'unclean'] as const) {
      const specimen = await KINDS[kind]('/db', make)
      const fs = await mountImage(specimen.image, '/db')
      await expectCode(() => DB.repair('/db', { to: '/new', fs }), 'WK_WRONG_KEY')
      const report = await DB.repair('/db', { to: '/new', fs, target: { encryptionKey } })
      expect(report).toMatchObject({ losses: [], problems: [], entries: specimen.states.at(-1)?.size })
      await expectCode(() => DB.open('/new', { fs }), 'WK_WRONG_KEY')
      for (const [name, bytes] of specimen.image) {
        if (bytes.length < 8 || !/\.(sst|wal)$/.test(name)) continue
        const damaged = bytes.slice()
        damaged[4] = (damaged[4] as number) ^ 0xff
        const again = await mountImage(new Map(specimen.image).set(name, damaged), '/db')
        expect((await DB.repair('/db', { to: '/new', fs: again, target: { encryptionKey } })).losses).toMatchObject([{ file: name }])
      }
    }
  })

  it('an encrypted database without a value log, and another key: WK_WRONG_KEY, and nothing is made', async () => {
    const encryptionKey = new Uint8Array(32).fill(5)
    for (const entries of [0, 100]) {
      for (const closes of [true, false]) {
        const fs = new MemoryFileSystem()
        const db = await DB.open('/db', { fs, encryptionKey })
        for (let i = 0; i < entries; i++) await db.put(`k${i}`, 'small')
        if (closes) await db.close()
        const image = closes ? fs : fs.crashClone('P1')
        await expectCode(() => DB.repair('/db', { to: '/new', fs: image, target: { encryptionKey: new Uint8Array(32).fill(6) } }), 'WK_WRONG_KEY')
        await expectCode(() => image.list('/new'), 'WK_IO')
        expect(await DB.repair('/db', { to: '/new', fs: image, target: { encryptionKey } })).toMatchObject({ entries, losses: [] })
        await db.close()
      }
    }
  })

  it('aborted: nothing is left of the new database', async () => {
    const { image } = await specimenOf('clean')
    const fs = await mountImage(image, '/db')
    const aborted = AbortSignal.abort()
    await expectCode(() => DB.repair('/db', { to: '/new', fs, signal: aborted }), 'WK_ABORTED')
    await expect(fs.list('/new')).rejects.toMatchObject({ code: 'WK_IO' })
  })
})

it('without the lists of what lies in gaps: all of it is found, and nothing that was deleted', async () => {
  const specimen = await specimenOf('gapped')
  const lists = [...specimen.image.keys()].filter((name) => name.endsWith('.runs'))
  expect(lists.length).toBeGreaterThan(1)
  for (const gone of [...lists.map((name) => [name]), lists]) {
    const result = await repaired(new Map([...specimen.image].filter(([name]) => !gone.includes(name))))
    expect(result.report.losses).toEqual([])
    expect(wrongIn(result, specimen, undefined)).toEqual([])
  }
})
