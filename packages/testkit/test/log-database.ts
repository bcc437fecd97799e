/**
 * A tiny database over one log file on a `FileSystem`, with switchable crash bugs: proves that the explorer finds them.
 * Each batch is one line of JSON with a checksum; the map is in memory.
 */
import { crc32c, NoRewriteError } from '@wk/codec'
import { isNotFound, readFully, writeFully, type File, type FileSystem } from '@wk/fs'
import { bytesOf, textOf, type BatchEntry, type Bytes, type Database, type IteratorHandle, type WriteOptions } from '../src/index.js'
import { ModelStore } from './model-database.js'

export type CrashBug = 'acknowledges before sync' | 'no directory sync' | 'splits batches' | 'skips damage' | 'forgets on reopen' | 'leaves orphans' | 'ends with orphans' | 'reuses numbers'

const DIR = '/db'
const NAME = `${DIR}/log`
const latin1 = (bytes: Bytes): string => (typeof bytes === 'string' ? bytes : textOf(bytes))

async function openOrCreate(fs: FileSystem, bug: CrashBug | undefined): Promise<File> {
  await fs.mkdir(DIR)
  const file = await fs.open(NAME, 'update').catch((err: unknown) => {
    if (!isNotFound(err)) throw err
    return fs.open(NAME, 'create')
  })
  if (bug === 'reuses numbers') {
    await fs.remove(`${DIR}/000007.vlog`).catch(() => undefined)
    await (await fs.open(`${DIR}/000007.vlog`, 'create')).close()
  }
  // Also where the file was found: a process that was killed may have created it without syncing its name.
  if (bug !== 'no directory sync') await fs.syncDir(DIR)
  return file
}

export async function openLogDatabase(fs: FileSystem, bug?: CrashBug): Promise<Database> {
  const file = await openOrCreate(fs, bug)
  const content = new Uint8Array(await file.size())
  await readFully(file, content, 0, content.length, 0)
  const store = new ModelStore()
  let end = 0
  for (const line of textOf(content).split('\n').slice(0, -1)) {
    const [sum, json] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]
    end += line.length + 1
    if (Number(sum) !== crc32c(bytesOf(json))) {
      if (bug === 'skips damage') continue
      end -= line.length + 1
      break
    }
    for (const [key, value] of JSON.parse(json) as [string, string?][]) store.model.apply({ key, value: value === undefined ? undefined : bytesOf(value) })
  }
  if (bug === 'leaves orphans') {
    for (const name of await fs.list(DIR)) if (name === '000002.tmp') await fs.remove(`${DIR}/${name}`)
    await (await fs.open(`${DIR}/000002.tmp`, 'create')).close()
  }
  if (end < content.length) {
    await file.truncate(end)
    await file.sync()
  }
  return new LogDatabase(fs, file, end, await store.open(), store, bug)
}

class LogDatabase implements Database {
  readonly #fs: FileSystem
  readonly #file: File
  readonly #inner: Database
  readonly #store: ModelStore
  readonly #bug: CrashBug | undefined
  #end: number
  #tail: Promise<void> = Promise.resolve()

  constructor(fs: FileSystem, file: File, end: number, inner: Database, store: ModelStore, bug: CrashBug | undefined) {
    this.#fs = fs
    this.#file = file
    this.#end = end
    this.#inner = inner
    this.#store = store
    this.#bug = bug
  }

  put(key: Bytes, value: Bytes, options?: WriteOptions): Promise<void> {
    return this.batch([{ type: 'put', key, value }], options)
  }
  del(key: Bytes, options?: WriteOptions): Promise<void> {
    return this.batch([{ type: 'del', key }], options)
  }
  batch(entries: BatchEntry[], options: WriteOptions = {}): Promise<void> {
    const rows = entries.map((entry) => (entry.type === 'put' ? [latin1(entry.key), latin1(entry.value)] : [latin1(entry.key)]))
    for (const [key, value] of rows) this.#store.model.apply({ key: key as string, value: value === undefined ? undefined : bytesOf(value) })
    const lines = this.#bug === 'splits batches' ? rows.map((row) => [row]) : [rows]
    return this.#log(lines, options.sync === true)
  }
  async clear(range = {}): Promise<void> {
    for await (const key of this.#inner.keys(range)) await this.del(key)
  }
  #log(lines: unknown[], sync: boolean): Promise<void> {
    const work = this.#tail.then(async () => {
      for (const rows of lines) {
        const json = JSON.stringify(rows)
        const line = bytesOf(`${crc32c(bytesOf(json))} ${json}\n`)
        const at = this.#end
        this.#end += line.length
        await writeFully(this.#file, line, 0, line.length, at)
      }
      if (sync && this.#bug !== 'acknowledges before sync') await this.#file.sync()
    })
    this.#tail = work.catch(() => undefined)
    return work
  }
  get = (key: Bytes): Promise<Uint8Array | undefined> => this.#inner.get(key)
  getSync = (key: Bytes): Uint8Array | undefined => this.#inner.getSync(key)
  getMany = (keys: Bytes[]): Promise<(Uint8Array | undefined)[]> => this.#inner.getMany(keys)
  has = (key: Bytes): Promise<boolean> => this.#inner.has(key)
  iterator = (options = {}): IteratorHandle<[Uint8Array, Uint8Array]> => this.#inner.iterator(options)
  keys = (options = {}): IteratorHandle<Uint8Array> => this.#inner.keys(options)
  values = (options = {}): IteratorHandle<Uint8Array> => this.#inner.values(options)
  snapshot = (): { close(): void } => this.#inner.snapshot()
  flush = (): Promise<void> => this.sync()
  async compact(): Promise<void> {}
  async sync(): Promise<void> {
    await this.#tail
    if (this.#bug !== 'acknowledges before sync') await this.#file.sync()
  }
  async runValueLogGC(): Promise<void> {
    throw new NoRewriteError('nothing')
  }
  verify = (): Promise<{ ok: boolean; problems: [] }> => Promise.resolve({ ok: true, problems: [] })
  stats = (): { tables: number } => ({ tables: 0 })
  async close(): Promise<void> {
    await this.#tail
    if (this.#bug === 'ends with orphans') await (await this.#fs.open(`${DIR}/000003.sst`, 'create').catch(() => this.#fs.open(`${DIR}/000003.sst`, 'read'))).close()
    if (this.#bug === 'forgets on reopen') await this.#file.truncate(Math.floor(this.#end / 2))
    await this.#file.sync()
    await this.#file.close()
    await this.#inner.close()
  }
}
