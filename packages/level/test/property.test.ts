import { ClassicLevel } from 'classic-level'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { failureOf, make, numbered, temporaryDirectory } from './harness.js'

it('getProperty has the names of classic-level, and as many tables in level 0 as there were flushes', async () => {
  const db = make({ l0CompactionTrigger: 10, l0SlowdownTrigger: 20, l0StopTrigger: 30, compression: false })
  await db.open()
  expect(db.getProperty('leveldb.num-files-at-level0')).toBe('0')
  expect(db.getProperty('leveldb.sstables')).toBe('')
  for (let round = 1; round <= 3; round++) {
    await db.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put' as const, key: numbered(round * 1000 + i), value: 'v' })))
    if (round === 3) await db.put("a'\\é", 'v')
    await db.engine.flush()
    expect(db.getProperty('leveldb.num-files-at-level0')).toBe(String(round))
  }
  const tables = db.getProperty('leveldb.sstables').split('\n')
  expect(tables[0]).toBe('--- level 0 ---')
  expect(tables).toHaveLength(5)
  expect(tables[1]).toMatch(new RegExp(`^ \\d+:\\d+\\['${numbered(3000)}' \\.\\. 'a\\\\x27\\\\x5c\\\\xc3\\\\xa9' @ 201 \\.\\. 301\\]$`))
  expect(db.getProperty('leveldb.stats')).toMatch(/^ {7}Tables\nLevel {2}Files Size\(MB\)\n-+\n {2}0 {8}3 +0\.0\nCompactions: 3 flushes, 0 compactions, /)
  await db.compactRange('', '~')
  expect(db.getProperty('leveldb.num-files-at-level0')).toBe('0')
  expect(Number(db.getProperty('leveldb.approximate-memory-usage'))).toBeGreaterThan(0)
})

it.each(['leveldb.num-files-at-level99', 'leveldb.num-files-at-level', 'leveldb.num-files-at-levelx', 'leveldb.', 'foo', ''])('getProperty of %s is what classic-level says', async (property) => {
  const classic = new ClassicLevel(join(temporaryDirectory(), 'classic'))
  await classic.open()
  const db = make()
  await db.open()
  try {
    // Where we have fewer levels than LevelDB knows, there is no table.
    expect(db.getProperty(property)).toBe(property.endsWith('99') ? '0' : classic.getProperty(property))
  } finally {
    await classic.close()
  }
})

it('getProperty wants a string and an open database', async () => {
  const db = make()
  expect(await failureOf(() => db.getProperty('leveldb.stats'))).toMatchObject({ code: 'LEVEL_DATABASE_NOT_OPEN' })
  await db.open()
  expect(await failureOf(() => db.getProperty(undefined as unknown as string))).toBeInstanceOf(TypeError)
  await db.close()
  expect(await failureOf(() => db.getProperty('leveldb.stats'))).toMatchObject({ code: 'LEVEL_DATABASE_NOT_OPEN' })
})
