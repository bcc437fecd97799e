/** keyv's own suite over the adapter of `keyv/store.ts`, and what the suite does not ask. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite'
import { DB } from '@wk/db'
import Keyv from 'keyv'
import * as vitest from 'vitest'
import { KeyvWk } from '../keyv/store.js'

const { afterAll, expect, it } = vitest
const dir = mkdtempSync(join(tmpdir(), 'wk-keyv-'))
const db = await DB.open(dir)
afterAll(async () => {
  await db.close()
  rmSync(dir, { recursive: true, force: true })
})

const store = (): KeyvWk => new KeyvWk(db)

keyvTestSuite(vitest, Keyv, store)
keyvIteratorTests(vitest, Keyv, store)

it('only one of two deletes at once is told that there was something', async () => {
  const keyv = new Keyv({ store: store() })
  await keyv.set('once', 'x')
  expect((await Promise.all([keyv.delete('once'), keyv.delete('once')])).sort()).toEqual([false, true])
})

it('clear keeps to its namespace', async () => {
  const [a, b] = [new Keyv({ store: store(), namespace: 'a' }), new Keyv({ store: store(), namespace: 'ab' })]
  await a.set('k', 1)
  await b.set('k', 2)
  await a.clear()
  expect(await a.get('k')).toBeUndefined()
  expect(await b.get('k')).toBe(2)
})

it('what expired is gone from the database, not only hidden', async () => {
  const keyv = new Keyv({ store: store() })
  await keyv.set('short', 'x', 200)
  expect(await db.has('keyv:short')).toBe(true)
  await vitest.vi.waitFor(async () => expect(await db.has('keyv:short')).toBe(false), 4000)
})
