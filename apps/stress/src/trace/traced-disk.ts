/**
 * The states of a directory that a crash may leave, rebuilt from the system calls of a process. A second opinion on crashes: what is
 * durable follows from the calls that the kernel saw, not from what `MemoryFileSystem` was told.
 *
 * A file's bytes are durable once a sync of it has ended that began after they were written, a name once that holds for its directory.
 * Of the rest a state keeps nothing, everything, what came first, or any sectors (only a sector is atomic) and names, in the order of each.
 */
import type { Rng } from '@wk/testkit'
import { dirname } from 'node:path'
import type { SystemCall } from './system-calls.js'

/** What is kept of what was not synced: nothing, all, a prefix of the calls, some sectors under all names, some sectors and some names. */
export const KEEPS = ['nothing', 'all', 'prefix', 'sectors', 'subset'] as const
export type Keep = (typeof KEEPS)[number]

interface Change {
  readonly begun: number
  readonly ended: number
  readonly position: number
  /** Undefined: cut at the position. */
  readonly bytes: Uint8Array | undefined
}

interface NameChange {
  readonly ended: number
  readonly names: readonly (readonly [name: string, file: TracedFile | undefined])[]
}

interface Sync {
  readonly begun: number
  readonly ended: number
}

class TracedFile {
  readonly changes: Change[] = []
  readonly syncs: Sync[] = []
  size = 0

  change(change: Change): void {
    this.changes.push(change)
    this.size = change.bytes === undefined ? change.position : Math.max(this.size, change.position + change.bytes.length)
  }
}

const SECTOR = 512

/** All that was done to the files of one directory. */
export class TracedDisk {
  readonly #changes: NameChange[] = []
  readonly #syncs: Sync[] = []

  constructor(calls: readonly SystemCall[], dir: string) {
    const now = new Map<string, TracedFile>()
    const rename = (ended: number, names: readonly (readonly [string, TracedFile | undefined])[]): void => {
      this.#changes.push({ ended, names })
      for (const [name, file] of names) {
        if (file === undefined) now.delete(name)
        else now.set(name, file)
      }
    }
    const fileAt = (path: string): TracedFile => {
      const file = now.get(path)
      if (file === undefined) throw new Error(`a call on ${path}, which nobody made`)
      return file
    }
    for (const call of calls) {
      const { path, begun, ended } = call
      if (call.kind === 'sync' && path === dir) this.#syncs.push({ begun, ended })
      if (dirname(path) !== dir) continue
      switch (call.kind) {
        case 'create':
          if (!now.has(path)) rename(ended, [[path, new TracedFile()]])
          break
        case 'write': {
          const file = fileAt(path)
          file.change({ begun, ended, position: call.position ?? file.size, bytes: call.bytes })
          break
        }
        case 'truncate':
          fileAt(path).change({ begun, ended, position: call.length, bytes: undefined })
          break
        case 'sync':
          fileAt(path).syncs.push({ begun, ended })
          break
        case 'rename':
          rename(ended, [[call.to, fileAt(path)], [path, undefined]])
          break
        case 'link':
          rename(ended, [[call.to, fileAt(path)]])
          break
        case 'unlink':
          rename(ended, [[path, undefined]])
          break
        case 'mkdir':
          throw new Error(`a directory within: ${path}`)
      }
    }
  }

  /** The files of the directory, by path, as a crash right after a line may leave them. */
  stateAfter(line: number, keep: Keep, rng: Rng): Map<string, Uint8Array> {
    const last = this.#lastDurable(this.#syncs, line)
    const until = keep === 'prefix' ? rng.between(0, line) : line
    const names = new Map<string, TracedFile>()
    const lost = new Set<string>()
    for (const { ended, names: changed } of this.#changes) {
      if (ended > line) break
      const isKept = ended < last || (keep !== 'nothing' && ended <= until && (keep !== 'subset' || rng.chance(0.5)) && !changed.some(([name]) => lost.has(name)))
      for (const [name, file] of changed) {
        if (!isKept) lost.add(name)
        else if (file === undefined) names.delete(name)
        else names.set(name, file)
      }
    }
    return new Map([...names].map(([name, file]) => [name, this.#contentOf(file, line, until, keep, rng)]))
  }

  #contentOf(file: TracedFile, line: number, until: number, keep: Keep, rng: Rng): Uint8Array {
    const last = this.#lastDurable(file.syncs, line)
    const changes = file.changes.filter(({ ended }) => ended <= line)
    const durable = changes.filter(({ ended }) => ended < last).length
    const whole = (count: number): Uint8Array => changes.slice(0, count).reduce(applied, new Uint8Array(0))
    if (keep === 'nothing') return whole(durable)
    if (keep === 'all') return whole(changes.length)
    if (keep === 'prefix') return whole(Math.max(durable, changes.filter(({ ended }) => ended <= until).length))
    // Each sector is as it was after some of the changes, and so is the size; what nothing was written to reads as zero.
    const content = new Uint8Array(whole(rng.between(durable, changes.length)).length)
    const versions = Array.from({ length: changes.length - durable + 1 }, (_, more) => whole(durable + more))
    for (let at = 0; at < content.length; at += SECTOR) content.set(rng.pick(versions).subarray(at, Math.min(at + SECTOR, content.length)), at)
    return content
  }

  /** What had ended before this line is durable at `line`: the beginning of the last sync that has ended by then. */
  #lastDurable(syncs: readonly Sync[], line: number): number {
    let last = -1
    for (const { begun, ended } of syncs) if (ended <= line) last = Math.max(last, begun)
    return last
  }
}

/** The content after one more change. */
function applied(content: Uint8Array, { position, bytes }: Change): Uint8Array {
  if (bytes === undefined) return content.slice(0, position)
  const next = new Uint8Array(Math.max(content.length, position + bytes.length))
  next.set(content)
  next.set(bytes, position)
  return next
}
