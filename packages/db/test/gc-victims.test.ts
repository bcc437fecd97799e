/** Which files are taken together, and in which order; and what becomes of a file that was found damaged. */
import { MemoryFileSystem } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { nextGeneration, pickVictims, scoreOf, type Generation, type ValueLogFile } from '../src/gc-victims.js'
import { SMALL, expectCode, keep, large } from './harness.js'

const MIB = 1 << 20

function fileOf(number: number, more: Partial<ValueLogFile> = {}): ValueLogFile {
  const { recordBytes = 10 * MIB, liveBytes = 5 * MIB, generation = 0 } = more
  const deadRatio = 1 - liveBytes / recordBytes
  return { number, relocated: generation > 0, generation, logical: [number], runs: 0, size: recordBytes, recordBytes, liveBytes, liveRecords: 100, deadRatio, age: 1, state: 'collectable', ...more }
}

const numbersOf = (files: readonly ValueLogFile[], limits: Partial<Parameters<typeof pickVictims>[1]> = {}): number[] =>
  pickVictims(files, { leastDead: 0.1, liveBytes: Infinity, deadBytes: Infinity, ...limits }).map(({ number }) => number)

describe('victims', () => {
  it('are of one generation, that of the best', () => {
    const generations: Generation[] = [0, 1, 2]
    for (const best of generations) {
      const files = generations.flatMap((generation) => [1, 2].map((n) => fileOf(generation * 10 + n, { generation, liveBytes: generation === best ? MIB : 4 * MIB })))
      expect(numbersOf(files)).toEqual([best * 10 + 1, best * 10 + 2])
    }
    expect(generations.map(nextGeneration)).toEqual([1, 2, 2])
  })

  it('are worth more the older they are, the more is dead, and the less is alive', () => {
    expect(numbersOf([fileOf(1, { age: 1 }), fileOf(2, { age: 100 }), fileOf(3, { age: 10 })])).toEqual([2, 3, 1])
    expect(numbersOf([fileOf(1, { liveBytes: 6 * MIB }), fileOf(2, { liveBytes: 2 * MIB }), fileOf(3, { liveBytes: 4 * MIB })])).toEqual([2, 3, 1])
    // Age makes up for some of it, not for much.
    expect(scoreOf(fileOf(1, { age: 4, liveBytes: 6 * MIB }))).toBeGreaterThan(scoreOf(fileOf(2, { liveBytes: 5 * MIB })))
    expect(scoreOf(fileOf(1, { age: 4, liveBytes: 9 * MIB }))).toBeLessThan(scoreOf(fileOf(2, { liveBytes: 5 * MIB })))
  })

  it('are no more than were asked for, and never what cannot be taken or is not worth it', () => {
    const files = [1, 2, 3, 4].map((number) => fileOf(number, { age: 10 - number }))
    expect(numbersOf(files, { deadBytes: 8 * MIB })).toEqual([1, 2])
    expect(numbersOf(files, { liveBytes: 11 * MIB })).toEqual([1, 2])
    expect(numbersOf(files, { leastDead: 0.5 })).toEqual([])
    for (const state of ['active', 'unflushed', 'moving', 'readdressing', 'damaged', 'pinned', 'run tables full', 'clean'] as const) expect(numbersOf([fileOf(1, { state }), fileOf(2)])).toEqual([2])
    // Entries of run tables cost more than is dead.
    expect(numbersOf([fileOf(1, { liveRecords: 400_000 })])).toEqual([])
  })
})

it('a damaged file is told, kept and passed over: the next call collects others', async () => {
  const fs = new MemoryFileSystem()
  let db = await DB.open('/db', { ...SMALL, fs })
  for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(200, i))
  // The first file is the worst.
  for (let i = 0; i < 50; i++) if (i % (i < 16 ? 20 : 2) !== 0) await db.del(`k${i}`)
  await db.compact()
  const [first] = db.valueLogFiles().filter(({ state }) => state === 'collectable').sort((a, b) => b.deadRatio - a.deadRatio)
  await db.close()
  const name = `${String(first!.number).padStart(6, '0')}.vlog`
  const file = await fs.open(`/db/${name}`, 'update')
  const bytes = new Uint8Array(await file.size())
  await file.read(bytes, 0, bytes.length, 0)
  for (let at = 40; at < bytes.length; at++) bytes[at]! ^= 0x40
  await file.write(bytes, 0, bytes.length, 0)
  await file.close()
  db = keep(await DB.open('/db', { ...SMALL, fs }))
  await expectCode(() => db.runValueLogGC(0.3), 'WK_CORRUPTION')
  expect(db.valueLogFiles().find(({ number }) => number === first!.number)?.state).toBe('damaged')
  expect((await db.runValueLogGC(0.3)).filesCollected).toBeGreaterThan(0)
  expect(await fs.list('/db')).toContain(name)
})
