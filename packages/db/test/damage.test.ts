/**
 * Damage to a whole database (C1 to C3): identical data, or WK_CORRUPTION with file and offset. Here a sample of each kind of
 * damage; `pnpm stress` does them all.
 */
import { appendices, blocks, cleanSpecimen, flips, imageBytes, MAX_PROBE_MS, probe, SPECIMEN_OPTIONS, truncations, uncleanSpecimen, wholeFiles, type Damage, type ProbeTarget, type Specimen } from '@wk/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'

const SEED = Number(process.env['WK_SEED'] ?? 1)
/** Every n-th case of the long enumerations; 1 does all. */
const STRIDE = Number(process.env['WK_DAMAGE_STRIDE'] ?? 67)

const target: ProbeTarget = { dir: '/db', open: (fs, readOnly) => DB.open('/db', { ...SPECIMEN_OPTIONS, fs, readOnly }) }

async function check(specimen: Specimen, damages: Iterable<Damage>, stride: number): Promise<Damage[]> {
  const counts = { cases: 0, identical: 0, partly: 0, refused: 0, unverified: 0 }
  const findings: string[] = []
  const silent: Damage[] = []
  let index = 0
  for (const damage of damages) {
    if ((index++ + SEED) % stride !== 0) continue
    counts.cases++
    const readOnly = counts.cases % 2 === 0
    const result = await probe(target, specimen, damage, readOnly)
    counts[result.outcome]++
    if (result.verified === false) counts.unverified++
    // Opened for writing, a compaction may have replaced a table whose reference list was damaged: it needs none.
    if (result.verified === true && readOnly) silent.push(damage)
    if (result.milliseconds > MAX_PROBE_MS) findings.push(`${damage.what}: took ${result.milliseconds} ms`)
    findings.push(...result.findings)
    if (findings.length > 20) break
  }
  if (process.env['WK_SHOW'] !== undefined) console.log(counts)
  expect(findings).toEqual([])
  return silent
}

/** Seal and mark of a clean close, at the end of the manifest: without them it is one of an unclean end, which loses nothing. */
const CLEAN_END = 26

/** After a clean close nothing may be damaged unseen but the base IV of a plain value log, which nobody uses, and the mark of the clean close. */
function expectMeaningless({ log, image }: Specimen, silent: Damage[]): void {
  if (log !== undefined) return
  const told = silent.filter(({ files: [name = ''], from }) => {
    if (name.endsWith('.vlog')) return from < 8 || from >= 20
    return !(name.startsWith('MANIFEST') && from >= (image.get(name)?.length ?? 0) - CLEAN_END)
  })
  expect(told.map(({ what }) => what)).toEqual([])
}

describe.each([['closed cleanly', cleanSpecimen], ['left by a killed process', uncleanSpecimen]] as const)('a database %s', (_, make) => {
  let specimen: Specimen
  beforeAll(async () => {
    specimen = await make('/db', (fs) => DB.open('/db', { ...SPECIMEN_OPTIONS, fs }))
    if (process.env['WK_SHOW'] !== undefined) console.log([...specimen.image].map(([name, bytes]) => `${name} ${bytes.length}`).join(', '), imageBytes(specimen.image))
  })

  it('undamaged: every answer is right', async () => {
    const nothing = { what: 'nothing', files: [], from: 0, to: 0, image: specimen.image }
    for (const readOnly of [true, false]) expect(await probe(target, specimen, nothing, readOnly)).toMatchObject({ outcome: 'identical', verified: true, findings: [] })
  })

  it('a flipped byte anywhere: told at open or by verify(), but for bytes that mean nothing', async () => {
    expectMeaningless(specimen, await check(specimen, flips(specimen.image), STRIDE))
  })
  it('cut at any length: told at open or by verify()', async () => {
    expectMeaningless(specimen, await check(specimen, truncations(specimen.image), STRIDE))
  })
  it('garbage behind the end', async () => {
    await check(specimen, appendices(specimen.image, SEED), Math.ceil(STRIDE / 10))
  })
  it('blocks zeroed or swapped', async () => {
    for (const size of [512, 4096]) await check(specimen, blocks(specimen.image, size), 1)
  })
  it('whole files swapped, duplicated or gone', async () => {
    await check(specimen, wholeFiles(specimen.image), 1)
  })
})
