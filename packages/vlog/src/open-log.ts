/**
 * Opening: from the names in a directory to the set of live files.
 *
 * Reads first, decides, and only then changes anything (nothing at all when read-only). Which records of the newest
 * files count is decided by `tail.ts`. What it removes is only what bears our names and can hold nothing: temporary
 * files, files that a relocated one replaces, empty files that are not the highest number, files that the host had
 * given up. Removal comes after a directory sync, so that what replaces a file is durable before it goes (law 5).
 * Opening twice gives the same as opening once.
 */
import { CorruptionError, formatFileName, parseFileName, tempName } from '@wk/codec'
import { isNotFound, readFullySync, TimeSlice, type File, type FileSystem } from '@wk/fs'
import { directFile, isInGaps, newLogicalFile, type LogicalFile } from './file-map.js'
import { BASE_IV_LENGTH, FILE_HEADER_LENGTH, MAX_FID, decodeFileHeader } from './format.js'
import { REGISTRY_NAME } from './key-registry-format.js'
import { KeyRegistry } from './key-registry.js'
import type { ResolvedOptions } from './options.js'
import { PhysicalFile } from './physical-file.js'
import { UNSAFE } from './record.js'
import { decodeRuns, holesBetween, type Hole } from './runs-file.js'
import { RELOCATED_FOOTER_LENGTH, checkRelocatedHeader, decodeRunTables, readTableOffset, type RelocatedLogical } from './run-table.js'
import { STATE_NAME, readState, type LogState } from './state-file.js'
import { openVersion } from './stored-record.js'
import { recoverTails, syncGaps, type RecoveredTail, type TailFile } from './tail.js'
import { RecordScanner } from './vlog-scanner.js'
import { VlogSet } from './vlog-set.js'

/** What opening found. */
export interface OpenedLog {
  set: VlogSet
  state: LogState | undefined
  nextNumber: number
  /** End of the newest logical file. */
  end: { fid: number; offset: number }
  tail: RecoveredTail
  registry: KeyRegistry
  /** With `salvage`: names of files of which it can't be told what lies where. Ascending number. */
  unreadable: string[]
}

interface FoundFile {
  readonly physical: PhysicalFile
  readonly keyId: number
  readonly baseIv: Uint8Array
  /** Only of a relocated file, and of one with a list of its runs. */
  readonly logical: RelocatedLogical[]
  /** Those that the list of its runs leaves. */
  readonly holes?: readonly Hole[]
}

/** `listed`: what lies in the directory, where that is known. */
export async function openLog(dir: string, options: ResolvedOptions, listed?: readonly string[]): Promise<OpenedLog> {
  const { fs, readOnly } = options
  const names = (listed ?? (await fs.list(dir))).filter((name) => name !== STATE_NAME)
  const state = options.standalone && !options.salvage ? await readState(fs, dir) : undefined
  const registry = names.includes(REGISTRY_NAME) ? KeyRegistry.read(fs, dir, options.encryptionKey) : KeyRegistry.none(fs, dir, options.encryptionKey)
  const unreadable: string[] = []
  const { found, strays } = apart(await readFiles(dir, names, options, registry, unreadable), options)
  const set = new VlogSet(fs, dir, options.maxOpenFiles)
  const highest = found.reduce((number, { physical }) => Math.max(number, physical.highest), 0)
  const cleanFid = options.cleanEnd?.fid ?? state?.clean?.fid
  const newest = newestPlainsOf(found, cleanFid, state?.survivors ?? [])
  const { removable, waiting } = mapFiles(set, found, new Set(state?.retired), highest, newest, registry, options)
  removable.push(...strays.map(({ physical }) => physical.name), ...names.filter(isOurTemp))
  expectFiles(set, found, options)

  const marks = { durable: options.durable, cleanEnd: options.cleanEnd, clean: state?.clean, highest }
  const tail = await recoverTails(options, tailFilesOf(set, found, newest, options), marks, (physical, end) => {
    const logical = set.map.require(physical.number)
    logical.end = Math.max(FILE_HEADER_LENGTH, end)
    logical.written = logical.end
  })
  await syncGaps(options, gapFilesOf(set, options))
  checkCleanSize(set, options.salvage ? undefined : (options.cleanEnd ?? state?.clean))
  const strayLists = strayListsOf(names, removable)
  if (!readOnly && (found.length > 0 || removable.length > 0 || strayLists.length > 0)) {
    // Before anything goes: names that a killed process left unsynced are made durable (law 5, law 11). A host that closed
    // cleanly, and says so only as long as nothing was written since, left none.
    if (removable.length > 0 || strayLists.length > 0 || options.cleanEnd === undefined) await fs.syncDir(dir)
    if (removable.length > 0) await removeAll(dir, removable, options)
    // After what they belong to, for good: a file that a crash brings back must not come without the list of its holes.
    if (strayLists.length > 0) await removeAll(dir, strayLists, options)
    if (highest > 0) set.noteDurable(highest)
  }
  // Nothing tells of the others any more, and the directory was synced since: no crash brings them back.
  if (state !== undefined && found.length > 0 && !readOnly) {
    const told = fidsToldOf(found, removable)
    state.retired = state.retired.filter((fid) => told.has(fid))
  }
  if (!readOnly) for (const physical of waiting) set.leave(physical)
  if (!readOnly) for (const { physical, holes } of found) if (holes !== undefined && physical.fids.size > 0) set.noteHoles(physical, holes)
  const last = set.map.list().findLast(({ direct }) => !direct)
  // A crash may have left less than a header: the end is what is there, for that is what a clean close will say.
  const end = last === undefined ? { fid: 0, offset: 0 } : { fid: last.fid, offset: last.runs === undefined ? Math.min(last.end, last.physical.size) : last.end }
  const passed = strays.reduce((number, { physical }) => Math.max(number, physical.number), highest)
  return { set, state, nextNumber: Math.max(passed + 1, state?.nextNumber ?? 1), end, tail, registry, unreadable }
}

/**
 * `strays`: files without a byte above the end of a clean close, to which the host refers nowhere. Whoever closed has left none, so they never held
 * anything: they go whatever their number is, and bear no highest one (law 11).
 */
function apart(files: FoundFile[], { cleanEnd, durable, expectedFids, salvage }: ResolvedOptions): { found: FoundFile[]; strays: FoundFile[] } {
  const least = cleanEnd === undefined || salvage ? Infinity : Math.max(cleanEnd.fid, durable?.fid ?? 0) + 1
  const isStray = ({ physical: { relocated, size, number } }: FoundFile): boolean => !relocated && size === 0 && number >= least && expectedFids?.has(number) !== true
  return { found: files.filter((file) => !isStray(file)), strays: files.filter(isStray) }
}

/** Ascending file number. */
async function readFiles(dir: string, names: readonly string[], { fs, runtime, salvage, expectedFids }: ResolvedOptions, registry: KeyRegistry, unreadable: string[]): Promise<FoundFile[]> {
  const slice = new TimeSlice(runtime)
  const lists = new Set(names.filter((name) => parseFileName(name)?.kind === 'runs'))
  const found: FoundFile[] = []
  for (const name of names) {
    const parsed = parseFileName(name)
    if (parsed?.kind !== 'vlog' && parsed?.kind !== 'relocated') continue
    if (parsed.number > MAX_FID) continue
    const file = fs.openSync(`${dir}/${name}`, 'read')
    try {
      const physical = new PhysicalFile(dir, parsed.number, parsed.kind === 'relocated', file.sizeSync())
      const listName = formatFileName('runs', parsed.number)
      const whole = physical.relocated ? readRelocated(file, physical, salvage ? undefined : expectedFids) : readPlain(file, physical)
      const read = lists.has(listName) ? withList(fs, `${dir}/${listName}`, listName, whole) : whole
      if (salvage) await checkReadable(file, read, registry)
      found.push(read)
    } catch (error) {
      if (!salvage || !(error instanceof CorruptionError)) throw error
      unreadable.push(name)
    } finally {
      file.closeSync()
    }
    if (slice.due()) await slice.pause()
  }
  unreadable.sort()
  return found.sort((a, b) => a.physical.number - b.physical.number)
}

/**
 * @throws CorruptionError if the file is cut inside its header, or names a data key that is not there, or if key and base IV make noise of its
 * first record: then they do of all others, and some of it would pass for keys and versions
 */
async function checkReadable(file: File, { physical, keyId, baseIv, logical }: FoundFile, registry: KeyRegistry): Promise<void> {
  const { name, size } = physical
  isEmpty(physical)
  for (const one of logical) registry.cipherOf(one.keyId, one.baseIv, name)
  if (logical.length > 0) return
  const cipher = registry.cipherOf(keyId, baseIv, name)
  if (cipher === undefined) return
  const first = new RecordScanner(file, FILE_HEADER_LENGTH, size)
  if ((await first.next()) !== 'record' || openVersion(cipher, first.position, first.bytes, first.start, first.header) !== UNSAFE) return
  throw new CorruptionError(`${name} is not encrypted as its header and the key registry say`, { file: name, offset: 0 })
}

function readPlain(file: File, physical: PhysicalFile): FoundFile {
  const bytes = new Uint8Array(FILE_HEADER_LENGTH)
  const length = readFullySync(file, bytes, 0, FILE_HEADER_LENGTH, 0)
  // Records come only after the header was synced: one without records may be whatever a crash made of it.
  const hasRecords = length === FILE_HEADER_LENGTH && physical.size > FILE_HEADER_LENGTH
  if (!hasRecords) return { physical, keyId: 0, baseIv: new Uint8Array(BASE_IV_LENGTH), logical: [] }
  return { physical, ...decodeFileHeader(bytes, physical.name), logical: [] }
}

/** `wanted`: the host refers to no other file, so that nobody needs to know where records of others lie. */
function readRelocated(file: File, physical: PhysicalFile, wanted: ReadonlySet<number> | undefined): FoundFile {
  const { name, number, size } = physical
  const short = (): CorruptionError => new CorruptionError(`${name} ends too early`, { file: name, offset: size })
  // Nothing made it that way (it gets its name whole): a stray, unless a file that the host refers to is missing (`expectFiles`).
  if (size === 0 && wanted !== undefined) return { physical, keyId: 0, baseIv: new Uint8Array(0), logical: [] }
  if (size < FILE_HEADER_LENGTH + RELOCATED_FOOTER_LENGTH) throw short()
  const header = readExactly(file, 0, FILE_HEADER_LENGTH, short)
  checkRelocatedHeader(header, number, name)
  const footer = readExactly(file, size - RELOCATED_FOOTER_LENGTH, RELOCATED_FOOTER_LENGTH, short)
  const tableOffset = readTableOffset(footer, size, name)
  const table = readExactly(file, tableOffset, size - tableOffset, short)
  physical.overhead = FILE_HEADER_LENGTH + table.length
  return { physical, keyId: 0, baseIv: new Uint8Array(0), logical: decodeRunTables(table, number, tableOffset, name, { wanted }) }
}

/** A file of which a list tells what is left of it. */
function withList(fs: FileSystem, path: string, name: string, { physical, keyId, baseIv }: FoundFile): FoundFile {
  const file = fs.openSync(path, 'read')
  try {
    const size = file.sizeSync()
    const short = (): CorruptionError => new CorruptionError(`${name} ends too early`, { file: name, offset: size })
    if (size < FILE_HEADER_LENGTH + RELOCATED_FOOTER_LENGTH) throw short()
    const logical = decodeRuns(readExactly(file, 0, size, short), physical.number, physical.recordsEnd, name)
    const holes = holesBetween(logical, physical.recordsEnd)
    physical.listBytes = size
    for (const { fid } of logical) physical.highest = Math.max(physical.highest, fid)
    for (const { length } of holes) physical.holeBytes += length
    return { physical, keyId, baseIv, logical, holes }
  } finally {
    file.closeSync()
  }
}

/** Requires that the range lies in the file, so that nothing is allocated for a length that is not there. */
function readExactly(file: File, position: number, length: number, short: () => CorruptionError): Uint8Array {
  const bytes = new Uint8Array(length)
  if (readFullySync(file, bytes, 0, length, position) < length) throw short()
  return bytes
}

/**
 * Fills the map. `removable`: names of files that hold nothing. `waiting`: the same of the highest number, which stays until a
 * higher one is there (law 11), and those that a host's mark covers: they may have held what the host is about to miss.
 */
function mapFiles(
  set: VlogSet,
  found: readonly FoundFile[],
  retired: ReadonlySet<number>,
  highest: number,
  newest: ReadonlySet<FoundFile>,
  registry: KeyRegistry,
  options: ResolvedOptions,
): { removable: string[]; waiting: PhysicalFile[] } {
  const removable: string[] = []
  const waiting: PhysicalFile[] = []
  // Highest number first: it wins.
  for (const file of [...found].reverse()) {
    const { physical } = file
    if (newest.has(file) || !isEmpty(physical)) {
      for (const logical of logicalFilesOf(file, registry)) {
        if (!retired.has(logical.fid) && set.map.get(logical.fid) === undefined) set.map.add(logical)
      }
    }
    if (isAddressed(file, options) && set.map.get(physical.number) === undefined) set.map.add(directFile(physical))
    if (physical.fids.size > 0) set.addPhysical(physical)
    else if (physical.highest < highest && !isCovered(physical, options)) removable.push(physical.name)
    else waiting.push(physical)
  }
  return { removable, waiting }
}

/** Numbers of logical files that a file in the directory tells of: whatever opening says of it has to be remembered. */
function fidsToldOf(found: readonly FoundFile[], removed: readonly string[]): Set<number> {
  const gone = new Set(removed)
  const fids = new Set<number>()
  for (const { physical, logical } of found) {
    if (gone.has(physical.name)) continue
    fids.add(physical.number)
    for (const { fid } of logical) fids.add(fid)
  }
  return fids
}

/** Whether a host's mark says that what the file held, if it held something, was durable. */
function isCovered({ relocated, number }: PhysicalFile, { durable }: ResolvedOptions): boolean {
  return !relocated && durable !== undefined && durable !== null && number <= durable.fid
}

/** Whether pointers name the relocated file itself, or may do so. */
function isAddressed({ physical, logical, holes }: FoundFile, { expectedFids, salvage }: ResolvedOptions): boolean {
  // A list says it itself.
  if (!physical.relocated || physical.size === 0 || holes !== undefined || logical.some(({ keyId }) => keyId !== 0)) return false
  return salvage || expectedFids?.has(physical.number) === true
}

/** @throws CorruptionError if the host refers to a file that is gone, or that ends before its first record */
function expectFiles({ map }: VlogSet, found: readonly FoundFile[], { expectedFids = new Set(), salvage }: ResolvedOptions): void {
  if (salvage) return
  for (const fid of expectedFids) {
    if (map.get(fid) !== undefined) continue
    const emptied = found.find(({ physical: { relocated, size } }) => relocated && size === 0)?.physical.name
    if (emptied !== undefined) throw new CorruptionError(`${emptied} ends too early`, { file: emptied, offset: 0 })
    const physical = found.find(({ physical: { number, relocated } }) => number === fid && !relocated)?.physical
    const file = physical?.name ?? formatFileName('vlog', fid)
    if (physical === undefined) throw new CorruptionError(`the value log ${file} is missing`, { file })
    throw new CorruptionError(`${file} ends before its first record`, { file, offset: physical.size })
  }
}

/**
 * The newest file that may have records, and the newest of `survivors`, which were written beside it. One without any above a
 * clean end is a stray: made ahead and not used, or its name outlived a crash.
 */
function newestPlainsOf(found: readonly FoundFile[], cleanFid: number | undefined, survivors: readonly number[]): Set<FoundFile> {
  const plain = found.filter(({ physical: { relocated, number, size } }) => !relocated && ((size > 0 && size !== FILE_HEADER_LENGTH) || number <= (cleanFid ?? MAX_FID)))
  const last = survivors.at(-1)
  const fresh = plain.findLast(({ physical }) => !survivors.includes(physical.number))
  return new Set(plain.filter((file) => file === fresh || file.physical.number === last))
}

/**
 * The newest files, if they are the places of their records; for a host with marks also those before it that neither a mark nor a
 * relocation vouches for (only what was durable is relocated). Ascending.
 */
function tailFilesOf({ map }: VlogSet, found: readonly FoundFile[], newest: ReadonlySet<FoundFile>, { standalone, durable }: ResolvedOptions): TailFile[] {
  if (newest.size === 0) return []
  let first = standalone ? Infinity : (durable?.fid ?? 0)
  for (const logical of map.list()) if (logical.runs !== undefined && !logical.direct && !isInGaps(logical) && logical.fid >= first) first = logical.fid + 1
  const files: TailFile[] = []
  for (const file of found) {
    const { physical } = file
    const logical = physical.relocated ? undefined : map.get(physical.number)
    // Holes are punched only in what is sealed, and therefore durable.
    if (logical?.physical === physical && logical.runs === undefined && (physical.number >= first || newest.has(file))) files.push({ physical, cipher: logical.cipher })
  }
  return files
}

/** Files in gaps that a crash may have come to before they were durable. */
function gapFilesOf({ map }: VlogSet, { durable, cleanEnd, salvage }: ResolvedOptions): LogicalFile[] {
  if (cleanEnd !== undefined && !salvage) return []
  return map.list().filter((logical) => isInGaps(logical) && logical.fid >= (durable?.fid ?? 0))
}

/** A plain file without records, or a relocated one without anything. @throws CorruptionError for one that is cut inside its header: only the newest may be */
function isEmpty({ name, relocated, size }: PhysicalFile): boolean {
  if (!relocated && size > 0 && size < FILE_HEADER_LENGTH) {
    throw new CorruptionError(`${name} ends inside its header`, { file: name, offset: size })
  }
  return size <= (relocated ? 0 : FILE_HEADER_LENGTH)
}

/** A file keeps the size that it had at a clean close: also one that has a successor, or a list of its runs, by now. */
function checkCleanSize(set: VlogSet, clean: { fid: number; size: number } | undefined): void {
  const physical = clean === undefined ? undefined : set.map.get(clean.fid)?.physical
  // One in gaps has no size of its own.
  if (clean === undefined || physical === undefined || physical.relocated || physical.number !== clean.fid || physical.size === clean.size) return
  const { name, size } = physical
  throw new CorruptionError(`${name} has ${size} bytes, ${clean.size} at its clean close`, { file: name, offset: Math.min(size, clean.size) })
}

/** @throws CorruptionError, WrongKeyError if a file is encrypted with a key that is not there, or not encrypted although there is one */
function logicalFilesOf({ physical, keyId, baseIv, logical }: FoundFile, registry: KeyRegistry): LogicalFile[] {
  const cipherOf = (id: number, iv: Uint8Array): LogicalFile['cipher'] => {
    if (id === 0 && physical.size > FILE_HEADER_LENGTH) registry.refusePlain(physical.name)
    return registry.cipherOf(id, iv, physical.name)
  }
  if (logical.length === 0) {
    const end = Math.max(FILE_HEADER_LENGTH, physical.size)
    return [newLogicalFile({ fid: physical.number, physical, runs: undefined, end, written: end, sealed: true, keyId, baseIv, cipher: cipherOf(keyId, baseIv), direct: false })]
  }
  return logical.map(({ fid, end, keyId: id, baseIv: iv, direct, runs }) =>
    newLogicalFile({ fid, physical, runs, end, written: end, sealed: true, keyId: id, baseIv: iv, cipher: cipherOf(id, iv), direct }),
  )
}

/** Lists of runs whose file is not there, or goes. */
function strayListsOf(names: readonly string[], removable: readonly string[]): string[] {
  const staying = new Set(names)
  for (const name of removable) staying.delete(name)
  return names.filter((name) => {
    const parsed = parseFileName(name)
    return parsed?.kind === 'runs' && !staying.has(formatFileName('vlog', parsed.number)) && !staying.has(formatFileName('relocated', parsed.number))
  })
}

/** Temporary files of the value log; those of other kinds are their owners'. */
function isOurTemp(name: string): boolean {
  if (name === tempName(STATE_NAME) || name === tempName(REGISTRY_NAME)) return true
  if (parseFileName(name)?.kind !== 'temp') return false
  const parsed = parseFileName(name.slice(0, -tempName('').length))
  return (parsed?.kind === 'relocated' || parsed?.kind === 'vlog' || parsed?.kind === 'runs') && name === tempName(formatFileName(parsed.kind, parsed.number))
}

async function removeAll(dir: string, names: readonly string[], { fs }: ResolvedOptions): Promise<void> {
  for (const name of names) {
    try {
      await fs.remove(`${dir}/${name}`)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }
  await fs.syncDir(dir)
}
