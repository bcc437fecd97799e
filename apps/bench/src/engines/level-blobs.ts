/** `examples/level-blobs` as an {@link Engine}: LevelDB holds keys and pointers, our value log the values, our collector the space. */
import { createRequire } from 'node:module'
import { LevelBlobs } from '@wk/examples/level-blobs'
import { BlobDatabase, DISCARD_RATIO } from './blob-host.js'
import { packageVersion } from './package-version.js'
import type { Engine } from './engine.js'

/** The engine. It has no scan: the example has none. */
export const levelBlobs: Engine = {
  name: 'level-blobs',
  version: packageVersion('classic-level', createRequire(import.meta.url).resolve('classic-level')),
  settings: { 'pointers in': 'classic-level with its defaults', batches: 'puts in one turn, one batch of pointers' },
  durability: 'values and pointers are with the operating system; survives a crash of the process',
  syncedDurability: null,
  collection: `collect({ discardRatio: ${DISCARD_RATIO} }), the article's algorithm, again and again`,
  async open(dir) {
    return new BlobDatabase(await LevelBlobs.open(dir))
  },
}
