/**
 * Blocks of all tables in memory, the least recently used dropped first, bounded by bytes.
 *
 * Guarantees: never more bytes than the capacity; every operation is O(1) but `evictTable`, which is linear in the
 * table's own blocks. A dropped block stays good for whoever still holds it. Blocks never change, so sharing is safe.
 */
import type { Block } from './block-reader.js'
import { invariant } from '@wk/codec'

interface CachedBlock {
  readonly block: Block
  readonly bytes: number
  /** Neighbours in order of use; the ring's head is the cache's own sentinel. */
  newer: CachedBlock
  older: CachedBlock
}

/** What the cache did since it was made, and what it holds. */
export interface BlockCacheStats {
  hits: number
  misses: number
  evictions: number
  blocks: number
  /** Bytes held, and the most there may be. */
  bytes: number
  capacity: number
}

export class BlockCache {
  /** Bytes. */
  readonly capacity: number
  readonly #tables = new Map<number, Map<number, CachedBlock>>()
  /** `older` leads to the most recently used block, `newer` to the least recently used one. */
  readonly #ring: CachedBlock
  #bytes = 0
  #blocks = 0
  #hits = 0
  #misses = 0
  #evictions = 0

  /** @param capacity bytes; 0 caches nothing. */
  constructor(capacity: number) {
    invariant(capacity >= 0, 'a cache capacity that is not negative')
    this.capacity = capacity
    const ring = { block: undefined, bytes: 0 } as unknown as CachedBlock
    ring.newer = ring
    ring.older = ring
    this.#ring = ring
  }

  /** The block at `offset` of `table`, if it is here. */
  get(table: number, offset: number): Block | undefined {
    const cached = this.#tables.get(table)?.get(offset)
    if (cached === undefined) {
      this.#misses++
      return undefined
    }
    this.#hits++
    if (this.#ring.older !== cached) {
      unlink(cached)
      this.#linkNewest(cached)
    }
    return cached.block
  }

  /** Keeps a block, unless it alone is over the capacity. One that is here already stays. */
  set(block: Block): void {
    const bytes = block.memory
    if (bytes > this.capacity) return
    let blocks = this.#tables.get(block.table)
    if (blocks === undefined) {
      blocks = new Map()
      this.#tables.set(block.table, blocks)
    } else if (blocks.has(block.offset)) {
      return
    }
    const cached = { block, bytes } as CachedBlock
    blocks.set(block.offset, cached)
    this.#linkNewest(cached)
    this.#bytes += bytes
    this.#blocks++
    while (this.#bytes > this.capacity) {
      this.#drop(this.#ring.newer)
      this.#evictions++
    }
  }

  /** Drops all blocks of a table that is no longer read. */
  evictTable(table: number): void {
    const blocks = this.#tables.get(table)
    if (blocks === undefined) return
    for (const cached of blocks.values()) this.#drop(cached)
  }

  stats(): BlockCacheStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      blocks: this.#blocks,
      bytes: this.#bytes,
      capacity: this.capacity,
    }
  }

  #drop(cached: CachedBlock): void {
    const { table, offset } = cached.block
    unlink(cached)
    this.#bytes -= cached.bytes
    this.#blocks--
    const blocks = this.#tables.get(table)
    blocks?.delete(offset)
    if (blocks?.size === 0) this.#tables.delete(table)
  }

  #linkNewest(cached: CachedBlock): void {
    const ring = this.#ring
    cached.newer = ring
    cached.older = ring.older
    ring.older.newer = cached
    ring.older = cached
  }
}

function unlink(cached: CachedBlock): void {
  cached.newer.older = cached.older
  cached.older.newer = cached.newer
}
