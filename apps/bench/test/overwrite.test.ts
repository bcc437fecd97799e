import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ContentSource } from '../src/input/content-source.js'
import { listFiles } from '../src/input/file-list.js'
import { overwriteStamp, rotation } from '../src/input/overwrite.js'
import { TimeSlice } from '../src/measure/time-slice.js'
import { temporaryDirectory, writeInput } from './temporary-directory.js'

describe('content of values', () => {
  const root = temporaryDirectory()
  writeInput(root, 12)
  const source = new ContentSource(root, listFiles(root).files, new TimeSlice())
  const read = async (index: number, generation: number): Promise<Buffer> => {
    const buffer = new Uint8Array(source.largest + 10).fill(0xee)
    const length = await source.fill(index, generation, buffer, 5)
    expect(buffer.subarray(0, 5)).toEqual(new Uint8Array(5).fill(0xee))
    expect(length).toBe(source.length(index, generation))
    return Buffer.from(buffer.subarray(5, 5 + length))
  }

  it('is the file itself at first', async () => {
    for (const [index, { path }] of source.files.entries()) expect((await read(index, 0)).equals(readFileSync(join(root, path)))).toBe(true)
  })

  it('is the file rotated, with a stamp, after an overwrite; never equal to the old', async () => {
    for (const [index, { path, size }] of source.files.entries()) {
      const original = readFileSync(join(root, path))
      const shift = rotation(path, size, 1)
      const rotated = Buffer.concat([original.subarray(size - shift), original.subarray(0, size - shift)])
      const expected = Buffer.concat([rotated, Buffer.from(overwriteStamp(path, 1))])
      const overwritten = await read(index, 1)
      expect(overwritten.equals(expected)).toBe(true)
      expect(overwritten.equals(original)).toBe(false)
      expect(overwritten.equals(await read(index, 2))).toBe(false)
    }
  })

  it('depends on path and generation only', () => {
    expect(overwriteStamp('a/b', 1)).toBe(overwriteStamp('a/b', 1))
    expect(overwriteStamp('a/b', 1)).not.toBe(overwriteStamp('a/c', 1))
    expect(overwriteStamp('a/b', 1)).not.toBe(overwriteStamp('a/b', 2))
  })

  it('notices a file that grew or shrank since it was listed', async () => {
    const index = source.files.findIndex(({ size }) => size > 100)
    const path = join(root, source.file(index).path)
    const original = readFileSync(path)
    writeFileSync(path, Buffer.concat([original, Buffer.from('x')]))
    await expect(read(index, 0)).rejects.toThrow(/changed while/)
    writeFileSync(path, original.subarray(1))
    await expect(read(index, 0)).rejects.toThrow(/changed while/)
  })
})
