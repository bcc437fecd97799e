/**
 * Blocks of all tables in memory, bounded by bytes; what was not used lately is dropped first.
 *
 * Each table has its blocks in an array by index, so that a hit costs no search and changes nothing but a mark on the
 * block: dropping is by second chance (CLOCK). Blocks leave in the order in which they came; one that was used since it
 * came, or was last spared, is spared once more. A long scan therefore drives out only what is not used either.
 *
 * Guarantees: never more bytes than the capacity; every operation is O(1), `set` amortised, but `evictTable`, which is
 * linear in the table's own blocks. A dropped block stays good for whoever still holds it. Blocks never change, so sharing is safe.
 */
import { checkArgument, isCount } from '@wk/codec'
import type { Block } from './block-reader.js'

/** The cached blocks of one table. */
export interface TableBlocks {
  readonly table: number
  /** By index of the data block. Only the cache writes to it. */
  readonly blocks: (Block | undefined)[]
  /** Their places in the order of dropping. */
  readonly places: (Place | undefined)[]
  isEvicted: boolean
}

/** A block's place in the order of dropping: a ring, whose head is the cache's own sentinel. */
interface Place {
  readonly owner: TableBlocks
  readonly index: number
  readonly bytes: number
  newer: Place
  older: Place
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

/** The cache; one may serve any number of tables. */
export class BlockCache {
  /** Bytes. */
  readonly capacity: number
  readonly #tables = new Map<number, TableBlocks>()
  /** `older` leads to the block that came last, `newer` to the one that came first. */
  readonly #ring: Place
  #bytes = 0
  #count = 0
  #hits = 0
  #misses = 0
  #evictions = 0

  /** @param capacity bytes; 0 caches nothing, `Infinity` drops nothing. @throws InvalidArgumentError */
  constructor(capacity: number) {
    checkArgument(isCount(capacity) || capacity === Infinity, 'a cache capacity in bytes')
    this.capacity = capacity
    const ring = { index: -1, bytes: 0 } as Place
    ring.newer = ring
    ring.older = ring
    this.#ring = ring
  }

  /** The blocks of a table with `count` data blocks; the same ones at each call until `evictTable`. For readers. */
  blocksOf(table: number, count: number): TableBlocks {
    let blocks = this.#tables.get(table)
    checkArgument(isCount(table) && isCount(count), 'the number of a table, and that of its blocks')
    checkArgument(blocks === undefined || blocks.blocks.length === count, 'as many data blocks as before')
    if (blocks === undefined) {
      const none = (): undefined => undefined
      blocks = { table, blocks: Array.from({ length: count }, none), places: Array.from({ length: count }, none), isEvicted: false }
      this.#tables.set(table, blocks)
    }
    return blocks
  }

  /** Data block `index`, if it is here. For readers: asked at every lookup, so nothing is checked. */
  get(of: TableBlocks, index: number): Block | undefined {
    const block = of.blocks[index]
    if (block === undefined) {
      this.#misses++
      return undefined
    }
    this.#hits++
    if (!block.recentlyUsed) block.recentlyUsed = true
    return block
  }

  /** For readers, unchecked as `get`: keeps data block `index`, unless it alone is over the capacity. One that is here already stays. */
  set(of: TableBlocks, index: number, block: Block): void {
    const bytes = block.memory
    if (bytes > this.capacity || of.isEvicted || of.blocks[index] !== undefined) return
    const place = { owner: of, index, bytes } as Place
    of.blocks[index] = block
    of.places[index] = place
    block.recentlyUsed = false
    this.#linkNewest(place)
    this.#bytes += bytes
    this.#count++
    while (this.#bytes > this.capacity) this.#dropOne()
  }

  /** Drops all blocks of a table that is no longer read, for ever. */
  evictTable(table: number): void {
    const blocks = this.#tables.get(table)
    if (blocks === undefined) return
    this.#tables.delete(table)
    blocks.isEvicted = true
    for (const place of blocks.places) if (place !== undefined) this.#drop(place)
  }

  stats(): BlockCacheStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      blocks: this.#count,
      bytes: this.#bytes,
      capacity: this.capacity,
    }
  }

  /** Drops the first block in order that was not used since it came or was spared. */
  #dropOne(): void {
    for (;;) {
      const place = this.#ring.newer
      const block = place.owner.blocks[place.index]
      if (block?.recentlyUsed !== true) {
        this.#drop(place)
        this.#evictions++
        return
      }
      block.recentlyUsed = false
      unlink(place)
      this.#linkNewest(place)
    }
  }

  #drop(place: Place): void {
    unlink(place)
    place.owner.blocks[place.index] = undefined
    place.owner.places[place.index] = undefined
    this.#bytes -= place.bytes
    this.#count--
  }

  #linkNewest(place: Place): void {
    const ring = this.#ring
    place.newer = ring
    place.older = ring.older
    ring.older.newer = place
    ring.older = place
  }
}

function unlink(place: Place): void {
  place.newer.older = place.older
  place.older.newer = place.newer
}
