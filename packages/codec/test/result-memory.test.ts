import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { ResultMemory, SHARED_LIMIT, SLAB_LENGTH } from '../src/index.js'

const source = Uint8Array.from({ length: 3 * SLAB_LENGTH }, (_, i) => (i * 31) % 251)

describe('result memory', () => {
  it('gives copies that share no byte with one another, whatever their lengths', () => {
    const memory = new ResultMemory()
    const lengths = [0, 1, 64, 65, 1000, SHARED_LIMIT, SHARED_LIMIT + 1, 40_000]
    const copies = Array.from({ length: 400 }, (_, i) => memory.copy(source, i, i + lengths[i % lengths.length]!))
    copies.forEach((copy, i) => {
      expect(copy.constructor).toBe(Uint8Array)
      expect(Buffer.compare(copy, source.subarray(i, i + lengths[i % lengths.length]!))).toBe(0)
      copy.fill(0xee)
    })
    expect(copies.every((copy) => copy.every((byte) => byte === 0xee))).toBe(true)
    expect(source[5]).toBe(155)
  })

  it('keeps no more than a slab in memory for a short result', () => {
    const memory = new ResultMemory()
    for (let i = 0; i < 100; i++) expect(memory.copy(source, 0, 700).buffer.byteLength).toBeLessThanOrEqual(SLAB_LENGTH)
    expect(memory.copy(source, 0, SHARED_LIMIT + 1).buffer.byteLength).toBe(SHARED_LIMIT + 1)
  })

  it('hands out what was reserved only once it is kept, and holds on to no long result', () => {
    const memory = new ResultMemory()
    memory.reserve(100)
    const { bytes, start } = memory
    memory.reserve(200)
    expect([memory.bytes, memory.start]).toEqual([bytes, start])
    const kept = memory.keep(start + 10, start + 150)
    expect([kept.length, kept.buffer]).toEqual([140, bytes.buffer])
    memory.reserve(50)
    expect(memory.start).toBe(start + 150)
    memory.reserve(SHARED_LIMIT + 1)
    const long = memory.keep(0, 10)
    expect(memory.bytes.buffer).not.toBe(long.buffer)
  })

  it('cannot be transferred away from under its neighbours', () => {
    const memory = new ResultMemory()
    const mine = memory.copy(source, 0, 100)
    const neighbour = memory.copy(source, 100, 200)
    const { port1, port2 } = new MessageChannel()
    try {
      port1.postMessage(mine, [mine.buffer as ArrayBuffer])
      expect(receiveMessageOnPort(port2)?.message).toEqual(mine)
    } catch (error) {
      expect((error as Error).name).toBe('DataCloneError')
    }
    expect(Buffer.compare(neighbour, source.subarray(100, 200))).toBe(0)
    port1.close()
  })
})
