/**
 * CURRENT: one line that names the manifest, for example `MANIFEST-000003`.
 *
 * It is never changed in place: CURRENT.tmp is written and synced, renamed, and the directory synced (CR4). Only then
 * does the new manifest count, and only then may the old one go. What is a few bytes is read and written on the calling
 * thread: a trip through the thread pool takes longer. Syncs never are.
 */
import { CorruptionError, errnoOf, formatFileName, parseFileName, tempName } from '@wk/codec'
import { isNotFound, readFullySync, writeFullySync } from '@wk/fs'
import type { File, FileSystem } from '@wk/fs'
import { allDone } from '../all-done.js'
import { MAX_CURRENT_LENGTH } from './format.js'

const CURRENT = formatFileName('current')

/** The number of the current manifest, or `undefined` if there is no CURRENT. Throws `CorruptionError` if it is anything else than our line. */
export function readCurrent(fs: FileSystem, dir: string): number | undefined {
  let file
  try {
    file = fs.openSync(`${dir}/${CURRENT}`, 'read')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
  try {
    const bytes = new Uint8Array(MAX_CURRENT_LENGTH + 1)
    const length = readFullySync(file, bytes, 0, bytes.length, 0)
    const text = String.fromCharCode(...bytes.subarray(0, length))
    const name = text.endsWith('\n') ? parseFileName(text.slice(0, -1)) : undefined
    if (name?.kind !== 'manifest') throw new CorruptionError('CURRENT does not name a manifest', { file: CURRENT, offset: 0 })
    return name.number
  } finally {
    file.closeSync()
  }
}

/**
 * Makes manifest `number` the current one, durably. `manifest` makes that one durable itself, name included, beside the
 * new line of CURRENT: nothing is renamed before both are.
 */
export async function writeCurrent(fs: FileSystem, dir: string, number: number, manifest: () => Promise<unknown> = async () => {}): Promise<void> {
  const path = `${dir}/${CURRENT}`
  const temporary = await createTemporary(fs, tempName(path))
  try {
    const line = new TextEncoder().encode(`${formatFileName('manifest', number)}\n`)
    writeFullySync(temporary, line, 0, line.length, 0)
    await allDone([manifest(), temporary.sync()])
  } finally {
    temporary.closeSync()
  }
  await fs.rename(tempName(path), path)
  await fs.syncDir(dir)
}

/** In the place of what a crash left there. */
async function createTemporary(fs: FileSystem, path: string): Promise<File> {
  try {
    return fs.openSync(path, 'create')
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  await fs.remove(path)
  return fs.openSync(path, 'create')
}
