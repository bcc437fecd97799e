/** What counts as bytes, whatever its class says. */
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { bytesFrom, bytesOf, decodePointer, encodePointer, isShared, keyBytes, rangeBytes } from '../src/index.js'

const refused = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' })
const foreign = (source: string): never => runInNewContext(source) as never

it('arrays of another realm are bytes, seen where they lie', () => {
  const bytes: Uint8Array = foreign('globalThis.array = new Uint8Array([9, 107, 101, 121, 9]).subarray(1, 4)')
  expect(bytes instanceof Uint8Array).toBe(false)
  expect(bytesOf(bytes, 'key')).toEqual(Uint8Array.of(107, 101, 121))
  expect(keyBytes(foreign('new Uint8Array(0)'))).toEqual(new Uint8Array(0))
  expect(rangeBytes({ gt: bytes }).gt).toEqual(Uint8Array.of(107, 101, 121))
  const ours = bytesFrom(bytes) as Uint8Array
  bytes[0] = 1
  expect(ours[0]).toBe(1)
  const pointer = { fid: 1, offset: 2, len: 3 }
  const encoded: Uint8Array = foreign('new Uint8Array(12)')
  encoded.set(encodePointer(pointer))
  expect(decodePointer(encoded)).toEqual(pointer)
})

it('their prototype may be anything', () => {
  const bytes = Object.setPrototypeOf(Uint8Array.of(1, 2), null) as Uint8Array
  expect(bytesOf(bytes, 'key')).toEqual(Uint8Array.of(1, 2))
})

it('a class of the caller lends its bytes, not its methods', () => {
  class Hex extends Uint8Array<ArrayBuffer> {
    constructor(text: string) {
      if (typeof text !== 'string') throw new TypeError('text is wanted')
      super(new Uint8Array(Buffer.from(text, 'hex')).buffer)
    }
    override get length(): number {
      return 99
    }
  }
  const hex = new Hex('0102')
  const bytes = bytesOf(hex, 'key')
  expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
  expect([...bytes]).toEqual([1, 2])
  expect(bytes.buffer).toBe(hex.buffer)
  expect(() => bytes.subarray(1)).not.toThrow()
  const buffer = Buffer.from('abc')
  expect(bytesOf(buffer, 'key')).toBe(buffer)
})

it('what only looks like an array of bytes is refused', () => {
  const proxy = new Proxy(Uint8Array.of(1), {})
  const heir = Object.create(Uint8Array.prototype) as Uint8Array
  const others = ['new Uint16Array(2)', 'new Uint8ClampedArray(2)', 'new DataView(new ArrayBuffer(2))', 'new ArrayBuffer(2)', '[1, 2]', "new String('x')", '({ length: 1, 0: 1 })']
  for (const wrong of [proxy, heir, ...others.map(foreign)]) {
    expect(bytesFrom(wrong)).toBeUndefined()
    expect(() => bytesOf(wrong, 'key')).toThrow(refused)
    expect(() => decodePointer(wrong)).toThrow(refused)
  }
})

it('memory that was transferred or cut off is not taken for an empty array', () => {
  const buffer = new ArrayBuffer(8)
  const whole = new Uint8Array(buffer)
  const none = new Uint8Array(buffer, 0, 0)
  structuredClone(buffer, { transfer: [buffer] })
  const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer & { resize(length: number): void }
  const shrunk = new Resizable(8, { maxByteLength: 8 })
  const tail = new Uint8Array(shrunk, 4, 4)
  shrunk.resize(2)
  for (const lost of [whole, none, tail]) expect(() => bytesOf(lost, 'value')).toThrow(refused)
  const empty = new Uint8Array(0)
  expect(bytesOf(empty, 'value')).toBe(empty)
})

it('shared memory is told from other memory; of another realm all counts as shared', () => {
  expect(isShared(new Uint8Array(1))).toBe(false)
  expect(isShared(Buffer.from('abc'))).toBe(false)
  expect(isShared(new Uint8Array(new SharedArrayBuffer(1)))).toBe(true)
  expect(isShared(bytesFrom(foreign('new Uint8Array(new SharedArrayBuffer(1))')) as Uint8Array)).toBe(true)
})
