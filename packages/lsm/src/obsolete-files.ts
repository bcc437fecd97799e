/**
 * Removal of files that nothing needs any more.
 *
 * A file that cannot be removed is tried again with the next one, and at the latest by the next open: it is an orphan
 * by then, never damage. Nothing here decides that a file is obsolete; callers do, once what replaces it is durable
 * and no reader pins it (CR3).
 */
import { isNotFound } from '@wk/fs'
import type { FileSystem } from '@wk/fs'

export class ObsoleteFiles {
  readonly #fs: FileSystem
  readonly #dir: string
  readonly #names = new Set<string>()
  #running: Promise<void> | undefined

  constructor(fs: FileSystem, dir: string) {
    this.#fs = fs
    this.#dir = dir
  }

  /** Files that are still to be removed. */
  get size(): number {
    return this.#names.size
  }

  /** Removes a file of the directory, in the background. */
  remove(name: string): void {
    this.#names.add(name)
    this.#running ??= this.#run()
  }

  /** Resolves when removals under way have ended. */
  async settle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    await Promise.resolve()
    const failed = new Set<string>()
    for (;;) {
      const name = [...this.#names].find((candidate) => !failed.has(candidate))
      if (name === undefined) break
      try {
        await this.#fs.remove(`${this.#dir}/${name}`)
        this.#names.delete(name)
      } catch (error) {
        if (isNotFound(error)) this.#names.delete(name)
        else failed.add(name)
      }
    }
    this.#running = undefined
  }
}
