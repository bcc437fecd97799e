/** `examples/lmdb-blobs` as an {@link Engine}: lmdb holds keys and pointers, our value log the values, our collector the space. */
import { createRequire } from 'node:module'
import { LmdbBlobs } from '@wk/examples/lmdb-blobs'
import { BlobDatabase, DISCARD_RATIO } from './blob-host.js'
import { packageVersion } from './package-version.js'
import type { Engine, Scan } from './engine.js'

/** As the engine `lmdb` is set: without this the pages of every put go to the device on another thread. */
const PAGES = { noSync: true, overlappingSync: false } as const
const CHUNK = { entries: 256, bytes: 1024 * 1024 }

/** The engine. */
export const lmdbBlobs: Engine = {
  name: 'lmdb-blobs',
  version: packageVersion('lmdb', createRequire(import.meta.url).resolve('lmdb')),
  settings: { ...PAGES, 'pointers in': 'lmdb, one synchronous transaction a put', batches: 'puts in one turn: not atomic' },
  durability: 'values and pointers are with the operating system; survives a crash of the process',
  syncedDurability: null,
  collection: `collect({ discardRatio: ${DISCARD_RATIO} }), the article's algorithm, again and again`,
  async open(dir) {
    return new LmdbBlobsDatabase(await LmdbBlobs.open(dir, {}, PAGES))
  },
}

class LmdbBlobsDatabase extends BlobDatabase<LmdbBlobs> {
  scan(): Scan<readonly [Uint8Array, Uint8Array]> {
    const entries = this.store.entries()
    return {
      async next() {
        const chunk: [Uint8Array, Uint8Array][] = []
        for (let bytes = 0; chunk.length < CHUNK.entries && bytes < CHUNK.bytes; ) {
          const step = await entries.next()
          if (step.done === true) break
          chunk.push(step.value)
          bytes += step.value[0].length + step.value[1].length
        }
        return chunk
      },
      async close() {
        await entries.return(undefined)
      },
    }
  }
}
