/**
 * The records of a value-log file whose own header or run table is gone: what verifies, wherever it lies.
 *
 * Nothing tells the logical place of a record then, so no pointer leads to it; key and version say whose it is. Plain records
 * only: what an encrypted one says depends on its logical place, and its bytes as they are may pass for another key and version. Bytes of a value that are records themselves may be taken for
 * records.
 */
import { CorruptionError, NotSupportedError, ResultMemory, parseFileName } from '@wk/codec'
import type { FileSystem, Runtime } from '@wk/fs'
import { newLogicalFile, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { PhysicalFile } from './physical-file.js'
import { findRecord } from './record-search.js'
import { openEntry } from './stored-record.js'
import type { VlogEntry } from './vlog-entry.js'
import { RecordScanner } from './vlog-scanner.js'

/** A record and where it begins in its file. */
export interface StrayRecord {
  entry: VlogEntry
  position: number
}

/** Every record that verifies in the file `name` of `dir`, in the order of the file, from `from` on. @throws IoError */
export async function* strayRecords(fs: FileSystem, dir: string, name: string, runtime: Runtime, from: number = FILE_HEADER_LENGTH): AsyncGenerator<StrayRecord, void, undefined> {
  const parsed = parseFileName(name)
  if (parsed?.kind !== 'vlog' && parsed?.kind !== 'relocated') return
  const file = await fs.open(`${dir}/${name}`, 'read')
  try {
    const size = await file.size()
    const memory = new ResultMemory()
    const logical = anonymous(new PhysicalFile(dir, parsed.number, parsed.kind === 'relocated', size))
    // A search finds the first record whole; it begins where records do.
    for (let at = from; at < size; ) {
      const scanner = new RecordScanner(file, at, size)
      let step = await scanner.next()
      for (; step === 'record'; step = await scanner.next()) {
        const entry = entryOf(logical, scanner, memory)
        if (entry !== undefined) yield { entry, position: scanner.position }
      }
      if (step === 'end') return
      const next = await findRecord(file, scanner.position + 1, size, runtime)
      if (next === undefined || next === -1) return
      at = next
    }
  } finally {
    await file.close()
  }
}

function entryOf(logical: LogicalFile, { bytes, start, position, header }: RecordScanner, memory: ResultMemory): VlogEntry | undefined {
  try {
    return openEntry(logical, position, { bytes, start, hold: 'lent' }, header, memory)
  } catch (error) {
    // Numbers that are too large are in no record of ours.
    if (error instanceof CorruptionError || error instanceof NotSupportedError) return undefined
    throw error
  }
}

function anonymous(physical: PhysicalFile): LogicalFile {
  const { size } = physical
  return newLogicalFile({ fid: 0, physical, runs: undefined, end: size, written: size, sealed: true, keyId: 0, baseIv: new Uint8Array(0), cipher: undefined, direct: false })
}
