/**
 * The process of maintenance.test.ts with `--expose-gc`: makes iterators, snapshots and batches, ends and forgets them,
 * and tells how many of them the collector of V8 took, and how many the engine still counts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WkLevel } from '@wk/level'

const location = mkdtempSync(join(tmpdir(), 'wk-level-forget-'))
const db = new WkLevel(location)
await db.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: String(i), value: 'x'.repeat(2000) })))

let collected = 0
let started = 0
const registry = new FinalizationRegistry(() => collected++)
const watch = (handle) => {
  started++
  registry.register(handle)
  return handle
}

for (let round = 0; round < 100; round++) {
  for await (const _ of watch(db.iterator())) void _
  for await (const _ of watch(db.keys())) break
  const values = watch(db.values())
  await values.nextv(3)
  await values.close()
  const snapshot = watch(db.snapshot())
  await db.get('1', { snapshot })
  await snapshot.close()
  await watch(db.batch()).put('1', 'y').write()
  await watch(db.batch()).put('1', 'y').close()
}

for (let attempt = 0; attempt < 20 && collected < started; attempt++) {
  global.gc()
  await sleep(10)
}
const { iterators, snapshots } = db.engine.stats()
await db.close()
rmSync(location, { recursive: true, force: true })
console.log(JSON.stringify({ started, collected, open: iterators + snapshots }))
