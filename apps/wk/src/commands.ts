/** What the commands do. Each writes text and returns the status. */
import { DB, type RepairLoss } from '@wk/db'
import type { Request } from './cli.js'

/** Takes text for the user. Resolves when there is room for more. */
export type Write = (text: string) => Promise<void>

/** Carries a request out. Status 0: all is well. 1: damage was found. Throws what opening throws. */
export async function run(request: Request, write: Write): Promise<number> {
  const { command, dir, encryptionKey } = request
  if (command === 'repair') return repair(request, write)
  const db = await DB.open(dir, { readOnly: true, ...(encryptionKey === undefined ? {} : { encryptionKey }) })
  try {
    if (command === 'stats') return await stats(db, write)
    if (command === 'verify') return await verify(db, write)
    return await dump(db, request, write)
  } finally {
    await db.close()
  }
}

async function stats(db: DB, write: Write): Promise<number> {
  for (const [name, value] of Object.entries(db.stats())) await write(`${name}: ${String(value)}\n`)
  return 0
}

async function verify(db: DB, write: Write): Promise<number> {
  const { ok, problems, tables, valueLogs, entries, bytes } = await db.verify()
  for (const { file, offset, code, message } of problems) await write(`${file}${offset === undefined ? '' : `:${offset}`} ${code} ${message}\n`)
  await write(`${ok ? 'ok' : `${problems.length} problems`}: ${tables} tables, ${valueLogs} value logs, ${entries} entries, ${bytes} bytes\n`)
  return ok ? 0 : 1
}

async function dump(db: DB, { range, keysOnly }: Request, write: Write): Promise<number> {
  if (keysOnly) {
    for await (const key of db.keys(range)) await write(`${JSON.stringify({ key: shown(key) })}\n`)
    return 0
  }
  for await (const [key, value] of db.iterator(range)) await write(`${JSON.stringify({ key: shown(key), value: shown(value) })}\n`)
  return 0
}

async function repair({ dir, to, encryptionKey }: Request, write: Write): Promise<number> {
  const report = await DB.repair(dir, { to, ...(encryptionKey === undefined ? {} : { target: { encryptionKey } }) })
  for (const { file, offset, message } of report.problems) await write(`damaged: ${file}${offset === undefined ? '' : `:${offset}`} ${message}\n`)
  for (const loss of report.losses) await write(`lost: ${lossText(loss)}\n`)
  if (report.lossCount > report.losses.length) await write(`lost: ${report.lossCount - report.losses.length} more\n`)
  await write(`saved ${report.entries} entries, ${report.bytes} bytes, ${report.fromValueLog} of them from the value log alone; manifest ${report.manifest}\n`)
  return report.lossCount === 0 ? 0 : 1
}

function lossText({ file, offset, length, message, fromKey, toKey, fromVersion, toVersion }: RepairLoss): string {
  const place = `${file}${offset === undefined ? '' : `:${offset}`}${length === undefined ? '' : ` (${length} bytes)`}`
  const keys = fromKey === undefined && toKey === undefined ? 'any key' : `keys ${fromKey === undefined ? 'from the first' : JSON.stringify(shown(fromKey))} to ${toKey === undefined ? 'the last' : JSON.stringify(shown(toKey))}`
  return `${place}: ${keys}, versions ${fromVersion ?? 'any'} to ${toVersion ?? 'any'}: ${message}`
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes as text where they are UTF-8, else as hexadecimal digits. */
export function shown(bytes: Uint8Array): string | { hex: string } {
  try {
    return decoder.decode(bytes)
  } catch {
    return { hex: Buffer.from(bytes).toString('hex') }
  }
}
