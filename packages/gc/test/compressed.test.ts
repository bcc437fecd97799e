import { MemoryFileSystem } from '@wk/fs'
import { GarbageCollector } from '@wk/gc'
import { ValueLog, type ValuePointer } from '@wk/vlog'
import { expect, test } from 'vitest'

test('compressed records move as they are: same value, same length, whatever the log compresses today', async () => {
  const fs = new MemoryFileSystem()
  const index = new Map<string, ValuePointer>()
  const value = (i: number): Uint8Array => new Uint8Array(Buffer.from(`value ${i % 7} `.repeat(200)))
  const keyOf = (key: Uint8Array): string => Buffer.from(key).toString()
  const written = await ValueLog.open('/log', { fs, valueCompression: 'lz4' })
  for (let i = 0; i < 40; i++) {
    const [pointer] = await written.append([{ key: `k${i}`, value: value(i) }])
    index.set(`k${i}`, pointer as ValuePointer)
  }
  for (let i = 0; i < 30; i++) {
    written.discard(index.get(`k${i}`) as ValuePointer)
    index.delete(`k${i}`)
  }
  await written.seal()
  await written.close()

  const vlog = await ValueLog.open('/log', { fs })
  const lengths = new Map([...index].map(([key, { len }]) => [key, len]))
  const gc = new GarbageCollector({
    vlog,
    index: {
      lookup: (keys) => keys.map((key) => index.get(keyOf(key))),
      compareAndSwap: (moves) => moves.map(({ key, to }) => index.set(keyOf(key), to) !== undefined),
    },
  })
  const { filesCollected } = await gc.run({ discardRatio: 0.5 })
  expect(filesCollected).toBe(1)
  for (let i = 30; i < 40; i++) {
    const pointer = index.get(`k${i}`) as ValuePointer
    expect(pointer.fid).toBeGreaterThan(1)
    expect(pointer.len).toBe(lengths.get(`k${i}`))
    expect(pointer.len).toBeLessThan(value(i).length / 2)
    expect(vlog.readSync(pointer).value).toEqual(value(i))
  }
  await vlog.close()
})
