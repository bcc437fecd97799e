/**
 * How much of the newest files counts: torn tail or damage (law 6).
 *
 * In a log that stands alone every file but the newest was synced before its successor was created, so only the newest, and the newest
 * of those for survivors, may end in bytes that never became durable. For a host with durable marks that holds up to the last mark: any file from there
 * on may end so (docs/adr/0013); what follows in later files is whole or torn likewise, and the host's own log says what of
 * it counts. What a host or a clean close promised decides; where nobody promised anything, bytes that do not verify are
 * a torn tail only if no valid record follows them. A torn tail is cut, the cut is synced (and so is everything before it: after
 * a killed process it may exist in the page cache only). Never when read-only.
 *
 * A checksum is of what is stored and not salted, so in blocks that were another file's before (CRASH_POLICIES, P4) whole records of that file
 * verify. In a plain file such a one is an older record that no pointer names: it stays. In an encrypted one it was
 * encrypted under another IV and says nothing but noise, which nobody who walks the file can read: it is no record, and ends
 * the valid part. Noise is told by its version, which is impossible for all but one in 2,048; no pointer names
 * that one either, but its version may count as the highest found (`highestVersion` bounds that).
 *
 * A file in gaps has no torn tail: what a crash left there is some records, then what was there before. Nothing is cut or read, and it is synced as well.
 */
import { CorruptionError, formatFileName } from '@wk/codec'
import type { File } from '@wk/fs'
import { TimeSlice } from '@wk/fs'
import type { LogicalFile } from './file-map.js'
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
  /** Bytes behind the valid parts: cut, or left alone when read-only. */
  cutBytes: number
  /** Highest version among the records scanned; 0 without a scan. */
  maxVersion: number
  /** Records scanned. */
  records: number
}

/** A plain file that may have a torn tail. */
export interface TailFile {
  physical: PhysicalFile
  cipher: RecordCipher | undefined
}

/** `files`: those that may have one, ascending. `onEnd` is told the end of the valid part of each. @throws CorruptionError */
export async function recoverTails(
  options: ResolvedOptions,
  files: readonly TailFile[],
  marks: TailMarks,
  onEnd: (physical: PhysicalFile, end: number) => void,
): Promise<RecoveredTail> {
  const promisedFid = Math.max(marks.durable?.fid ?? 0, marks.cleanEnd?.fid ?? 0, marks.clean?.fid ?? 0)
  if (promisedFid > marks.highest && !options.salvage) {
    // The highest number is never removed, so this file was there.
    throw new CorruptionError(`value-log file ${promisedFid} is gone`, { file: formatFileName('vlog', promisedFid) })
  }
  const recovered = { cutBytes: 0, maxVersion: 0, records: 0 }
  const newest = files.at(-1)
  if (newest === undefined) return recovered
  if (isExact(options, newest.physical, marks)) {
    onEnd(newest.physical, newest.physical.size)
    return recovered
  }
  for (const file of files) {
    // Durable since a clean close: what does not verify there is damage, whichever files came after it. Its size is compared by the caller.
    if (marks.clean !== undefined && file.physical.number <= marks.clean.fid) {
      onEnd(file.physical, file.physical.size)
      continue
    }
    const tail = await recoverTail(options, file, marks)
    onEnd(file.physical, tail.end)
    recovered.cutBytes += tail.cutBytes
    recovered.records += tail.records
    recovered.maxVersion = Math.max(recovered.maxVersion, tail.maxVersion)
  }
  return recovered
}

/** Whether a clean close told the size of the newest file. @throws CorruptionError if it is another one */
function isExact({ salvage }: ResolvedOptions, { name, number, size }: PhysicalFile, { cleanEnd, clean }: TailMarks): boolean {
  const exact = salvage ? undefined : (cleanEnd ?? (clean?.fid === number ? clean : undefined))
  if (exact === undefined) return false
  if (number > exact.fid) throw new CorruptionError(`${name} is newer than the last clean close`, { file: name, offset: 0 })
  if (number === exact.fid && size !== exact.size) {
    throw new CorruptionError(`${name} has ${size} bytes, ${exact.size} at the last clean close`, { file: name, offset: Math.min(size, exact.size) })
  }
  return true
}

async function recoverTail(options: ResolvedOptions, { physical, cipher }: TailFile, marks: TailMarks): Promise<RecoveredTail & { end: number }> {
  const { size } = physical
  const { fs, readOnly } = options
  const file = await fs.open(physical.path, readOnly ? 'read' : 'update')
  try {
    const { isForeign, ...scanned } = await scanRecords(file, size, options, cipher)
    const { end } = scanned
    if (end < size || isShort(physical, end, marks)) {
      try {
        await judge(file, physical, end, isForeign, marks, options, cipher)
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
      physical.size = end
    }
    return { ...scanned, cutBytes }
  } finally {
    await file.close()
  }
}

interface Scanned extends RecoveredTail {
  end: number
  /** At `end` a record verifies that the file's key makes noise of. */
  isForeign: boolean
}

/** Walks the valid records from the start. A file without a whole header has none, and ends at 0. */
async function scanRecords(
  file: File,
  size: number,
  { runtime, highestVersion }: ResolvedOptions,
  cipher: RecordCipher | undefined,
): Promise<Scanned> {
  let maxVersion = 0
  let records = 0
  const endedAt = (end: number, isForeign = false): Scanned => ({ end, isForeign, cutBytes: 0, maxVersion, records })
  if (size < FILE_HEADER_LENGTH) return endedAt(0)
  const slice = new TimeSlice(runtime)
  const scanner = new RecordScanner(file, FILE_HEADER_LENGTH, size)
  for (;;) {
    const step = scanner.step()
    if (step === 'record') {
      const version = openVersion(cipher, scanner.position, scanner.bytes, scanner.start, scanner.header)
      if (cipher !== undefined && version > highestVersion) return endedAt(scanner.position, true)
      if (version !== UNSAFE && version > maxVersion) maxVersion = version
      records++
    } else if (step === 'fill') {
      await scanner.fill()
      if (slice.due()) await slice.pause()
    } else {
      return endedAt(scanner.position)
    }
  }
}

function isShort({ number }: PhysicalFile, end: number, { durable }: TailMarks): boolean {
  return durable !== null && durable !== undefined && durable.fid === number && end < durable.offset
}

/** Returns if the bytes from `end` on are a torn tail. @throws CorruptionError if they are damage */
async function judge(
  file: File,
  physical: PhysicalFile,
  end: number,
  isForeign: boolean,
  { durable }: TailMarks,
  { runtime }: ResolvedOptions,
  cipher: RecordCipher | undefined,
): Promise<void> {
  const { name, number, size } = physical
  const damaged = (why: string): CorruptionError => new CorruptionError(`${name} is damaged at offset ${end}: ${why}`, { file: name, offset: end })
  if (durable === null) return
  if (durable !== undefined) {
    if (number < durable.fid || (number === durable.fid && end < durable.offset)) throw damaged('it was durable there')
    return
  }
  // The header was durable before any record, and nothing else shares its sector. So what is noise from the first record on was written with
  // another IV or data key than the file and the registry say now: all of it may be whole.
  if (isForeign && end === FILE_HEADER_LENGTH) throw damaged('its records are not encrypted as its header and the key registry say')
  const next = await findRecord(file, end + 1, size, runtime, { cipher })
  if (next === undefined) throw damaged('whether records follow could not be told')
  if (next !== -1) throw damaged(`a valid record follows at ${next}`)
}

/**
 * Makes what lies in gaps durable, unless read-only. Which versions lie there is not looked at: what is no whole record of theirs may look like one
 * of any version.
 */
export async function syncGaps({ fs, readOnly }: ResolvedOptions, files: readonly LogicalFile[]): Promise<void> {
  if (readOnly) return
  for (const physical of new Set(files.map((file) => file.physical))) {
    const file = await fs.open(physical.path, 'update')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
}
