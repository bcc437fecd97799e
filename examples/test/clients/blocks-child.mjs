/**
 * A client that is killed: puts blocks through blockstore-level into `@wk/level` and prints each CID once it was acknowledged.
 * Argument: directory.
 */
import { randomBytes } from 'node:crypto'
import { WkLevel } from '@wk/level'
import { LevelBlockstore } from 'blockstore-level'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

const level = new WkLevel(process.argv[2], { keyEncoding: 'utf8', valueEncoding: 'view', memTableSize: 256 * 1024, valueLogFileSize: 1024 * 1024 })
const store = new LevelBlockstore(level)
await store.open()

async function work() {
  for (;;) {
    const block = randomBytes(Math.floor(Math.random() * 20_000))
    const cid = CID.createV1(raw.code, await sha256.digest(block))
    await store.put(cid, block)
    process.stdout.write(`${cid}\n`)
  }
}
await Promise.all([work(), work(), work(), work()])
