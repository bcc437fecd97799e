import { MemoryFileSystem, readFullySync } from '@wk/fs'
import { expect, test } from 'vitest'
import { PlainEngine } from '../src/index.js'

test('CR4: a manifest is durable, name included, before CURRENT is made to name it', async () => {
  const fs = new MemoryFileSystem()
  const missing: string[] = []
  let renames = 0
  fs.onMutatingOperation = (_, operation) => {
    if (operation.kind !== 'rename' || !operation.to?.endsWith('/CURRENT')) return
    renames++
    const temporary = fs.openSync(operation.path, 'read')
    const bytes = new Uint8Array(temporary.sizeSync())
    readFullySync(temporary, bytes, 0, bytes.length, 0)
    temporary.closeSync()
    const name = new TextDecoder().decode(bytes).trim()
    try {
      fs.crashClone('P0').openSync(`/db/${name}`, 'read').closeSync()
    } catch {
      missing.push(name)
    }
  }
  for (let i = 0; i < 3; i++) {
    const engine = await PlainEngine.open('/db', { fs })
    await engine.batch([{ type: 'put', key: new Uint8Array([i]), value: new Uint8Array(10) }])
    await engine.close()
  }
  expect(renames).toBeGreaterThanOrEqual(3)
  expect(missing).toEqual([])
})
