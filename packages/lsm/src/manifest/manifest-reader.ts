/**
 * Reading a manifest back: its edits, applied one after another.
 *
 * A frame that does not verify ends it. If a valid frame follows anywhere behind, or the last edit marks a clean close,
 * that is corruption; else it is the torn tail of an edit that never counted.
 */
import { ByteReader, CorruptionError, formatFileName } from '@wk/codec'
import { isNotFound } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { checkLogHeader } from '../log/format.js'
import { FrameScanner } from '../log/frame-scanner.js'
import type { Frame } from '../log/frame-scanner.js'
import { laterOf } from '../log/log-reader.js'
import type { DependencyPosition } from '../options.js'
import { MANIFEST_FORMAT } from './format.js'
import { decodeRecord } from './version-edit.js'
import type { CleanClose, VersionEdit } from './version-edit.js'
import { VersionBuilder } from './version-builder.js'
import type { Version } from './version.js'

/** What a manifest says. */
export interface ManifestState {
  number: number
  version: Version
  nextFileNumber: number
  logNumber: number
  lastSequence: number
  dependency: DependencyPosition | undefined
  /** Position of the value log before which nothing belongs to an operation after `lastSequence`; absent: its beginning. */
  unflushed: DependencyPosition | undefined
  /** Highest sequence number of a tombstone that was dropped for good: what changed up to it can't be told completely. */
  droppedTombstone: number
  /** Present if the last edit marks a clean close. */
  cleanClose: CleanClose | undefined
  /** Offset behind the last valid frame. */
  end: number
}

/** What a manifest says about the tree itself. */
export interface TreeState extends Omit<ManifestState, 'number' | 'cleanClose' | 'end'> {
  /** Number of the manifest, if it marks a clean close and has nothing to be added: it stays until the first change. */
  cleanManifest?: number | undefined
}

/** Whether a file that begins with `bytes` is manifest `number`, in clear. */
export function isManifestHeader(number: number, bytes: Uint8Array): boolean {
  try {
    checkLogHeader(MANIFEST_FORMAT, number, bytes)
    return true
  } catch (error) {
    if (error instanceof CorruptionError) return false
    throw error
  }
}

/** Reads manifest `number`. Throws `CorruptionError` if it is missing or damaged. */
export async function readManifest(fs: FileSystem, dir: string, number: number, runtime: Runtime): Promise<ManifestState> {
  const name = formatFileName('manifest', number)
  let file
  try {
    file = fs.openSync(`${dir}/${name}`, 'read')
  } catch (error) {
    if (!isNotFound(error)) throw error
    throw new CorruptionError(`${name} is missing`, { file: name, cause: error })
  }
  try {
    const scanner = new FrameScanner(file, number, file.sizeSync(), runtime)
    checkLogHeader(MANIFEST_FORMAT, number, await scanner.header())
    const tables = new VersionBuilder()
    let state: Numbers | undefined
    for (;;) {
      const frame = await scanner.next()
      if (frame === undefined) break
      state = applyFrame(state, tables, number, frame)
    }
    const end = scanner.offset
    if (!scanner.atEnd) {
      const offset = end
      const isTail = state?.cleanClose === undefined && (await scanner.findNext()) === undefined
      if (!isTail) throw new CorruptionError(`damage in ${name} at offset ${offset}`, { file: name, offset })
    }
    // CURRENT names a manifest only once its first edit is durable.
    if (state === undefined) throw new CorruptionError(`${name} holds no edit`, { file: name, offset: scanner.offset })
    const version = tables.build()
    if (typeof version === 'string') throw new CorruptionError(`${version}: ${name}`, { file: name, offset: scanner.offset })
    return { ...state, version, end }
  } finally {
    file.closeSync()
  }
}

/** Everything that a manifest says but the tables, which are in a builder while it is read. */
type Numbers = Omit<ManifestState, 'version' | 'end'>

function applyFrame(state: Numbers | undefined, tables: VersionBuilder, number: number, frame: Frame): Numbers {
  const reader = new ByteReader(frame.bytes, {
    file: formatFileName('manifest', number),
    start: frame.start,
    end: frame.end,
    baseOffset: frame.nextOffset - frame.end,
  })
  const record = decodeRecord(reader)
  if (record.type === 'seal') {
    if (state === undefined || record.offset !== frame.offset) throw reader.corrupt('a seal in the wrong place')
    return state
  }
  if (record.edit.base === true ? state !== undefined : state === undefined) throw reader.corrupt('a base edit in the wrong place')
  if (state?.cleanClose !== undefined) throw reader.corrupt('an edit behind a clean close')
  return applyEdit(state ?? emptyState(number), tables, record.edit, reader)
}

function applyEdit(state: Numbers, tables: VersionBuilder, edit: VersionEdit, reader: ByteReader): Numbers {
  const problem = tables.apply(edit.added ?? [], edit.removed ?? [])
  if (problem !== undefined) throw reader.corrupt(problem)
  const next = {
    ...state,
    nextFileNumber: edit.nextFileNumber ?? state.nextFileNumber,
    logNumber: edit.logNumber ?? state.logNumber,
    lastSequence: edit.lastSequence ?? state.lastSequence,
    dependency: laterOf(state.dependency, edit.dependency),
    unflushed: laterOf(state.unflushed, edit.unflushed),
    droppedTombstone: Math.max(state.droppedTombstone, edit.droppedTombstone ?? (edit.base === true ? (edit.lastSequence ?? 0) : 0)),
    cleanClose: edit.cleanClose,
  }
  if (next.nextFileNumber < state.nextFileNumber || next.logNumber < state.logNumber || next.lastSequence < state.lastSequence) {
    throw reader.corrupt('a number that went back')
  }
  return next
}

function emptyState(number: number): Numbers {
  return { number, nextFileNumber: 1, logNumber: 0, lastSequence: 0, dependency: undefined, unflushed: undefined, droppedTombstone: 0, cleanClose: undefined }
}
