/**
 * A file system in memory, with or without the power to crash.
 *
 * Crashable (the default): keeps what is synced apart from what is not, and `crashClone(policy, seed)` makes the file
 * system that a crash at this moment would leave. With the hook `onMutatingOperation`, called before each change, a
 * harness visits the moment before every operation. Not crashable: only the current bytes are kept, for speed and
 * for databases that live in memory.
 *
 * Guarantees: asynchronous operations take effect in a later microtask than the call, in the order of the calls;
 * synchronous ones take effect at once. A sync covers only what had completed when it was called. No clock, no
 * randomness but the seeds. Locks are those of one instance and are not kept by clones. There are no symbolic links
 * and no permissions.
 */
import { sep } from 'node:path'
import { LockedError, NotSupportedError, checkArgument } from '@wk/codec'
import { CRASH_POLICIES, crashTree } from './crash-policy.js'
import type { CrashPolicy } from './crash-policy.js'
import { ioErrorOf } from './errno.js'
import type { File, FileSystem, Lock, LockOptions, MkdirOptions, OpenMode } from './file-system.js'
import { MemoryFile } from './memory-file.js'
import { MemoryJournal } from './memory-journal.js'
import type { MutationHook } from './memory-journal.js'
import { DirectoryNode, FileNode } from './memory-node.js'
import type { MemoryNode } from './memory-node.js'

export interface MemoryFileSystemOptions {
  /** Whether unsynced changes are tracked, so that {@link MemoryFileSystem.crashClone} works. Default true. */
  crashable?: boolean
  /**
   * Whether an asynchronous write reads the caller's buffer when it takes effect instead of at the call: catches
   * buffers that are reused too early. Default false.
   */
  lateCopy?: boolean
  /** See {@link MemoryFileSystem.onMutatingOperation}. */
  onMutatingOperation?: MutationHook
}

interface Place {
  readonly parent: DirectoryNode
  readonly name: string
}

export class MemoryFileSystem implements FileSystem {
  readonly kind = 'memory'
  /** Whether {@link crashClone} works. */
  readonly crashable: boolean
  /** Whether asynchronous writes read the caller's buffer late. */
  readonly lateCopy: boolean

  #root: DirectoryNode
  #journal = new MemoryJournal()
  #openFiles = 0
  readonly #locks = new Map<MemoryNode, { shared: boolean; count: number; isPassing: boolean }>()

  constructor(options: MemoryFileSystemOptions = {}) {
    this.crashable = options.crashable ?? true
    this.lateCopy = options.lateCopy ?? false
    this.#root = new DirectoryNode(this.crashable)
    this.onMutatingOperation = options.onMutatingOperation
  }

  /** Mutating operations so far. */
  get opCount(): number {
    return this.#journal.opCount
  }

  /** Files that are open: none is left when whoever opened them has closed. */
  get openFiles(): number {
    return this.#openFiles
  }

  /**
   * Called before each change is applied, on success paths only; take a clone here for a crash just before it. If it
   * throws, the operation fails with what it threw and changes nothing.
   */
  get onMutatingOperation(): MutationHook | undefined {
    return this.#journal.hook
  }

  set onMutatingOperation(hook: MutationHook | undefined) {
    this.#journal.hook = hook
  }

  /**
   * The file system that a crash at this moment leaves: a new, independent instance without open files, locks or
   * hook. This one is not changed. Costs in proportion to the number of files and the unsynced bytes.
   * @throws NotSupportedError if this instance is not crashable, InvalidArgumentError for an unknown policy, or a seed that is no number
   */
  crashClone(policy: CrashPolicy, seed = 0): MemoryFileSystem {
    checkArgument(CRASH_POLICIES.includes(policy), `one of the policies ${CRASH_POLICIES.join(', ')}`)
    checkArgument(Number.isFinite(seed), 'a seed as a number')
    if (!this.crashable) throw new NotSupportedError('this in-memory file system was made with crashable: false')
    const clone = new MemoryFileSystem({ lateCopy: this.lateCopy })
    const { order, lastSync } = this.#journal
    clone.#root = crashTree(this.#root, policy, seed, { lastSync, last: order })
    clone.#journal = new MemoryJournal(order, policy === 'P1' ? lastSync : order)
    return clone
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    await undefined
    return this.openSync(path, mode)
  }

  openSync(path: string, mode: OpenMode): File {
    const node = this.#openNode(path, mode, 'open')
    this.#openFiles++
    return new MemoryFile(this.#journal, node, path, { writable: mode !== 'read', lateCopy: this.lateCopy, onClose: () => this.#openFiles--, links: () => this.#linksOf(node) })
  }

  async rename(from: string, to: string): Promise<void> {
    await undefined
    const source = this.#place(from, 'rename')
    const target = this.#place(to, 'rename')
    const node = this.#existing(source, from, 'rename')
    const replaced = target.parent.entries.get(target.name)
    if (replaced?.kind === 'directory') throw ioErrorOf('EISDIR', 'rename', to)
    const order = this.#journal.beforeChange({ kind: 'rename', path: from, to })
    if (replaced === node) return
    if (source.parent === target.parent) {
      source.parent.change({ order, names: [[target.name, node], [source.name, undefined]] })
    } else {
      // Two directories are synced apart, so a crash may keep either half.
      target.parent.change({ order, names: [[target.name, node]] })
      source.parent.change({ order, names: [[source.name, undefined]] })
    }
  }

  async remove(path: string): Promise<void> {
    await undefined
    const place = this.#place(path, 'remove')
    if (this.#existing(place, path, 'remove').kind === 'directory') throw ioErrorOf('EISDIR', 'remove', path)
    this.#removeName(place, path)
  }

  async list(dir: string): Promise<string[]> {
    await undefined
    return [...this.#directory(dir, 'list').entries.keys()].sort()
  }

  async mkdir(dir: string, { syncs }: MkdirOptions = {}): Promise<boolean> {
    await undefined
    const sync = (node: DirectoryNode, within: string, order: number): void => {
      const covers = this.#journal.opCount
      if (syncs === undefined) this.#syncDirectory(node, within, order, covers)
      else syncs.push(async () => this.#syncDirectory(node, within, order, covers))
    }
    let parent = this.#root
    let path = ''
    let created = false
    for (const name of split(dir)) {
      const present = parent.entries.get(name)
      if (present?.kind === 'file') throw ioErrorOf(`${path}/${name}` === normal(dir) ? 'EEXIST' : 'ENOTDIR', 'mkdir', dir)
      const within = path === '' ? '/' : path
      path = `${path}/${name}`
      if (present !== undefined) {
        // The deepest directory that was there is made durable as well; one that is already costs no operation.
        if (isUnsynced(parent, name)) sync(parent, within, this.#journal.order)
        parent = present
        continue
      }
      const node = new DirectoryNode(this.crashable)
      const order = this.#journal.beforeChange({ kind: 'mkdir', path })
      parent.change({ order, names: [[name, node]] })
      sync(parent, within, order)
      parent = node
      created = true
    }
    return created
  }

  async rmdir(dir: string): Promise<void> {
    await undefined
    const place = this.#place(dir, 'rmdir')
    const node = this.#existing(place, dir, 'rmdir')
    if (node.kind === 'file') throw ioErrorOf('ENOTDIR', 'rmdir', dir)
    if (node.entries.size > 0) throw ioErrorOf('ENOTEMPTY', 'rmdir', dir)
    const order = this.#journal.beforeChange({ kind: 'rmdir', path: dir })
    place.parent.change({ order, names: [[place.name, undefined]] })
  }

  async link(from: string, to: string): Promise<void> {
    await undefined
    const node = this.#existing(this.#place(from, 'link'), from, 'link')
    const target = this.#place(to, 'link')
    if (node.kind === 'directory') throw ioErrorOf('EISDIR', 'link', from)
    if (target.parent.entries.has(target.name)) throw ioErrorOf('EEXIST', 'link', to)
    const order = this.#journal.beforeChange({ kind: 'link', path: from, to })
    target.parent.change({ order, names: [[target.name, node]] })
  }

  async syncDir(dir: string): Promise<void> {
    const { order, opCount } = this.#journal
    await undefined
    this.#syncDirectory(this.#directory(dir, 'syncDir'), dir, order, opCount)
  }

  async lock(path: string, options: LockOptions = {}): Promise<Lock> {
    await undefined
    const shared = options.shared === true
    const place = this.#place(path, 'lock')
    const isThere = place.parent.entries.has(place.name)
    const node = this.#openNode(path, isThere ? 'read' : 'create', 'lock')
    const held = this.#locks.get(node)
    if (held !== undefined && !(held.shared && shared)) {
      throw new LockedError(`${path} is locked by this process (pid ${process.pid})`, { pid: process.pid })
    }
    const isPassing = held?.isPassing ?? (shared && !isThere)
    this.#locks.set(node, { shared, count: (held?.count ?? 0) + 1, isPassing })
    let released = false
    return {
      release: async () => {
        if (released) return
        released = true
        const current = this.#locks.get(node)
        if (current !== undefined && current.count > 1) {
          current.count--
          return
        }
        this.#locks.delete(node)
        // Only readers needed it. In this very turn: else whoever takes the lock next would hold one without a name.
        if (isPassing && place.parent.entries.get(place.name) === node) this.#removeName(place, path)
      },
    }
  }

  /** Bytes of all files now: what the file system holds, not what it needs. */
  totalBytes(): number {
    const seen = new Set<MemoryNode>()
    const sum = (node: MemoryNode): number => {
      if (seen.has(node)) return 0
      seen.add(node)
      if (node.kind === 'file') return node.content.size
      let total = 0
      for (const child of node.entries.values()) total += sum(child)
      return total
    }
    return sum(this.#root)
  }

  #linksOf(node: FileNode): number {
    const count = (directory: DirectoryNode): number => {
      let links = 0
      for (const child of directory.entries.values()) links += child.kind === 'directory' ? count(child) : Number(child === node)
      return links
    }
    return count(this.#root)
  }

  #syncDirectory(node: DirectoryNode, path: string, order: number, covers: number): void {
    this.#journal.beforeSync({ kind: 'syncDir', path, covers }, order)
    node.sync(order)
  }

  #openNode(path: string, mode: OpenMode, operation: string): FileNode {
    const place = this.#place(path, operation)
    const present = place.parent.entries.get(place.name)
    if (present?.kind === 'directory') throw ioErrorOf(mode === 'create' ? 'EEXIST' : 'EISDIR', operation, path)
    if (mode !== 'create') {
      if (present === undefined) throw ioErrorOf('ENOENT', operation, path)
      return present
    }
    if (present !== undefined) throw ioErrorOf('EEXIST', operation, path)
    const node = new FileNode(this.crashable)
    const order = this.#journal.beforeChange({ kind: 'create', path })
    place.parent.change({ order, names: [[place.name, node]] })
    return node
  }

  #removeName({ parent, name }: Place, path: string): void {
    const order = this.#journal.beforeChange({ kind: 'remove', path })
    parent.change({ order, names: [[name, undefined]] })
  }

  /** Parent directory and last name of a path. */
  #place(path: string, operation: string): Place {
    const names = split(path)
    const name = names.pop()
    if (name === undefined) throw ioErrorOf('EISDIR', operation, path)
    return { parent: this.#walk(names, path, operation), name }
  }

  #directory(path: string, operation: string): DirectoryNode {
    return this.#walk(split(path), path, operation)
  }

  #walk(names: readonly string[], path: string, operation: string): DirectoryNode {
    let node = this.#root
    for (const name of names) {
      const child = node.entries.get(name)
      if (child === undefined) throw ioErrorOf('ENOENT', operation, path)
      if (child.kind === 'file') throw ioErrorOf('ENOTDIR', operation, path)
      node = child
    }
    return node
  }

  #existing(place: Place, path: string, operation: string): MemoryNode {
    const node = place.parent.entries.get(place.name)
    if (node === undefined) throw ioErrorOf('ENOENT', operation, path)
    return node
  }
}

const SEPARATOR = sep === '\\' ? /[\\/]/ : '/'

/** The names of a path, from the root; relative paths start there too. */
function split(path: string): string[] {
  const names: string[] = []
  for (const name of path.split(SEPARATOR)) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return names
}

function normal(path: string): string {
  return `/${split(path).join('/')}`
}

/** Whether a crash could lose the name. */
function isUnsynced(parent: DirectoryNode, name: string): boolean {
  return parent.synced !== undefined && parent.synced.get(name) !== parent.entries.get(name)
}
