import { MemoryFileSystem } from '@wk/fs'
import { GarbageCollector, type ValuePointer } from '@wk/gc'
import { ValueLog } from '@wk/vlog'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (string: string) => new TextEncoder().encode(string)
const index = new Map<string, ValuePointer>()

const vlog = await ValueLog.open('/values', { fs: new MemoryFileSystem(), fileSize: 64 * 1024 })

async function put(key: string, value: string) {
  const [pointer] = await vlog.append([{ key: bytes(key), value: bytes(value) }])
  const old = index.get(key)
  index.set(key, pointer!)
  if (old) vlog.discard(old) // what steers the choice of files
}

const gc = new GarbageCollector({
  vlog,
  index: {
    lookup: (keys) => keys.map((key) => index.get(text(key))),
    compareAndSwap: (moves) =>
      moves.map(({ key, from, to }) => {
        const current = index.get(text(key))
        if (current?.fid !== from.fid || current.offset !== from.offset || current.len !== from.len) return false
        index.set(text(key), to)
        return true
      }),
  },
})

for (let n = 0; n < 2000; n++) await put(`key ${n % 100}`, `value ${n} `.repeat(20))
const report = await gc.run({ discardRatio: 0.5 })
console.log(report) // { filesCollected, bytesMoved, bytesReclaimed, spaceAmp }
console.log(text((await vlog.read(index.get('key 7')!)).value)) // still there
await vlog.close()
