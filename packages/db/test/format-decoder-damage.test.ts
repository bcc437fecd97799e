/**
 * What docs/format.md says of damage and torn ends: of every damaged image the decoders that were written from the page alone (`decoder/`) and the engine
 * say the same, that it is damaged, or which map it holds. Here a sample; `WK_DAMAGE_STRIDE=1` does all.
 */
import { CorruptionError, WrongKeyError } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import { appendices, blocks, cleanSpecimen, flips, GAPPED_SPECIMEN_OPTIONS, gappedSpecimen, HOLED_SPECIMEN_OPTIONS, holedSpecimen, mountImage, SPECIMEN_OPTIONS, truncations, uncleanSpecimen, wholeFiles, type DiskImage, type Specimen } from '@wk/testkit'
import { expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openBounded, type BoundedOptions } from '../src/testing.js'
import { decodeFiles } from './decoder/database.js'
import { Bad } from './decoder/reader.js'
import { recordsFrom } from './decoder/record.js'

const SEED = Number(process.env['WK_SEED'] ?? 1)
const STRIDE = Number(process.env['WK_DAMAGE_STRIDE'] ?? 197)
const REPLAY = `replay: WK_SEED=${SEED} WK_DAMAGE_STRIDE=${STRIDE} npx vitest run packages/db/test/format-decoder-damage.test.ts`
const DIR = '/db'
const KEY = Buffer.alloc(32, 7)
const DAMAGED = 'damaged'

type Answer = readonly [map: string, why: string]

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The map, or that something is damaged: the engine is asked for everything. */
async function engineSays(image: DiskImage, options: BoundedOptions): Promise<Answer> {
  const fs = await mountImage(image, DIR)
  let db: DB | undefined
  try {
    db = await openBounded(DIR, { ...options, fs, readOnly: true })
    const entries = (await db.iterator().all()).map(([key, value]) => `${hex(key)} ${hex(value)}`)
    const { ok, problems } = await db.verify()
    return ok ? [entries.sort().join(), ''] : [DAMAGED, problems.map(({ message }) => message).join()]
  } catch (error) {
    // A key check, or a registry, that is damaged looks like another key.
    if (error instanceof CorruptionError || error instanceof WrongKeyError) return [DAMAGED, error.message]
    throw error
  } finally {
    await db?.close()
  }
}

function pageSays(image: DiskImage, key: Buffer | undefined): Answer {
  try {
    const files = new Map([...image].map(([name, bytes]) => [name, Buffer.from(bytes)]))
    const { visible } = decodeFiles(files, { key, bitsPerKey: 10, now: 1_800_000_000 })
    return [[...visible].map(([name, { value }]) => `${name} ${hex(value ?? Buffer.alloc(0))}`).sort().join(), '']
  } catch (error) {
    if (error instanceof Bad) return [DAMAGED, error.message]
    throw error
  }
}

/** Records of every value log, whole, behind each record of every value log: what blocks of other files leave in a torn tail. */
function* foreignRecords(image: DiskImage): Generator<{ what: string; image: DiskImage }> {
  const logs = [...image].flatMap(([name, content]) => {
    const bytes = Buffer.from(content)
    return name.endsWith('.vlog') ? [{ name, bytes, records: recordsFrom(bytes, 20, bytes.length).records.map(({ at, len }) => ({ from: at, to: at + len })) }] : []
  })
  for (const { name, bytes, records } of logs) {
    for (const { to: end } of [{ to: 20 }, ...records]) {
      for (const other of logs) {
        for (const { from, to } of other.records) {
          const changed = Buffer.concat([bytes.subarray(0, end), other.bytes.subarray(from, to)])
          if (!changed.equals(bytes.subarray(0, changed.length))) yield { what: `${name}: ${from} to ${to} of ${other.name} at ${end}`, image: new Map(image).set(name, changed) }
        }
      }
    }
  }
}

/** Two value logs of one number: the page says that there are none. */
const hasTwins = (image: DiskImage): boolean => [...image.keys()].some((name) => name.endsWith('.vlog') && image.has(name.replace('.vlog', '.rlog')))

it.each<[string, (dir: string, open: (fs: FileSystem) => Promise<DB>) => Promise<Specimen>, BoundedOptions]>([
  ['closed', cleanSpecimen, SPECIMEN_OPTIONS],
  ['closed, and is encrypted', cleanSpecimen, { ...SPECIMEN_OPTIONS, encryptionKey: KEY }],
  ['killed', uncleanSpecimen, SPECIMEN_OPTIONS],
  ['killed, and is encrypted', uncleanSpecimen, { ...SPECIMEN_OPTIONS, encryptionKey: KEY }],
  ['closed, and has holes', holedSpecimen, HOLED_SPECIMEN_OPTIONS],
  ['closed, and has gaps', gappedSpecimen, GAPPED_SPECIMEN_OPTIONS],
])('law 6: of a database that was %s, damaged in every way, the page says what the engine finds', async (name, make, options) => {
  const image = new Map((await make(DIR, (fs) => openBounded(DIR, { ...options, fs }))).image)
  // What it says means nothing where the kernel holds the lock.
  image.delete('LOCK')
  const key = options.encryptionKey === undefined ? undefined : KEY
  expect(pageSays(image, key)).toEqual(await engineSays(image, options))
  const findings: string[] = []
  const counts = { damaged: 0, whole: 0 }
  let index = 0
  for (const [damages, stride] of [[flips(image), STRIDE], [truncations(image), STRIDE], [appendices(image, SEED), Math.ceil(STRIDE / 16)], [blocks(image, 512), Math.ceil(STRIDE / 16)], [wholeFiles(image), Math.ceil(STRIDE / 16)], [foreignRecords(image), Math.ceil(STRIDE / 16)]] as const) {
    for (const damage of damages) {
      if ((index++ + SEED) % stride !== 0 || hasTwins(damage.image)) continue
      const [theirs, why] = await engineSays(damage.image, options)
      const [mine, reason] = pageSays(damage.image, key)
      counts[theirs === DAMAGED ? 'damaged' : 'whole']++
      if (mine !== theirs) findings.push(`${damage.what}: ${theirs === DAMAGED ? why : 'a map'} in the engine, ${mine === DAMAGED ? reason : 'a map'} by the page`)
    }
  }
  if (process.env['WK_SHOW'] !== undefined) console.log(name, counts)
  expect(findings.slice(0, 20), REPLAY).toEqual([])
  expect(counts.damaged).toBeGreaterThan(25)
})

it('law 6: after a clean close the newest value log has its size, also one with a list of its runs', async () => {
  const { image } = await holedSpecimen(DIR, (fs) => openBounded(DIR, { ...HOLED_SPECIMEN_OPTIONS, fs }))
  const name = [...image.keys()].findLast((one) => one.endsWith('.vlog')) ?? ''
  expect([...image.keys()]).toContain(name.replace('.vlog', '.runs'))
  const longer = new Map(image).set(name, Buffer.concat([image.get(name) ?? Buffer.alloc(0), Buffer.alloc(1)]))
  expect((await engineSays(longer, HOLED_SPECIMEN_OPTIONS))[0]).toBe(DAMAGED)
  expect(pageSays(longer, undefined)[0]).toBe(DAMAGED)
})
