import { BlockCache } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Block } from '../src/block-reader.js'
import { BlockBuilder } from '../src/block-builder.js'
import { merged, sourceOf } from './merged.js'
import { build, numbered, pointerEntries, runs } from './support.js'
import { newLookupResult } from '@wk/codec'

function block(table: number, offset: number, size = 100): Block {
  const builder = new BlockBuilder(1)
  builder.add(numbered(offset), 0, 16, 0, 1, 1, new Uint8Array(size), 0, size)
  const { bytes, length } = builder.finish()
  return new Block(bytes.slice(0, length), length, table, offset)
}

describe('block cache', () => {
  it('is a map bounded by bytes that gives what was used a second chance', () => {
    const action = fc.tuple(fc.constantFrom('get', 'get', 'set', 'set', 'evict'), fc.integer({ min: 1, max: 3 }), fc.nat(15), fc.constantFrom(50, 500))
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const cache = new BlockCache(4000)
        let model: { block: Block; used: boolean }[] = []
        for (const [what, table, index, size] of actions) {
          const of = cache.blocksOf(table, 16)
          const held = model.find(({ block: b }) => b.table === table && b.offset === index)
          if (what === 'evict') {
            cache.evictTable(table)
            expect(cache.get(of, index)).toBeUndefined()
            cache.set(of, index, block(table, index, 50))
            model = model.filter(({ block: b }) => b.table !== table)
          } else if (what === 'get') {
            expect(cache.get(of, index)).toBe(held?.block)
            if (held !== undefined) held.used = true
          } else if (held === undefined) {
            const fresh = block(table, index, size)
            cache.set(of, index, fresh)
            model.push({ block: fresh, used: false })
            while (model.reduce((sum, { block: b }) => sum + b.memory, 0) > 4000) {
              const first = model.shift()!
              if (first.used) model.push({ ...first, used: false })
            }
          }
          const stats = cache.stats()
          expect(stats.blocks).toBe(model.length)
          expect(stats.bytes).toBe(model.reduce((sum, { block: b }) => sum + b.memory, 0))
          expect(stats.bytes).toBeLessThanOrEqual(4000)
        }
      }),
      runs(200),
    )
  })

  it('counts hits, misses and evictions', () => {
    const one = block(1, 0)
    const cache = new BlockCache(one.memory * 2)
    const of = cache.blocksOf(1, 3)
    expect(cache.get(of, 0)).toBeUndefined()
    cache.set(of, 0, one)
    cache.set(of, 0, one)
    cache.set(of, 1, block(1, 1))
    expect(cache.get(of, 0)).toBe(one)
    cache.set(of, 2, block(1, 2))
    expect(cache.get(of, 1)).toBeUndefined()
    expect(cache.stats()).toEqual({ hits: 1, misses: 2, evictions: 1, blocks: 2, bytes: one.memory * 2, capacity: one.memory * 2 })
  })

  it('keeps nothing that alone is too large, and nothing at all without capacity', () => {
    const cache = new BlockCache(0)
    cache.set(cache.blocksOf(1, 1), 0, block(1, 0))
    expect(cache.stats().blocks).toBe(0)
  })

  it('spares the file a second read, and is passed by in a merge', () => {
    const { file, open } = build(pointerEntries(2000))
    const cache = new BlockCache(1 << 20)
    const table = open({ cache })
    const out = newLookupResult()
    const before = file.reads
    for (let i = 0; i < 2000; i++) table.get(numbered(i), 1e9, out)
    expect(file.reads - before).toBe(table.dataBlocks)
    for (let i = 0; i < 2000; i++) table.get(numbered(i), 1e9, out)
    expect(file.reads - before).toBe(table.dataBlocks)
    expect(cache.stats().bytes).toBeLessThanOrEqual(1 << 20)
    cache.evictTable(table.number)
    expect(cache.stats()).toMatchObject({ blocks: 0, bytes: 0 })
    merged([sourceOf(table)])
    expect(cache.stats().blocks).toBe(0)
  })
})
