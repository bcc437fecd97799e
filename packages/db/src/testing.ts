/**
 * `@wk/db/testing`: databases under bounds that users cannot set, for the checks of this repository. No export of the published package.
 */
import { DB } from './db.js'
import { openParts } from './open.js'
import { resolveOptions } from './options.js'
import type { DbOptions } from './options.js'

/** Options of a database whose bounds are out of reach otherwise. */
export interface BoundedOptions extends DbOptions {
  /** Most entries of run tables: above half of them pointers are rewritten (ADR 0018). Default 4,194,304. */
  mostRuns?: number
  /** Dead bytes side by side that are worth a hole. Default 131,072. */
  leastHole?: number
  /** Dead bytes side by side that are worth filling where that takes no reads. Default 1,024. */
  leastGap?: number
  /** `compact()` ends with opening the gaps of all files, so that what is written next goes there. Default: only the background opens them. */
  opensGaps?: boolean
}

/** Opens the database in `dir`, an absolute path. Rejects as `DB.open` does. */
export async function openBounded(dir: string, { mostRuns, leastHole, leastGap, opensGaps, ...options }: BoundedOptions): Promise<DB> {
  const bounds = { ...(mostRuns === undefined ? {} : { mostRuns }), ...(leastHole === undefined ? {} : { leastHole }), ...(leastGap === undefined ? {} : { leastGap }) }
  const parts = await openParts(dir, { ...resolveOptions(options), ...bounds })
  const db = new DB(parts)
  if (opensGaps !== true) return db
  const compact = db.compact.bind(db)
  db.compact = async (settings) => {
    await compact(settings)
    await openGaps(parts)
  }
  return db
}

/** Under the lock that the background holds when it does so. */
async function openGaps({ gc }: Awaited<ReturnType<typeof openParts>>): Promise<void> {
  await gc?.locked(() => {
    gc.gaps.forget()
    return gc.gaps.open(gc.files(), [], new AbortController().signal)
  })
}
