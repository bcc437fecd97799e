/**
 * `clear({ snapshot })`: deletes the keys that a snapshot holds in a range, whatever was written to them since. (Without
 * a snapshot the engine's own `clear` is the one: it leaves keys that were written after the call.)
 *
 * Each batch is atomic, the whole is not; memory is bounded by one batch of keys.
 */
import type { ClearOptions, DB, Snapshot } from '@wk/db'
import { LevelError } from './error-codes.js'

const BATCH_KEYS = 1000

export async function clearSnapshot(db: DB, snapshot: Snapshot, { signal, onProgress, sync, ...range }: ClearOptions): Promise<void> {
  const keys = db.keys({ ...range, snapshot })
  let done = 0
  let bytes = 0
  try {
    for (;;) {
      if (signal?.aborted === true) throw new LevelError('LEVEL_ABORTED', 'Operation has been aborted', signal.reason)
      const part = await keys.nextv(BATCH_KEYS)
      if (part.length === 0) return
      await db.batch(
        part.map((key) => ({ type: 'del', key })),
        sync === undefined ? {} : { sync },
      )
      done += part.length
      for (const key of part) bytes += key.length
      onProgress?.({ phase: 'clear', done, total: done, bytes })
    }
  } finally {
    await keys.close()
  }
}
