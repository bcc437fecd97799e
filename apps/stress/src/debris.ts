/** Looks for files that a closed database on the real file system does not need. */
import { readdirSync } from 'node:fs'
import { DB, type DbOptions } from '@wk/db'

/** Files that a database that was closed does not need: none, or one line that says how many of what. */
export async function debrisIn(dir: string, options: DbOptions): Promise<string[]> {
  const db = await DB.open(dir, { ...options, readOnly: true })
  const { tables, valueLogFiles } = db.stats()
  await db.close()
  const names = readdirSync(dir)
  const [tableFiles, logFiles, temporary] = [/\.sst$/, /\.(vlog|rlog)$/, /\.tmp$/].map((pattern) => names.filter((name) => pattern.test(name)).length)
  if (tableFiles === tables && logFiles === valueLogFiles && temporary === 0) return []
  return [`debris: ${tableFiles} table files for ${tables} tables, ${logFiles} logs for ${valueLogFiles}, ${temporary} temporary files`]
}
