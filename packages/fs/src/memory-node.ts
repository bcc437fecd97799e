/**
 * Files and directories of the in-memory file system, each with what a crash would leave of it.
 *
 * A crashable node keeps its current state, its synced state, and the ordered list of changes in between. A sync moves
 * the changes that were complete when it was asked for into the synced state; whatever came later stays unsynced.
 * Changes carry one order over the whole file system, so that a crash can keep a prefix of everything.
 */
import { ChunkedBytes } from './chunked-bytes.js'

/** A write, a truncation, or a range that becomes zeros. The bytes of a write belong to the list and never change. */
export type FileChange =
  | { readonly order: number; readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly order: number; readonly kind: 'truncate'; readonly length: number }
  | { readonly order: number; readonly kind: 'punch'; readonly position: number; readonly length: number }

/** Names of one directory that change together: one for create, link and remove, two for a rename. */
export interface NameChange {
  readonly order: number
  /** Undefined: the name is gone. */
  readonly names: readonly (readonly [name: string, node: MemoryNode | undefined])[]
}

export type MemoryNode = FileNode | DirectoryNode

export class FileNode {
  readonly kind = 'file'
  content = new ChunkedBytes()
  /** What a crash surely keeps; undefined in a file system that cannot crash. */
  synced: ChunkedBytes | undefined
  unsynced: FileChange[] = []

  constructor(crashable: boolean) {
    if (crashable) this.synced = new ChunkedBytes()
  }

  /** Applies a write. `bytes` must be private to this call in a crashable file system: they are kept. */
  write(order: number, bytes: Uint8Array, position: number): void {
    this.content.write(bytes, 0, bytes.length, position)
    if (this.synced !== undefined) this.unsynced.push({ order, kind: 'write', position, bytes })
  }

  truncate(order: number, length: number): void {
    this.content.truncate(length)
    if (this.synced !== undefined) this.unsynced.push({ order, kind: 'truncate', length })
  }

  punch(order: number, position: number, length: number): void {
    this.content.punch(position, length)
    if (this.synced !== undefined) this.unsynced.push({ order, kind: 'punch', position, length })
  }

  /** Makes the changes up to and including `order` durable. */
  sync(order: number): void {
    if (this.synced === undefined) return
    const later = this.unsynced.filter((change) => change.order > order)
    if (later.length === 0) this.synced = this.content.clone()
    else for (const change of this.unsynced) if (change.order <= order) applyFileChange(this.synced, change)
    this.unsynced = later
  }
}

export class DirectoryNode {
  readonly kind = 'directory'
  readonly entries = new Map<string, MemoryNode>()
  /** What a crash surely keeps; undefined in a file system that cannot crash. */
  synced: Map<string, MemoryNode> | undefined
  unsynced: NameChange[] = []

  constructor(crashable: boolean) {
    if (crashable) this.synced = new Map()
  }

  change(change: NameChange): void {
    applyNameChange(this.entries, change)
    if (this.synced !== undefined) this.unsynced.push(change)
  }

  /** Makes the name changes up to and including `order` durable. */
  sync(order: number): void {
    if (this.synced === undefined) return
    for (const change of this.unsynced) if (change.order <= order) applyNameChange(this.synced, change)
    this.unsynced = this.unsynced.filter((change) => change.order > order)
  }
}

export function applyFileChange(content: ChunkedBytes, change: FileChange): void {
  if (change.kind === 'truncate') content.truncate(change.length)
  else if (change.kind === 'punch') content.punch(change.position, change.length)
  else content.write(change.bytes, 0, change.bytes.length, change.position)
}

export function applyNameChange(entries: Map<string, MemoryNode>, change: NameChange): void {
  for (const [name, node] of change.names) {
    if (node === undefined) entries.delete(name)
    else entries.set(name, node)
  }
}
