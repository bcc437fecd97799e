/**
 * A whole directory, decoded: every byte of every file, and what the database holds. Follows docs/format.md, "Files", and all of its chapters by way of the other
 * files here.
 *
 * These decoders were written from that page alone and import nothing of `@wk/*`, nothing but `node:crypto`, `node:fs` and `node:path`. That is their point:
 * they share no code, and no mistake, with what they judge. Whoever changes a format changes the page, then these, as somebody would who has only the page.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { contentOf } from './cipher.js'
import { isTombstone, type Entry, type Pointer } from './entry.js'
import { decodeRegistry } from './key-registry.js'
import { checkLock, decodeCurrent, decodeManifest, type NamedTable, type Version } from './manifest.js'
import { Bad, check } from './reader.js'
import { recover } from './recovery.js'
import { decodeTable, type Table } from './table.js'
import { isValueLogName, ValueLogs } from './value-logs.js'
import { decodeWal, type Wal } from './wal.js'

export interface DecodeOptions {
  readonly key?: Buffer | undefined
  readonly bitsPerKey: number
  /** Unix seconds. */
  readonly now: number
}

/** One version of a key. */
export interface DecodedEntry {
  readonly key: Buffer
  /** Undefined: deleted. */
  readonly value: Buffer | undefined
  readonly version: number
  readonly userMeta: number
  readonly expiresAt: number
  readonly pointer: Pointer | undefined
}

export interface DecodedDatabase {
  readonly manifest: Version
  readonly tables: ReadonlyMap<number, Table>
  readonly wals: readonly Wal[]
  readonly logs: ValueLogs
  /** All versions of each key (in hexadecimal digits), newest first, dead ones too. */
  readonly versions: ReadonlyMap<string, readonly DecodedEntry[]>
  /** What a reader sees. */
  readonly visible: ReadonlyMap<string, DecodedEntry>
  readonly last: number
  readonly direct: number
  /** Files that nothing needs, tails, lists without their log: what only an unclean end leaves. */
  readonly leftovers: readonly string[]
}

/** Throws a `Bad` where a file is not as the page says. */
export function decodeDatabase(dir: string, options: DecodeOptions): DecodedDatabase {
  return decodeFiles(readDirectory(dir), options)
}

/** The files of a directory, by name. */
export function decodeFiles(files: ReadonlyMap<string, Buffer>, { key, bitsPerKey, now }: DecodeOptions): DecodedDatabase {
  const left = new Set(files.keys())
  const leftovers: string[] = []
  const take = (name: string): Buffer => {
    const bytes = files.get(name)
    if (bytes === undefined) throw new Bad(name, 0, 'is not there')
    left.delete(name)
    return bytes
  }
  const numbered = (pattern: RegExp): [name: string, number: number][] => [...left].flatMap((name) => (pattern.test(name) ? [[name, Number(/\d+/.exec(name)?.[0])] as [string, number]] : []))

  const manifestName = decodeCurrent(take('CURRENT'))
  const content = contentOf(take(manifestName), manifestName, key)
  if (content === undefined) throw new Bad(manifestName, 0, 'no header')
  const manifest = decodeManifest(content, Number(manifestName.slice('MANIFEST-'.length)), manifestName)
  if (manifest.tail > 0) leftovers.push(`tail of ${manifestName}`)
  if (files.has('LOCK')) checkLock(take('LOCK'))
  // Nobody looks at those that CURRENT does not name.
  for (const [name] of numbered(/^MANIFEST-\d{6,}$/)) leftovers.push(name)

  const tables = new Map<number, Table>()
  /** Of tables that no edit names, the highest sequence number. */
  let unnamed = 0
  for (const [name, number] of numbered(/^\d{6,}\.sst$/)) {
    const named = manifest.tables.get(number)
    const content = contentOf(take(name), name, key)
    if (named === undefined || content === undefined) {
      leftovers.push(name)
      if (content !== undefined) unnamed = Math.max(unnamed, lastOf(content, number, name, bitsPerKey))
    } else tables.set(number, checkNamed(decodeTable(content, number, name, bitsPerKey), named, name))
  }
  for (const { number } of manifest.tables.values()) check(tables.has(number), `${number}.sst`, 0, 'named by the manifest and not there')

  const registry = files.has('KEYREGISTRY') ? take('KEYREGISTRY') : undefined
  const logs = new ValueLogs(files, decodeRegistry(registry, key))
  for (const name of left) if (isValueLogName(name)) left.delete(name)
  leftovers.push(...logs.orphans.map((number) => `${number}.runs`))
  for (const { file, validEnd, bytes } of logs.files) if (file.endsWith('.vlog') && validEnd < bytes.length) leftovers.push(`tail of ${file}`)

  const wals: Wal[] = []
  for (const [name, number] of numbered(/^\d{6,}\.wal$/)) {
    const content = contentOf(take(name), name, key) ?? Buffer.alloc(0)
    if (number < manifest.logNumber) leftovers.push(name)
    else wals.push(decodeWal(content, number, name))
  }
  wals.sort((a, b) => a.number - b.number)
  for (const { file, end, size } of wals) if (end < size) leftovers.push(`tail of ${file}`)
  for (const [name] of numbered(/\.tmp$/)) leftovers.push(name)
  for (const name of left) check(leftovers.includes(name), name, 0, 'a file that the page does not know')

  const { operations, direct, last } = recover(manifest, wals, logs)
  check(wals.length > 0 || unnamed <= last, manifestName, 0, `no edit names a table with operations up to ${unnamed}, and nothing else knows those behind ${last}`)
  checkCleanClose(manifest, logs)
  const versions = versionsOf([...[...tables.values()].flatMap((t) => t.entries), ...operations, ...direct], logs)
  const visible = new Map<string, DecodedEntry>()
  for (const [name, [newest]] of versions) if (newest?.value !== undefined && (newest.expiresAt === 0 || newest.expiresAt > now)) visible.set(name, newest)
  return { manifest, tables, wals, logs, versions, visible, last, direct: direct.length, leftovers }
}

export function readDirectory(dir: string): Map<string, Buffer> {
  return new Map(readdirSync(dir).sort().map((name) => [name, readFileSync(join(dir, name))]))
}

/** The highest sequence number in a table; 0 if it is not whole. */
function lastOf(content: Buffer, number: number, name: string, bitsPerKey: number): number {
  try {
    return decodeTable(content, number, name, bitsPerKey).figures.maxSeq
  } catch (err) {
    if (err instanceof Bad) return 0
    throw err
  }
}

/** What the manifest says of a table is what is in it. */
function checkNamed(table: Table, named: NamedTable, file: string): Table {
  const { level: _, number: __, ...says } = named
  const [is, should] = [{ ...table.figures, size: table.size }, says].map((one) => JSON.stringify(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))))
  check(is === should, file, 0, `${should} in the manifest, ${is} in the table`)
  return table
}

/** After a clean close the newest value log has the size that the manifest says, or, of a gap file, a record that ends there: none does in one that was not used. */
function checkCleanClose({ clean }: Version, logs: ValueLogs): void {
  if (clean === undefined || clean.fid === 0) return
  const { fid, size } = clean
  const newer = logs.files.findLast(({ kind, number, bytes }) => kind === 'vlog' && number > fid && bytes.length > 0 && bytes.length !== 20)
  check(newer === undefined, newer?.file ?? '', 0, 'newer than the clean close')
  const log = logs.file(fid)
  if (log?.kind === 'vlog') return check(log.bytes.length === size, log.file, log.bytes.length, `clean close at ${size}`)
  const holder = logs.holder(fid)
  const ends = holder?.log.found.some((f) => f.logical === holder.logical && f.offset + f.record.len === size)
  check(holder?.logical.gap === true && (ends === true || size === 20), `logical file ${fid}`, size, 'no record ends where the clean close says')
}

function versionsOf(entries: readonly Entry[], logs: ValueLogs): Map<string, DecodedEntry[]> {
  const versions = new Map<string, DecodedEntry[]>()
  for (const e of entries) {
    const { key, seq, pointer, userMeta, expiresAt } = e
    const record = pointer === undefined ? undefined : logs.locate(pointer)
    const what = `${key.toString('hex')} at ${seq}`
    check(record === undefined || (record.key.equals(key) && record.version === seq), what, 0, 'another key or version in the record')
    check(record === undefined || (record.userMeta === userMeta && record.expiresAt === expiresAt), what, 0, 'other attributes in the record')
    const value = isTombstone(e) ? undefined : (record?.value ?? e.value)
    const name = key.toString('hex')
    versions.set(name, [...(versions.get(name) ?? []), { key, value, version: seq, userMeta, expiresAt, pointer }])
  }
  for (const [name, list] of versions) {
    list.sort((a, b) => b.version - a.version)
    for (const [i, { version }] of list.entries()) check(list[i - 1]?.version !== version, name, 0, `version ${version} twice`)
  }
  return versions
}
