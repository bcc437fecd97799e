/**
 * The suites of interface-datastore and interface-blockstore over datastore-level and blockstore-level, on `@wk/level`:
 * what libp2p and Helia ask of their storage.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WkLevel } from '@wk/level'
import { LevelBlockstore } from 'blockstore-level'
import { LevelDatastore } from 'datastore-level'
import { interfaceBlockstoreTests } from 'interface-blockstore-tests'
import { interfaceDatastoreTests } from 'interface-datastore-tests'
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from 'vitest'

// The suites are written for mocha, where `this` of a test sets its timeout.
const mochaIt = (name: string, test?: () => unknown): void => it(name, async () => void (await test?.call({ timeout: () => undefined })))
Object.assign(globalThis, { describe, it: mochaIt, beforeEach, afterEach, before: beforeAll, after: afterAll })

const root = mkdtempSync(join(tmpdir(), 'wk-stores-'))
let count = 0
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** datastore-level and blockstore-level want these encodings of a database that they are given. */
const level = (): WkLevel<string, Uint8Array> => new WkLevel(join(root, String(count++)), { keyEncoding: 'utf8', valueEncoding: 'view' })

interface Store {
  open(): Promise<void>
  close(): Promise<void>
}

async function opened<T extends Store>(store: T): Promise<T> {
  await store.open()
  return store
}

describe('interface-datastore', () => {
  interfaceDatastoreTests({ setup: () => opened(new LevelDatastore(level() as never)), teardown: (store) => (store as LevelDatastore).close() })
})

describe('interface-blockstore', () => {
  interfaceBlockstoreTests({ setup: () => opened(new LevelBlockstore(level() as never)), teardown: (store) => (store as LevelBlockstore).close() })
})
