/**
 * What a crash leaves of an in-memory file system.
 *
 * | policy | keeps | models |
 * |---|---|---|
 * | P0 | only synced bytes and names | worst-case loss |
 * | P1 | everything, and it is still not durable | the process is killed, the system lives |
 * | P2 | a prefix of all changes that reaches at least to the last sync, cut inside a write at a sector | ordered journaling |
 * | P3 | random sectors of unsynced writes, random unsynced name changes in their order; holes are zeros | reordering, torn writes |
 * | P4 | as P3, dropped sectors behind the synced end hold random or recycled bytes | writeback journaling, reused blocks |
 * | P5 | all names and sizes, new bytes zero | delayed allocation |
 *
 * Guarantees: synced bytes that no later change overwrote or cut are always kept, and so are synced names; a sector
 * of 512 bytes is left in one of the states it went through; equal seeds give equal results. After P1 the changes stay unsynced: the
 * machine may still lose power. After every other policy what is left is on the device.
 */
import type { ChunkedBytes } from './chunked-bytes.js'
import { applyFileChange, applyNameChange, DirectoryNode, FileNode } from './memory-node.js'
import type { FileChange, MemoryNode, NameChange } from './memory-node.js'
import { seededRandom } from './seeded-random.js'

/** What a simulated crash leaves: see {@link CRASH_POLICIES}. */
export type CrashPolicy = 'P0' | 'P1' | 'P2' | 'P3' | 'P4' | 'P5'

/** All of them. */
export const CRASH_POLICIES: readonly CrashPolicy[] = ['P0', 'P1', 'P2', 'P3', 'P4', 'P5']

/** The unit a device writes as a whole, in bytes. */
export const SECTOR = 512

export interface CrashPoint {
  /** Order of the last change that any sync covered or preceded: P2 keeps at least up to there. */
  readonly lastSync: number
  /** Order of the last change of all. */
  readonly last: number
}

/** A copy of the tree below `root` as the policy leaves it. The original is not changed. */
export function crashTree(root: DirectoryNode, policy: CrashPolicy, seed: number, point: CrashPoint): DirectoryNode {
  return new Crash(policy, seed, point, root).directory(root)
}

class Crash {
  readonly #policy: CrashPolicy
  readonly #random: () => number
  readonly #root: DirectoryNode
  /** P2: changes after this one are lost. */
  readonly #cut: number
  /** P2: the write just behind the cut is kept up to some sector. */
  readonly #torn: boolean
  /** P3, P4: how many changes are kept, on the whole. */
  readonly #keepRate: number
  /** One copy for each node, so that hard links stay links. */
  readonly #copies = new Map<MemoryNode, MemoryNode>()
  #recycled: ChunkedBytes[] | undefined

  constructor(policy: CrashPolicy, seed: number, point: CrashPoint, root: DirectoryNode) {
    this.#policy = policy
    this.#random = seededRandom(seed)
    this.#root = root
    this.#cut = point.lastSync + Math.floor(this.#random() * (point.last - point.lastSync + 1))
    this.#torn = this.#random() < 0.5
    this.#keepRate = [0.15, 0.5, 0.85][Math.floor(this.#random() * 3)] ?? 0.5
  }

  directory(source: DirectoryNode): DirectoryNode {
    const known = this.#copies.get(source)
    if (known instanceof DirectoryNode) return known
    const copy = new DirectoryNode(true)
    this.#copies.set(source, copy)
    if (this.#policy === 'P1') {
      copy.synced = this.#nodes(source.synced ?? new Map())
      copy.unsynced = source.unsynced.map((change) => this.#nameChange(change))
      for (const [name, node] of source.entries) copy.entries.set(name, this.#node(node))
      return copy
    }
    const kept = new Map(source.synced)
    for (const change of source.unsynced) if (this.#keepsNames(change)) applyNameChange(kept, change)
    copy.synced = this.#nodes(kept)
    for (const [name, node] of copy.synced) copy.entries.set(name, node)
    return copy
  }

  #nodes(entries: Map<string, MemoryNode>): Map<string, MemoryNode> {
    const copies = new Map<string, MemoryNode>()
    for (const [name, node] of entries) copies.set(name, this.#node(node))
    return copies
  }

  #node(source: MemoryNode): MemoryNode {
    return source.kind === 'directory' ? this.directory(source) : this.#file(source)
  }

  #nameChange(change: NameChange): NameChange {
    return {
      order: change.order,
      names: change.names.map(([name, node]) => [name, node === undefined ? undefined : this.#node(node)] as const),
    }
  }

  #keepsNames(change: NameChange): boolean {
    switch (this.#policy) {
      case 'P0':
        return false
      case 'P2':
        return change.order <= this.#cut
      case 'P3':
      case 'P4':
        return this.#random() < this.#keepRate
      default:
        return true
    }
  }

  #file(source: FileNode): FileNode {
    const known = this.#copies.get(source)
    if (known instanceof FileNode) return known
    const copy = new FileNode(true)
    this.#copies.set(source, copy)
    if (this.#policy === 'P1') {
      copy.content = source.content.clone()
      copy.synced = source.synced?.clone()
      copy.unsynced = source.unsynced.slice()
      return copy
    }
    copy.content = this.#content(source)
    copy.synced = copy.content.clone()
    return copy
  }

  #content(source: FileNode): ChunkedBytes {
    const content = (source.synced ?? source.content).clone()
    if (source.unsynced.length === 0) return content
    if (this.#policy === 'P2') this.#applyPrefix(content, source.unsynced)
    else if (this.#policy === 'P5') applySizes(content, source)
    else if (this.#policy !== 'P0') this.#applySubset(content, source)
    return content
  }

  #applyPrefix(content: ChunkedBytes, changes: readonly FileChange[]): void {
    for (const change of changes) {
      if (change.order <= this.#cut) {
        applyFileChange(content, change)
      } else {
        // Orders are handed out one by one: only one change of all files is the one just behind the cut.
        if (change.order === this.#cut + 1 && change.kind === 'write' && this.#torn) {
          const first = Math.floor(change.position / SECTOR)
          const sectors = Math.ceil((change.position + change.bytes.length) / SECTOR) - first
          const end = (first + Math.floor(this.#random() * sectors)) * SECTOR
          const length = Math.max(0, end - change.position)
          content.write(change.bytes, 0, length, change.position)
        }
        return
      }
    }
  }

  #applySubset(content: ChunkedBytes, source: FileNode): void {
    // The new size may have reached the device without the bytes.
    const wholeSize = this.#random() < 0.5
    let keptEnd = content.size
    // A sector is written whole, with all that came before: once a state of it is lost, so are the later ones.
    const lost = new Set<number>()
    for (const change of source.unsynced) {
      // Losses come in runs as often as alone: a change is kept or dropped as a whole, or torn.
      const mode = Math.floor(this.#random() * 3)
      const keepsAll = this.#random() < this.#keepRate
      if (change.kind === 'truncate') {
        if (!keepsAll) continue
        content.truncate(change.length)
        keptEnd = change.length
        for (const sector of lost) if (sector >= change.length / SECTOR) lost.delete(sector)
        continue
      }
      if (change.kind === 'punch') {
        forEachSector(change.position, change.length, (start, end) => {
          const sector = Math.floor(start / SECTOR)
          if ((mode === 0 ? this.#random() < this.#keepRate : keepsAll) && !lost.has(sector)) content.punch(start, end - start)
          else lost.add(sector)
        })
        continue
      }
      forEachSector(change.position, change.bytes.length, (start, end) => {
        const sector = Math.floor(start / SECTOR)
        const keeps = mode === 0 ? this.#random() < this.#keepRate : keepsAll
        if (keeps && !lost.has(sector)) {
          content.write(change.bytes, start - change.position, end - start, start)
          keptEnd = Math.max(keptEnd, end)
          return
        }
        lost.add(sector)
        if (this.#policy === 'P4') this.#applyGarbage(content, source.content, Math.max(start, content.size), end)
      })
    }
    if (wholeSize) content.truncate(Math.max(keptEnd, source.content.size))
    else content.truncate(keptEnd)
  }

  /** Fills new bytes of a dropped sector: what is below the end of the file is kept as it was. */
  #applyGarbage(content: ChunkedBytes, lost: ChunkedBytes, start: number, end: number): void {
    if (start >= end) return
    const garbage = new Uint8Array(end - start)
    const pool = this.#random() < 0.5 ? this.#pool() : []
    const recycled = pool[Math.floor(this.#random() * pool.length)]
    if (recycled === undefined) {
      for (let index = 0; index < garbage.length; index++) garbage[index] = Math.floor(this.#random() * 256)
    } else {
      // A block that belonged to another file, or to another place of this one, in its old alignment.
      const sectors = Math.max(1, Math.floor(recycled.size / SECTOR))
      const drawn = Math.floor(this.#random() * sectors) * SECTOR + (start % SECTOR)
      // The sector itself is what was lost: it would be there in part.
      const from = recycled === lost && drawn === start ? drawn + SECTOR : drawn
      recycled.read(garbage, 0, garbage.length, from)
    }
    content.write(garbage, 0, garbage.length, start)
  }

  /** Contents that a recycled sector may come from: every file of the tree. */
  #pool(): ChunkedBytes[] {
    if (this.#recycled !== undefined) return this.#recycled
    const pool: ChunkedBytes[] = []
    const visit = (node: MemoryNode): void => {
      if (node.kind === 'file') {
        if (node.content.size > 0) pool.push(node.content)
      } else {
        for (const child of node.entries.values()) visit(child)
      }
    }
    visit(this.#root)
    return (this.#recycled = pool)
  }
}

/** P5: all sizes, no new bytes. */
function applySizes(content: ChunkedBytes, source: FileNode): void {
  for (const change of source.unsynced) {
    if (change.kind === 'punch') continue
    const end = change.kind === 'truncate' ? change.length : change.position + change.bytes.length
    if (change.kind === 'truncate' || end > content.size) content.truncate(end)
  }
}

/** The pieces of a range that lie in one sector each. */
function forEachSector(position: number, length: number, visit: (start: number, end: number) => void): void {
  const end = position + length
  for (let start = position; start < end; ) {
    const next = Math.min(end, (Math.floor(start / SECTOR) + 1) * SECTOR)
    visit(start, next)
    start = next
  }
}
