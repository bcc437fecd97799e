import { expect, it } from 'vitest'
import { IoError } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import { ImageFileSystem, mountImage, type DiskImage } from '../src/index.js'

const DIR = '/db'
const IMAGE: DiskImage = new Map([['b', Uint8Array.of(1, 2, 3, 4, 5)], ['a', new Uint8Array(0)]])

/** What a read leaves in a buffer, and what it says. */
async function read(fs: FileSystem, name: string, position: number): Promise<[number, string]> {
  const file = await fs.open(`${DIR}/${name}`, 'read')
  const into = new Uint8Array(6).fill(0xee)
  const count = await file.read(into, 1, 4, position)
  await file.close()
  return [count, into.join()]
}

it('an image reads as its mounted copy does', async () => {
  const [image, mounted] = [new ImageFileSystem(IMAGE, DIR), await mountImage(IMAGE, DIR)]
  expect(await image.list(DIR)).toEqual(await mounted.list(DIR))
  for (const name of ['a', 'b']) for (const position of [0, 1, 4, 5, 9]) expect(await read(image, name, position), `${name} at ${position}`).toEqual(await read(mounted, name, position))
  for (const path of ['/db/c', '/other/b', '/dbb']) for (const fs of [image, mounted]) await expect(fs.open(path, 'read'), path).rejects.toMatchObject({ cause: { code: 'ENOENT' } })
})

it('an image cannot be changed', async () => {
  const fs: FileSystem = new ImageFileSystem(IMAGE, DIR)
  const file = await fs.open(`${DIR}/b`, 'read')
  const changes = [() => fs.open(`${DIR}/c`, 'create'), () => fs.open(`${DIR}/b`, 'update'), () => fs.rename(`${DIR}/b`, `${DIR}/c`), () => fs.remove(`${DIR}/b`), () => file.write(Uint8Array.of(9), 0, 1, 0), () => file.truncate(0)]
  for (const change of changes) await expect(change(), String(change)).rejects.toThrow(IoError)
  expect(await read(fs, 'b', 0)).toEqual([4, '238,1,2,3,4,238'])
})
