/** Databases of small values whose run tables may have hardly any entries. */
import { expect } from 'vitest'
import type { DB } from '../src/db.js'
import type { DbOptions } from '../src/options.js'
import { openBounded } from '../src/testing.js'
import { SMALL } from './harness.js'

/** Every value goes to the value log. */
export const BOUNDED: DbOptions = { ...SMALL, valueThreshold: 1, tableSize: 4096, levelBaseSize: 8192, l0CompactionTrigger: 2, gc: { auto: false, maxSpaceAmp: 1.2 } }

/** Opens it with at most `mostRuns` entries of run tables. */
export async function openWith(dir: string, options: DbOptions, mostRuns: number): Promise<DB> {
  return openBounded(dir, { ...options, mostRuns })
}

/** Compares everything in every way with the model. */
export async function expectContents(db: DB, model: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const found = new Map<string, string>()
  for await (const [key, value] of db.iterator()) found.set(Buffer.from(key).toString(), Buffer.from(value).toString())
  expect(found).toEqual(new Map([...model].map(([key, value]) => [key, Buffer.from(value).toString()])))
  const report = await db.verify()
  expect(report.problems).toEqual([])
}
