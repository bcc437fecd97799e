/**
 * CURRENT: one line that names the manifest, for example `MANIFEST-000003`.
 *
 * It is never changed in place: CURRENT.tmp is written and synced, renamed, and the directory synced (CR4). Only then
 * does the new manifest count, and only then may the old one go.
 */
import { CorruptionError, formatFileName, parseFileName, tempName } from '@wk/codec'
import { isNotFound, readFully, writeFully } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import { MAX_CURRENT_LENGTH } from './format.js'

const CURRENT = formatFileName('current')

/** The number of the current manifest, or `undefined` if there is no CURRENT. Throws `CorruptionError` if it is anything else than our line. */
export async function readCurrent(fs: FileSystem, dir: string): Promise<number | undefined> {
  let file
  try {
    file = await fs.open(`${dir}/${CURRENT}`, 'read')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
  try {
    const bytes = new Uint8Array(MAX_CURRENT_LENGTH + 1)
    const length = await readFully(file, bytes, 0, bytes.length, 0)
    const text = String.fromCharCode(...bytes.subarray(0, length))
    const name = text.endsWith('\n') ? parseFileName(text.slice(0, -1)) : undefined
    if (name?.kind !== 'manifest') throw new CorruptionError('CURRENT does not name a manifest', { file: CURRENT, offset: 0 })
    return name.number
  } finally {
    await file.close()
  }
}

/** Makes manifest `number` the current one, durably. Requires that it is durable itself, name included. */
export async function writeCurrent(fs: FileSystem, dir: string, number: number): Promise<void> {
  const path = `${dir}/${CURRENT}`
  const temporary = `${dir}/${tempName(CURRENT)}`
  await removeIfThere(fs, temporary)
  const file = await fs.open(temporary, 'create')
  try {
    const line = new TextEncoder().encode(`${formatFileName('manifest', number)}\n`)
    await writeFully(file, line, 0, line.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await fs.rename(temporary, path)
  await fs.syncDir(dir)
}

async function removeIfThere(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.remove(path)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
