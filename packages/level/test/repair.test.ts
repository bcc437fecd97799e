import { readdirSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { WkLevel } from '../src/index.js'
import { failureOf, fill, make, temporaryDirectory } from './harness.js'

const valueOf = (i: number): string => (i % 3 === 0 ? `large ${i} `.repeat(300) : `small ${i}`)

async function closed(location: string): Promise<void> {
  const db = make({}, location)
  await fill(db, 500, valueOf)
  await db.del('000007')
  await db.close()
}

it('repair saves a database without its manifest into a new one', async () => {
  const dir = temporaryDirectory()
  const [location, to] = [join(dir, 'db'), join(dir, 'repaired')]
  await closed(location)
  for (const name of readdirSync(location)) if (/^(?:CURRENT|MANIFEST)/.test(name)) rmSync(join(location, name))
  expect(await failureOf(() => make({}, location).open())).toMatchObject({ code: 'LEVEL_DATABASE_NOT_OPEN', cause: { code: 'LEVEL_CORRUPTION' } })
  expect(await WkLevel.repair(location, { to })).toMatchObject({ entries: 499, lossCount: 0 })
  const db = make({}, to)
  const entries = await db.iterator().all()
  expect(entries.map(([key]) => key)).not.toContain('000007')
  expect(entries).toEqual(entries.map(([key]) => [key, valueOf(Number(key))]))
  expect(entries).toHaveLength(499)
})

it('repair tells what it could not save, and saves the rest', async () => {
  const dir = temporaryDirectory()
  const [location, to] = [join(dir, 'db'), join(dir, 'repaired')]
  await closed(location)
  truncateSync(join(location, '000001.vlog'), 200_000)
  const report = await WkLevel.repair(location, { to })
  expect(report.lossCount).toBeGreaterThan(0)
  const lost = new Set(report.losses.map(({ fromKey }) => Buffer.from(fromKey ?? []).toString()))
  const left = new Map(await make({}, to).iterator().all())
  for (let i = 0; i < 500; i++) {
    const key = String(i).padStart(6, '0')
    if (i !== 7 && !lost.has(key)) expect(left.get(key)).toBe(valueOf(i))
  }
})

it('repair refuses an open database, a place without one, and a place that is taken', async () => {
  const dir = temporaryDirectory()
  const location = join(dir, 'db')
  await closed(location)
  expect(await failureOf(() => WkLevel.repair(join(dir, 'none'), { to: join(dir, 'a') }))).toMatchObject({ code: 'LEVEL_NOT_FOUND' })
  await closed(join(dir, 'taken'))
  expect(await failureOf(() => WkLevel.repair(location, { to: join(dir, 'taken') }))).toMatchObject({ code: 'LEVEL_EXISTS' })
  await make({}, location).open()
  expect(await failureOf(() => WkLevel.repair(location, { to: join(dir, 'b') }))).toMatchObject({ code: 'LEVEL_LOCKED' })
})
