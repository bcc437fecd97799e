/**
 * `checkpoint()`: an openable copy in another directory, made while the database works on.
 *
 * Memtables are flushed and the active value log is sealed, so that the copy consists of files that never change again: hard
 * links where the file system has them, copies elsewhere. A view keeps the tables, and collection waits, so that no value
 * log goes meanwhile. CURRENT comes last: a directory that a crash left unfinished is refused by `DB.open` (fine point 3), and
 * `DB.destroy` removes it.
 */
import { ExistsError, errnoOf, formatFileName, throwIfAborted, invariant } from '@wk/codec'
import { isNotFound, readFully, writeFully } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import { writeCheckpointManifest } from '@wk/lsm'
import type { ReadView } from '@wk/lsm'
import { treeFileSystem } from './encryption.js'
import type { MaintenanceOptions } from './maintenance.js'
import type { Parts } from './open.js'

const COPY_LENGTH = 1024 * 1024

/**
 * So far ahead of the database's own file numbers go those of the copy. Frames are told from what a reused block held before by number and offset
 * (CR8): what lies in one directory must not pass for a frame of a log in the other.
 */
const NUMBERS_APART = 2 ** 20

/** Requires a writable database on disk. The copy holds exactly the writes called before; it is durable when the promise resolves. */
export async function makeCheckpoint(parts: Parts, target: string, options: MaintenanceOptions): Promise<void> {
  const { tree, fs } = parts
  const sequence = tree.visibleSequence
  const flushed = tree.flushedView()
  // The directory may be refused first.
  flushed.catch(() => {})
  let view: ReadView | undefined
  try {
    await expectEmpty(fs, target)
    view = await flushed
    throwIfAborted(options.signal)
    await copyView(parts, view, sequence, target, options)
  } finally {
    if (view === undefined) flushed.then((late) => late.release(), () => {})
    else view.release()
  }
}

async function expectEmpty(fs: FileSystem, target: string): Promise<void> {
  try {
    if ((await fs.list(target)).length === 0) return
  } catch (error) {
    if (isNotFound(error)) return
    throw error
  }
  throw new ExistsError('the directory of the checkpoint is not empty')
}

/** @throws ExistsError for an error that says that a name is taken, in a directory that was empty */
function expectOurs(error: unknown): void {
  if (errnoOf(error) === 'EEXIST') throw new ExistsError('somebody else writes to the directory of the checkpoint', { cause: error })
}

async function copyView(parts: Parts, view: ReadView, sequence: number, target: string, options: MaintenanceOptions): Promise<void> {
  const { vlog, gc } = parts
  invariant(vlog !== undefined && gc !== undefined, 'a writable database on disk has a value log')
  const fids = view.version.references()
  await gc.locked(async () => {
    throwIfAborted(options.signal)
    // What is shared never changes again.
    await gc.gaps.end()
    const isNeeded = ({ logical }: { logical: number[] }): boolean => logical.some((fid) => fids.has(fid))
    if (vlog.physicalFiles().some((file) => !file.sealed && isNeeded(file))) await gc.seal()
    const logs = vlog.physicalFiles().filter(isNeeded)
    const copy = new DirectoryCopy(parts, target, options)
    try {
      await copy.begin()
      const tables = [...view.version.tables()]
      const lists = logs.filter(({ listBytes }) => listBytes > 0)
      copy.total = tables.length + logs.length + lists.length + 2
      for (const { number } of tables) await copy.link(formatFileName('table', number))
      for (const { number, relocated } of logs) await copy.link(formatFileName(relocated ? 'relocated' : 'vlog', number))
      // None can come meanwhile: a pass that makes holes holds the same lock.
      for (const { number } of lists) await copy.link(formatFileName('runs', number))
      await copy.copyIfThere(formatFileName('keyRegistry'))
      const newest = logs.findLast(({ relocated }) => !relocated)
      await copy.finish(view, sequence, { vlogFid: newest?.number ?? 0, vlogSize: newest?.size ?? 0 })
    } catch (error) {
      await copy.undo()
      throw error
    }
  }, options.signal)
}

/** A directory under construction. */
class DirectoryCopy {
  total = 0
  readonly #parts: Parts
  readonly #target: string
  readonly #options: MaintenanceOptions
  readonly #names: string[] = []
  #isOurs = false
  #done = 0
  #bytes = 0

  constructor(parts: Parts, target: string, options: MaintenanceOptions) {
    this.#parts = parts
    this.#target = target
    this.#options = options
  }

  async begin(): Promise<void> {
    // Another checkpoint of this database may have come first, into this very directory.
    await expectEmpty(this.#parts.fs, this.#target)
    this.#isOurs = await this.#parts.fs.mkdir(this.#target)
  }

  /** A second name for a file that does not change any more and is durable. */
  async link(name: string): Promise<void> {
    throwIfAborted(this.#options.signal)
    const { fs, dir } = this.#parts
    try {
      await fs.link(`${dir}/${name}`, `${this.#target}/${name}`)
      this.#names.push(name)
    } catch (error) {
      expectOurs(error)
      await this.#copy(name)
    }
    this.#step()
  }

  async copyIfThere(name: string): Promise<void> {
    try {
      await this.#copy(name)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    this.#step()
  }

  /** Makes it a database. */
  async finish(view: ReadView, sequence: number, cleanClose: { vlogFid: number; vlogSize: number }): Promise<void> {
    const { fs, tree, options } = this.#parts
    throwIfAborted(this.#options.signal)
    const manifestNumber = tree.nextFileNumber + NUMBERS_APART
    // CR2: what the manifest names is durable first.
    await fs.syncDir(this.#target)
    // What was dropped since the view was taken is in it.
    const droppedTombstone = Math.min(tree.droppedTombstone, sequence)
    const state = { version: view.version, manifestNumber, lastSequence: sequence, droppedTombstone, cleanClose }
    const written = writeCheckpointManifest(treeFileSystem(fs, options.encryptionKey), this.#target, state)
    // Where the name of the manifest is taken CURRENT is not ours to remove either.
    await written.catch(expectOurs)
    this.#names.push(formatFileName('manifest', manifestNumber), `${formatFileName('current')}.tmp`, formatFileName('current'))
    await written
    this.#step()
  }

  /** Removes what was made, CURRENT first, as far as that goes: the error that ended the work is the one that counts. */
  async undo(): Promise<void> {
    const { fs } = this.#parts
    try {
      for (const name of this.#names.reverse()) await fs.remove(`${this.#target}/${name}`).catch(() => {})
      if (this.#isOurs) await fs.rmdir(this.#target)
    } catch {
      // What is left is refused by `DB.open`.
    }
  }

  async #copy(name: string): Promise<void> {
    const { fs, dir } = this.#parts
    const from = await fs.open(`${dir}/${name}`, 'read')
    try {
      const to = await fs.open(`${this.#target}/${name}`, 'create')
      this.#names.push(name)
      try {
        const buffer = new Uint8Array(COPY_LENGTH)
        for (let at = 0; ; ) {
          throwIfAborted(this.#options.signal)
          const length = await readFully(from, buffer, 0, buffer.length, at)
          if (length === 0) break
          await writeFully(to, buffer, 0, length, at)
          at += length
          this.#bytes += length
        }
        await to.sync()
      } finally {
        await to.close()
      }
    } finally {
      await from.close()
    }
  }

  #step(): void {
    this.#done++
    this.#options.onProgress?.({ phase: 'checkpoint', done: this.#done, total: this.total, bytes: this.#bytes })
  }
}
