/** Where the bytes of a value lie, for tests of what a crash leaves there. */
import { readFully, type MemoryFileSystem } from '@wk/fs'

export interface ValuePlace {
  path: string
  at: number
  /** All of the file. */
  file: Uint8Array
}

/** Finds a value in the value logs of `/db`; `undefined` if it is in none. */
export async function placeOf(fs: MemoryFileSystem, value: Uint8Array): Promise<ValuePlace | undefined> {
  for (const name of await fs.list('/db')) {
    if (!name.endsWith('log')) continue
    const path = `/db/${name}`
    const handle = await fs.open(path, 'read')
    const file = new Uint8Array(await handle.size())
    await readFully(handle, file, 0, file.length, 0)
    await handle.close()
    const at = Buffer.from(file).indexOf(value)
    if (at !== -1) return { path, at, file }
  }
  return undefined
}
