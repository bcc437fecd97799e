import { MemoryFileSystem } from '@wk/fs'
import { KIND_TOMBSTONE, KIND_VALUE } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import { DeferredTail } from '../src/deferred-tail.js'
import { LsmTree, NO_DEPENDENCY, type TailOperation } from '../src/index.js'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const operation = (sequence: number, commits = true, payload = `v${sequence}`): TailOperation => {
  return { sequence, kind: KIND_VALUE, key: bytes(`k${sequence}`), payload: bytes(payload), commits }
}

describe('what follows on the logs', () => {
  test('takes what has the next number and commits; the first that does not ends it, and every number counts as used', () => {
    const tail = new DeferredTail(5)
    const taken = [operation(4), operation(5), operation(6), operation(7), operation(9), operation(8), operation(10)].map((one) => tail.accepts(one))
    expect(taken).toEqual([false, false, true, true, false, false, false])
    expect([tail.lastSequence, tail.highestSequence]).toEqual([7, 10])
    const batch = new DeferredTail(5)
    expect([operation(6), operation(7, false), operation(8)].map((one) => batch.accepts(one))).toEqual([true, false, false])
  })
})

describe('a tree whose host holds deferred operations', () => {
  const DIR = '/tree'
  const read = (tree: LsmTree, key: string): string | undefined => {
    const view = tree.acquireView()
    try {
      const cursor = tree.cursor(view, tree.visibleSequence)
      for (cursor.first(); cursor.valid; cursor.next()) {
        if (Buffer.from(cursor.keyBytes.subarray(cursor.keyStart, cursor.keyEnd)).toString() !== key) continue
        return Buffer.from(cursor.valueBytes.subarray(cursor.valueStart, cursor.valueEnd)).toString()
      }
      return undefined
    } finally {
      view.release()
    }
  }

  test('writes them when it must, asks for it when a memtable is sealed, and recovers them from the host', async () => {
    const fs = new MemoryFileSystem()
    let asked = 0
    const options = { fs, memTableSize: 64 * 1024, workers: 0, onUnwritten: () => asked++ }
    const tree = await LsmTree.open(DIR, options)
    const held: TailOperation[] = []
    const defer = (): void => {
      const one = operation(tree.nextSequence())
      tree.stage(one.kind, one.key, one.payload, 0, one.payload.length, true)
      held.push(one)
    }
    for (let i = 0; i < 3; i++) defer()
    expect(tree.takeGroup(false)).toBeUndefined()
    tree.stage(KIND_TOMBSTONE, bytes('k2'), new Uint8Array(0))
    const group = tree.takeGroup(false)
    expect(group).toMatchObject({ firstSequence: 1, lastSequence: 4 })
    await tree.writeGroup(group!, NO_DEPENDENCY)
    defer()
    defer()
    const image = fs.crashClone('P1')
    const recovery = await LsmTree.recover(DIR, { ...options, fs: image })
    const froms: unknown[] = []
    const again = await recovery.finish({
      tail: async function* (from) {
        froms.push(from)
        await Promise.resolve()
        yield* held
        yield operation(9)
      },
    })
    expect(froms).toEqual([NO_DEPENDENCY])
    expect(['k1', 'k2', 'k3', 'k5', 'k6', 'k9'].map((key) => read(again, key))).toEqual(['v1', undefined, 'v3', 'v5', 'v6', undefined])
    expect(again.nextSequence()).toBe(10)
    await again.close({ clean: true })

    const flushed = tree.flush()
    expect(asked).toBe(1)
    await tree.writeGroup(tree.takeGroup()!, NO_DEPENDENCY)
    await flushed
    expect(read(tree, 'k6')).toBe('v6')
    await tree.close({ clean: true })
  })
})
