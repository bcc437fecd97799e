import { createDecipheriv, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { CorruptionError, InvalidArgumentError, IoError, NotSupportedError, WrongKeyError } from '@wk/codec'
import { expect, test } from 'vitest'
import { ENCRYPTION_HEADER_LENGTH, EncryptedFileSystem, MemoryFileSystem, NodeFileSystem, fileSystemFrom, readFullySync, writeFullySync } from '../src/index.js'
import type { FileSystem } from '../src/index.js'
import { property } from './support/property.js'

const PATH = '/db/000001.sst'
const COVERS = /\.sst$/
const keyOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)

async function places(length = 32): Promise<{ raw: MemoryFileSystem; fs: FileSystem }> {
  const raw = new MemoryFileSystem()
  await raw.mkdir('/db')
  return { raw, fs: new EncryptedFileSystem(raw, keyOf(length), COVERS) }
}

function contentOf(fs: FileSystem, path = PATH): Uint8Array {
  const file = fs.openSync(path, 'read')
  const bytes = new Uint8Array(file.sizeSync())
  readFullySync(file, bytes, 0, bytes.length, 0)
  file.closeSync()
  return bytes
}

test('any writes and reads at any places give what a plain file gives', async () => {
  const write = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.uint8Array({ minLength: 1, maxLength: 100 }))
  const check = fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 20 }), fc.constantFrom(16, 24, 32), async (writes, length) => {
    const { fs } = await places(length)
    const file = await fs.open(PATH, 'create')
    const model = new Uint8Array(4000)
    let end = 0
    for (const [place, bytes] of writes) {
      const position = Math.floor(place * end)
      writeFullySync(file, bytes, 0, bytes.length, position)
      model.set(bytes, position)
      end = Math.max(end, position + bytes.length)
    }
    for (let position = 0; position <= end; position += 7) {
      const into = new Uint8Array(50)
      const count = await file.read(into, 3, 40, position)
      expect(Buffer.from(into.subarray(3, 3 + count))).toEqual(Buffer.from(model.subarray(position, Math.min(end, position + 40))))
    }
    await file.close()
    expect(Buffer.from(contentOf(fs))).toEqual(Buffer.from(model.subarray(0, end)))
  })
  await property(100, check)
})

test('the bytes can be read with nothing but the description of the format', async () => {
  const { raw, fs } = await places()
  const file = fs.openSync(PATH, 'create')
  const text = Buffer.from('a hidden text that is longer than one block')
  writeFullySync(file, text, 0, 5, 0)
  writeFullySync(file, text, 5, text.length - 5, 5)
  file.closeSync()
  const bytes = Buffer.from(contentOf(raw))
  expect(bytes.includes('hidden')).toBe(false)
  const derived = Buffer.from(hkdfSync('sha256', keyOf(32), bytes.subarray(8, 40), 'wk file encryption', 60))
  expect(bytes.subarray(40, 52)).toEqual(derived.subarray(48, 60))
  const decipher = createDecipheriv('aes-256-ctr', derived.subarray(0, 32), derived.subarray(32, 48))
  expect(decipher.update(bytes.subarray(ENCRYPTION_HEADER_LENGTH))).toEqual(text)
})

test('a counter that overflows its lowest bytes carries on', async () => {
  const { fs } = await places()
  const file = fs.openSync(PATH, 'create')
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251)
  writeFullySync(file, bytes, 0, bytes.length, 0)
  const into = new Uint8Array(16)
  for (let position = 0; position < 299_984; position += 1021) {
    file.readSync(into, 0, 16, position)
    expect(Buffer.from(into)).toEqual(Buffer.from(bytes.subarray(position, position + 16)))
  }
  file.closeSync()
})

test('two files with the same content share no bytes behind the magic', async () => {
  const { raw, fs } = await places()
  for (const path of [PATH, '/db/000002.sst']) {
    const file = fs.openSync(path, 'create')
    writeFullySync(file, new Uint8Array(1000), 0, 1000, 0)
    file.closeSync()
  }
  const [one, two] = [contentOf(raw), contentOf(raw, '/db/000002.sst')]
  let equal = 0
  for (let i = ENCRYPTION_HEADER_LENGTH; i < one.length; i++) if (one[i] === two[i]) equal++
  expect(equal).toBeLessThan(30)
})

test('other names pass through', async () => {
  const { raw, fs } = await places()
  const file = fs.openSync('/db/CURRENT', 'create')
  writeFullySync(file, Buffer.from('plain'), 0, 5, 0)
  file.closeSync()
  expect(Buffer.from(contentOf(raw, '/db/CURRENT')).toString()).toBe('plain')
})

test('another key is WrongKeyError, a damaged header or a plain file is damage', async () => {
  const { raw, fs } = await places()
  const file = fs.openSync(PATH, 'create')
  writeFullySync(file, new Uint8Array(10), 0, 10, 0)
  file.closeSync()
  const other = new EncryptedFileSystem(raw, new Uint8Array(32), COVERS)
  expect(() => other.openSync(PATH, 'read')).toThrow(WrongKeyError)
  await expect(other.open(PATH, 'read')).rejects.toThrow(WrongKeyError)
  for (let at = 0; at < ENCRYPTION_HEADER_LENGTH; at++) {
    const handle = raw.openSync(PATH, 'update')
    const byte = new Uint8Array(1)
    handle.readSync(byte, 0, 1, at)
    handle.writeSync(Uint8Array.of((byte[0] ?? 0) ^ 0x40), 0, 1, at)
    expect(() => fs.openSync(PATH, 'read')).toThrow(CorruptionError)
    handle.writeSync(byte, 0, 1, at)
    handle.closeSync()
  }
  fs.openSync(PATH, 'read').closeSync()
})

test('a file that a crash left without a whole header is empty', async () => {
  const { raw, fs } = await places()
  for (const length of [0, 1, 63, 64]) {
    const path = `/db/0000${length + 10}.sst`
    const file = raw.openSync(path, 'create')
    writeFullySync(file, new Uint8Array(length), 0, length, 0)
    file.closeSync()
    expect(contentOf(fs, path)).toHaveLength(0)
    // There is no cipher to write by, and a header made now could be lost again.
    const update = fs.openSync(path, 'update')
    await expect(update.write(new Uint8Array(3), 0, 3, 0)).rejects.toMatchObject({ code: 'WK_IO', cause: { code: 'EIO' } })
    expect(() => update.writeSync(new Uint8Array(3), 0, 3, 0)).toThrow(IoError)
    await update.truncate(0)
    update.closeSync()
    expect(contentOf(raw, path)).toHaveLength(length)
    expect(contentOf(fs, path)).toHaveLength(0)
  }
})

test('the header is durable before anything is written', async () => {
  const { raw, fs } = await places()
  const file = fs.openSync(PATH, 'create')
  await raw.syncDir('/db')
  writeFullySync(file, new Uint8Array(100), 0, 100, 0)
  const crashed = raw.crashClone('P0', 1)
  expect(contentOf(crashed)).toHaveLength(ENCRYPTION_HEADER_LENGTH)
  file.closeSync()
})

test('gaps, extension by zeros and keys of other lengths are refused', async () => {
  const { raw, fs } = await places()
  const file = fs.openSync(PATH, 'create')
  expect(() => file.writeSync(new Uint8Array(1), 0, 1, 1)).toThrow(NotSupportedError)
  await expect(file.truncate(1)).rejects.toThrow(NotSupportedError)
  file.closeSync()
  for (const length of [0, 15, 31, 33]) expect(() => new EncryptedFileSystem(raw, new Uint8Array(length), COVERS)).toThrow(InvalidArgumentError)
})

test('described and made anew it reads the same files; what lives in memory has no description', async () => {
  const { fs } = await places()
  expect(fs.description).toBeUndefined()
  const onDisk = new EncryptedFileSystem(new NodeFileSystem(), keyOf(16), COVERS)
  const again = fileSystemFrom(structuredClone(onDisk.description!))
  expect(again.kind).toBe('encrypted(node)')
})
