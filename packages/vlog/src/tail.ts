/**
 * How much of the newest file counts: torn tail or damage (law 6).
 *
 * Every file but the newest was synced before its successor was created, so only the newest may end in bytes that
 * never became durable. What a host or a clean close promised decides; where nobody promised anything, bytes that do
 * not verify are a torn tail only if no valid record follows them. A torn tail is cut, the cut is synced (and so is
 * everything before it: after a killed process it may exist in the page cache only). Never when read-only.
 */
import { CorruptionError, formatFileName } from '@wk/codec'
import type { File } from '@wk/fs'
import { TimeSlice } from '@wk/fs'
import { FILE_HEADER_LENGTH } from './format.js'
import type { ResolvedOptions } from './options.js'
import type { PhysicalFile } from './physical-file.js'
import { UNSAFE } from './record.js'
import type { RecordCipher } from './record-cipher.js'
import { findRecord } from './record-search.js'
import { openVersion } from './stored-record.js'
import { RecordScanner } from './vlog-scanner.js'
import type { LogPosition } from './sync-tracker.js'

/** What is known about the end of the log. */
export interface TailMarks {
  durable: LogPosition | null | undefined
  cleanEnd: { fid: number; size: number } | undefined
  /** End at the last clean close of a log that stands alone. */
  clean: { fid: number; size: number } | undefined
  /** Highest file number in the directory, relocated files included. */
  highest: number
}

export interface RecoveredTail {
  /** End of the newest file's valid part; undefined if there is no such file. */
  end: number | undefined
  /** Bytes behind it: cut, or left alone when read-only. */
  cutBytes: number
  /** Highest version among the records scanned; 0 without a scan. */
  maxVersion: number
  /** Records scanned. */
  records: number
}

/** `newest` is the highest-numbered `.vlog`; `isReplaced` tells that a relocated file took its place. */
export async function recoverTail(
  options: ResolvedOptions,
  newest: PhysicalFile | undefined,
  isReplaced: boolean,
  marks: TailMarks,
  cipher: RecordCipher | undefined,
): Promise<RecoveredTail> {
  const promisedFid = Math.max(marks.durable?.fid ?? 0, marks.cleanEnd?.fid ?? 0, marks.clean?.fid ?? 0)
  if (promisedFid > marks.highest && !options.salvage) {
    // The highest number is never removed, so this file was there.
    throw new CorruptionError(`value-log file ${promisedFid} is gone`, { file: formatFileName('vlog', promisedFid) })
  }
  const nothing = { end: undefined, cutBytes: 0, maxVersion: 0, records: 0 }
  if (newest === undefined || isReplaced) return nothing
  const { name, number, size } = newest
  const exact = options.salvage ? undefined : (marks.cleanEnd ?? (marks.clean?.fid === number ? marks.clean : undefined))
  if (exact !== undefined) {
    if (number > exact.fid) throw new CorruptionError(`${name} is newer than the last clean close`, { file: name, offset: 0 })
    if (number === exact.fid && size !== exact.size) {
      throw new CorruptionError(`${name} has ${size} bytes, ${exact.size} at the last clean close`, { file: name, offset: Math.min(size, exact.size) })
    }
    return { ...nothing, end: size }
  }
  const { fs, readOnly } = options
  const file = await fs.open(newest.path, readOnly ? 'read' : 'update')
  try {
    const scanned = await scanRecords(file, size, options, cipher)
    const { end } = scanned
    if (end < size || isShort(newest, end, marks)) {
      try {
        await judge(file, newest, end, marks, options, cipher)
      } catch (error) {
        // Whoever salvages wants to walk over the damage: it stays part of the file.
        if (options.salvage && error instanceof CorruptionError) return { ...scanned, end: size }
        throw error
      }
    }
    const cutBytes = size - end
    if (!readOnly) {
      if (cutBytes > 0) await file.truncate(end)
      await file.sync()
      newest.size = end
    }
    return { ...scanned, cutBytes }
  } finally {
    await file.close()
  }
}

/** Walks the valid records from the start. A file without a whole header has none, and ends at 0. */
async function scanRecords(
  file: File,
  size: number,
  { runtime }: ResolvedOptions,
  cipher: RecordCipher | undefined,
): Promise<RecoveredTail & { end: number }> {
  if (size < FILE_HEADER_LENGTH) return { end: 0, cutBytes: 0, maxVersion: 0, records: 0 }
  const slice = new TimeSlice(runtime)
  const scanner = new RecordScanner(file, FILE_HEADER_LENGTH, size)
  let maxVersion = 0
  let records = 0
  for (;;) {
    const step = scanner.step()
    if (step === 'record') {
      const version = openVersion(cipher, scanner.position, scanner.bytes, scanner.start, scanner.header)
      if (version !== UNSAFE && version > maxVersion) maxVersion = version
      records++
    } else if (step === 'fill') {
      await scanner.fill()
      if (slice.due()) await slice.pause()
    } else {
      return { end: scanner.position, cutBytes: 0, maxVersion, records }
    }
  }
}

function isShort({ number }: PhysicalFile, end: number, { durable }: TailMarks): boolean {
  return durable !== null && durable !== undefined && durable.fid === number && end < durable.offset
}

/** Returns if the bytes from `end` on are a torn tail. @throws CorruptionError if they are damage */
async function judge(
  file: File,
  newest: PhysicalFile,
  end: number,
  { durable }: TailMarks,
  { runtime }: ResolvedOptions,
  cipher: RecordCipher | undefined,
): Promise<void> {
  const { name, number, size } = newest
  const damaged = (why: string): CorruptionError => new CorruptionError(`${name} is damaged at offset ${end}: ${why}`, { file: name, offset: end })
  if (durable === null) return
  if (durable !== undefined) {
    if (number < durable.fid || (number === durable.fid && end < durable.offset)) throw damaged('it was durable there')
    return
  }
  const next = await findRecord(file, end + 1, size, runtime, { encrypted: cipher !== undefined })
  if (next === undefined) throw damaged('whether records follow could not be told')
  if (next !== -1) throw damaged(`a valid record follows at ${next}`)
}
