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
}

/** Opens the database in `dir`, an absolute path. Rejects as `DB.open` does. */
export async function openBounded(dir: string, { mostRuns, leastHole, ...options }: BoundedOptions): Promise<DB> {
  return new DB(await openParts(dir, { ...resolveOptions(options), ...(mostRuns === undefined ? {} : { mostRuns }), ...(leastHole === undefined ? {} : { leastHole }) }))
}
