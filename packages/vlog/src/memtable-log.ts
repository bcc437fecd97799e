/**
 * Reads Badger's memtable log (`NNNNN.mem`): the write-ahead log of a Badger database, in the format of a value log.
 *
 * Header and records are those of a value log; beside it, records carry transaction marks. Those of one transaction
 * (`0x40`, all of one version) count only if its end (`0x80`, whose value is that version in decimal) follows; a
 * record without a mark counts by itself. A value is inline, or with meta bit `0x02` the 12 bytes of a pointer into a value log.
 *
 * The file is preallocated: zeros follow the last record. As for a value log, an end that does not verify is a torn
 * tail only if no valid record follows it; otherwise, and where marks are out of order, it is damage (Badger drops everything
 * behind it silently). Read only: nothing here writes such a file.
 */
import { CorruptionError, InvalidArgumentError, POINTER_LENGTH, ResultMemory, checkOptions, decodePointer, type ValuePointer } from '@wk/codec'
import { NodeFileSystem, TimeSlice, absoluteDirectory, defaultRuntime, readFully, type File, type FileSystem, type Runtime } from '@wk/fs'
import { newLogicalFile, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH, META_FIN_TXN, META_TXN, META_VALUE_POINTER, decodeFileHeader } from './format.js'
import { KeyRegistry } from './key-registry.js'
import { copyKey } from './options.js'
import { PhysicalFile } from './physical-file.js'
import { findRecord } from './record-search.js'
import { openEntry } from './stored-record.js'
import type { VlogEntry } from './vlog-entry.js'
import { RecordScanner } from './vlog-scanner.js'

/** A record of a memtable log. */
export interface MemtableLogEntry {
  /** As stored: with transaction marks in `meta`, and the pointer's bytes as the value where there is one. */
  entry: VlogEntry
  /** Where the record lies; `fid` is the number of the memtable log. */
  pointer: ValuePointer
  /** Where the value lies, for one in a value log. */
  target: ValuePointer | undefined
}

/** What a walk over a memtable log ends with. */
export interface MemtableLogEnd {
  /** End of the last record that counts, marks included. */
  validEnd: number
  /** Bytes of the file. */
  size: number
  /** Records that were whole and belong to a transaction that never ended. */
  unfinished: number
}

/** How {@link readMemtableLog} reads. */
export interface MemtableLogOptions {
  /** Storage key of the directory, if it is encrypted. */
  encryptionKey?: Uint8Array | undefined
  /** Default: Node's. */
  fs?: FileSystem | undefined
  /** Default: the process's. */
  runtime?: Runtime | undefined
}

/**
 * The records of `dir`'s memtable log `name` (`00001.mem`) that count, in order.
 * @throws InvalidArgumentError for another name, or what is no directory or no options; CorruptionError, WrongKeyError, IoError
 */
export async function* readMemtableLog(dir: string, name: string, options: MemtableLogOptions = {}): AsyncGenerator<MemtableLogEntry, MemtableLogEnd, undefined> {
  const number = parseName(name)
  const { fs = new NodeFileSystem(), runtime = defaultRuntime, encryptionKey } = checkOptions(options)
  const place = absoluteDirectory(dir, fs)
  const registry = KeyRegistry.read(fs, place, copyKey(encryptionKey))
  const file = await fs.open(`${place}/${name}`, 'read')
  try {
    const size = await file.size()
    if (size < FILE_HEADER_LENGTH) return { validEnd: 0, size, unfinished: 0 }
    return yield* walkTransactions(file, await describe(file, place, name, number, size, registry), runtime)
  } finally {
    await file.close()
  }
}

function parseName(name: string): number {
  const number = /^[0-9]{5,10}\.mem$/.test(name) ? Number(name.slice(0, -4)) : 0
  if (number < 1 || `${String(number).padStart(5, '0')}.mem` !== name) throw new InvalidArgumentError('not the name of a memtable log')
  return number
}

/** The file as the shared parts know one. */
async function describe(file: File, dir: string, name: string, fid: number, size: number, registry: KeyRegistry): Promise<LogicalFile> {
  const bytes = new Uint8Array(FILE_HEADER_LENGTH)
  await readFully(file, bytes, 0, FILE_HEADER_LENGTH, 0)
  const { keyId, baseIv } = decodeFileHeader(bytes, name)
  const physical = Object.assign(new PhysicalFile(dir, fid, false, size), { name })
  const cipher = registry.cipherOf(keyId, baseIv, name)
  return newLogicalFile({ fid, physical, runs: undefined, end: size, written: size, sealed: true, keyId, baseIv, cipher, direct: false })
}

async function* walkTransactions(file: File, log: LogicalFile, runtime: Runtime): AsyncGenerator<MemtableLogEntry, MemtableLogEnd, undefined> {
  const { name, size } = log.physical
  const slice = new TimeSlice(runtime)
  const scanner = new RecordScanner(file, FILE_HEADER_LENGTH, size)
  const memory = new ResultMemory()
  const pending: MemtableLogEntry[] = []
  let validEnd = FILE_HEADER_LENGTH
  for (let step = await scanner.next(); step !== 'end'; step = await scanner.next()) {
    const { bytes, start, header, position } = scanner
    const damaged = (why: string): CorruptionError => new CorruptionError(`${name} is damaged at offset ${position}: ${why}`, { file: name, offset: position })
    if (step === 'invalid') {
      const next = await findRecord(file, position + 1, size, runtime, { cipher: log.cipher, metaLimit: 0x100 })
      if (next !== -1) throw damaged(next === undefined ? 'whether records follow could not be told' : `a valid record follows at ${next}`)
      break
    }
    const { meta, length } = header
    const placed = place(log, openEntry(log, position, { bytes, start, hold: 'lent' }, header, memory, true), position, length, damaged)
    const open = pending[0]?.entry.version
    if ((meta & META_TXN) !== 0) {
      if (open !== undefined && open !== placed.entry.version) throw damaged('another transaction begins inside one')
      pending.push(placed)
    } else if ((meta & META_FIN_TXN) !== 0) {
      if (Buffer.from(placed.entry.value).toString('latin1') !== String(open)) throw damaged('the end of another transaction')
      yield* pending.splice(0)
      validEnd = position + length
    } else {
      if (open !== undefined) throw damaged('a record by itself inside a transaction')
      validEnd = position + length
      yield placed
    }
    if (slice.due()) await slice.pause()
  }
  return { validEnd, size, unfinished: pending.length }
}

function place({ fid }: LogicalFile, entry: VlogEntry, offset: number, len: number, damaged: (why: string) => CorruptionError): MemtableLogEntry {
  const isPointer = (entry.meta & META_VALUE_POINTER) !== 0
  if (isPointer && entry.value.length !== POINTER_LENGTH) throw damaged('no pointer')
  return { entry, pointer: { fid, offset, len }, target: isPointer ? decodePointer(entry.value) : undefined }
}
