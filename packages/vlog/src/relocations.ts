/**
 * The relocations that are under way: each made with what it needs of the log, and counted until it has ended either way.
 *
 * Which files are worth one is the host's to know; what it does is in `relocation-writer.ts`.
 */
import type { Runtime } from '@wk/fs'
import type { FileNumbers } from './file-numbers.js'
import { RelocationWriter, copyHere, type RelocationHost, type RunCopy } from './relocation-writer.js'
import type { VlogSet } from './vlog-set.js'

/** What every relocation needs of the log. */
type LogHost = Omit<RelocationHost, 'ended' | 'runCopy'>

export class Relocations {
  readonly #set: VlogSet
  readonly #host: LogHost
  readonly #numbers: FileNumbers
  readonly #runtime: Runtime
  readonly #underWay = new Set<RelocationWriter>()

  constructor(set: VlogSet, host: LogHost, numbers: FileNumbers, runtime: Runtime) {
    this.#set = set
    this.#host = host
    this.#numbers = numbers
    this.#runtime = runtime
  }

  /** Bytes of the files that are being made. */
  get bytes(): number {
    let bytes = 0
    for (const { size } of this.#underWay) bytes += size
    return bytes
  }

  /** Begins one, with a file of its own. Default of `runCopy`: on this thread, in slices. @throws IoError */
  async begin(runCopy: RunCopy = copyHere(this.#set, this.#runtime)): Promise<RelocationWriter> {
    const host: RelocationHost = { ...this.#host, ended: () => void this.#underWay.delete(relocation), runCopy }
    const relocation = new RelocationWriter(this.#set, host, this.#numbers.take())
    await relocation.open()
    this.#underWay.add(relocation)
    return relocation
  }
}
