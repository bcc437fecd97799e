/**
 * A write-ahead log read for salvage: every frame that verifies, in memory, and the stretches between them that do not.
 */
import { ByteReader, CorruptionError, KIND_POINTER, POINTER_LENGTH, baseKind, formatFileName } from '@wk/codec'
import { readWalOperation, readWalPrefix } from '../log/format.js'
import type { WalOperation } from '../log/format.js'
import { FrameScanner } from '../log/frame-scanner.js'
import type { Frame } from '../log/frame-scanner.js'
import { GatheredEntries } from './gathered-entries.js'
import { openDamaged } from './open-damaged.js'
import type { SalvageOptions } from './salvaged-tree.js'

/** A stretch of a log that does not verify. */
export interface LogGap {
  offset: number
  length: number
  message: string
}

export interface SalvagedLog {
  number: number
  entries: GatheredEntries
  frames: { offset: number; firstSequence: number; count: number }[]
  gaps: LogGap[]
}

/** Reads log `number` to its end. */
export async function salvageLog(dir: string, number: number, { fs, runtime }: SalvageOptions): Promise<SalvagedLog> {
  const log: SalvagedLog = { number, entries: new GatheredEntries(), frames: [], gaps: [] }
  const name = formatFileName('wal', number)
  const file = await openDamaged(fs, dir, name)
  if (typeof file === 'string') {
    log.gaps.push({ offset: 0, length: 0, message: file })
    return log
  }
  try {
    const size = await file.size()
    const scanner = new FrameScanner(file, number, size, runtime)
    const gap = (from: number, to: number): void => {
      if (to > from) log.gaps.push({ offset: from, length: to - from, message: `no frame that verifies: ${name} at offset ${from}` })
    }
    while (!scanner.atEnd) {
      const from = scanner.offset
      const frame = (await scanner.next()) ?? (await scanner.findNext())
      if (frame === undefined || frame === 'exhausted') {
        gap(from, size)
        break
      }
      gap(from, frame.offset)
      if (!takeFrame(log, name, frame)) gap(frame.offset, frame.nextOffset)
    }
  } finally {
    await file.close()
  }
  return log
}

/** Adds the operations of a frame, all or none. False if it is malformed, although its checksum is right. */
function takeFrame(log: SalvagedLog, file: string, frame: Frame): boolean {
  const operations: WalOperation[] = []
  let first: number
  try {
    const reader = new ByteReader(frame.bytes, { file, start: frame.start, end: frame.end, baseOffset: frame.nextOffset - frame.end })
    const { firstSequence, count } = readWalPrefix(reader)
    first = firstSequence
    for (let i = 0; i < count; i++) {
      const operation = readWalOperation(reader)
      if (baseKind(operation.kind) === KIND_POINTER && operation.payload.length < POINTER_LENGTH) throw reader.corrupt('a cut value pointer')
      operations.push(operation)
    }
    reader.expectEnd()
  } catch (error) {
    if (error instanceof CorruptionError) return false
    throw error
  }
  log.entries.prepare(operations.length, frame.end - frame.start)
  for (const [i, { key, kind, payload }] of operations.entries()) log.entries.add(key, first + i, kind, payload)
  log.frames.push({ offset: frame.offset, firstSequence: first, count: operations.length })
  return true
}
