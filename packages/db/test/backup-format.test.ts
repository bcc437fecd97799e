import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MemoryFileSystem } from '@wk/fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { BackupEncoder, MAX_BACKUP_VERSION, type BackupRecord } from '../src/backup-format.js'
import { SMALL, bytes, text } from './harness.js'

const EXAMPLE: BackupRecord[] = [
  { key: bytes('a'), version: 301, value: bytes('x'), userMeta: 7, expiresAt: 0 },
  { key: bytes('b'), version: 302, value: undefined, userMeta: 0, expiresAt: 0 },
]

function streamOf(since: number, lastVersion: number, records: BackupRecord[]): Uint8Array {
  const encoder = new BackupEncoder()
  return new Uint8Array(Buffer.concat([encoder.head({ since, lastVersion }), encoder.records(records), encoder.end(records.length)]))
}

it('the page has these bytes', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'format.md'), 'utf8')
  const section = page.slice(page.indexOf('## Backups'))
  const block = /```\n([\s\S]*?)```/.exec(section)?.[1] ?? ''
  const listed = block.split('\n').map((line) => (/^[0-9a-f]{4} {2}((?:[0-9a-f]{2}(?: |$))+)/.exec(line)?.[1] ?? '').replaceAll(' ', ''))
  expect(listed.join('')).toBe(Buffer.from(streamOf(300, 302, EXAMPLE)).toString('hex'))
})

it('any stream of any records loads as what it says', async () => {
  const keys = fc.uint8Array({ maxLength: 20 })
  const record = fc.record({ key: keys, value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }), userMeta: fc.nat({ max: 255 }), expiresAt: fc.constantFrom(0, 4_000_000_000) })
  const seed = Number(process.env.WK_SEED ?? 1)
  const numRuns = Number(process.env.WK_RUNS ?? 30)
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 50 }), async (drawn) => {
      const records = drawn.map((one, i) => ({ ...one, version: MAX_BACKUP_VERSION - 1000 + i })).sort((a, b) => Buffer.compare(a.key, b.key))
      const db = await DB.open('/db', { ...SMALL, fs: new MemoryFileSystem({ crashable: false }) })
      await db.load([streamOf(MAX_BACKUP_VERSION - 1001, MAX_BACKUP_VERSION - 900, records)])
      const map = new Map(records.map((one) => [Buffer.from(one.key).toString('hex'), one]))
      for (const { key, value, userMeta, expiresAt } of map.values()) {
        const entry = await db.getEntry(key)
        if (value === undefined) expect(entry).toBeUndefined()
        else expect(entry).toMatchObject({ value, userMeta, expiresAt })
      }
      expect(db.stats().version).toBe(MAX_BACKUP_VERSION - 900)
      await db.close()
    }),
    { seed, numRuns },
  )
})

it.each([
  ['a version above the last', [{ ...EXAMPLE[0]!, version: 303 }]],
  ['a version not above since', [{ ...EXAMPLE[0]!, version: 300 }]],
  ['a key before the one before it', EXAMPLE.toReversed()],
  ['an older version behind a newer one', [{ ...EXAMPLE[0]!, version: 302 }, EXAMPLE[0]!]],
  ['a version that is there twice', [EXAMPLE[0]!, EXAMPLE[0]!]],
  ['a part of too many records', Array.from({ length: 4097 }, (_, i) => ({ ...EXAMPLE[1]!, key: bytes(`b${String(i).padStart(6, '0')}`) }))],
  ['a part that goes on behind a mebibyte', [{ ...EXAMPLE[0]!, value: new Uint8Array(1024 * 1024) }, EXAMPLE[1]!]],
])('%s is WK_CORRUPTION', async (_, records) => {
  const db = await DB.open('/db', { ...SMALL, fs: new MemoryFileSystem({ crashable: false }) })
  await expect(db.load([streamOf(300, MAX_BACKUP_VERSION + 1, [])])).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
  await expect(db.load([streamOf(301, 300, [])])).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
  await expect(db.load([streamOf(300, 302, records)])).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
  expect(text(await db.get('a'))).toBeUndefined()
  await db.close()
})

it.each([
  ['a key before the last one of the part before', [EXAMPLE[1]!], [EXAMPLE[0]!]],
  ['an older version of the last key of the part before', [{ ...EXAMPLE[0]!, version: 302 }], [EXAMPLE[0]!]],
])('%s is WK_CORRUPTION', async (_, first, second) => {
  const db = await DB.open('/db', { ...SMALL, fs: new MemoryFileSystem({ crashable: false }) })
  const encoder = new BackupEncoder()
  const stream = [encoder.head({ since: 300, lastVersion: 302 }), encoder.records(first), encoder.records(second), encoder.end(2)]
  await expect(db.load(stream)).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
  // What came before it is loaded, and nothing else.
  expect(await db.keys().all()).toEqual([first[0]!.key].filter((key) => key[0] === 97))
  await db.close()
})
