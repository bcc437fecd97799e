/** `NNNNN.mem`, Badger's memtable log: docs/format.md, chapter of that name. Records that count. */
import { allZero, check } from './reader.js'
import type { Pointer } from './entry.js'
import { openRecord, type ValueRecord } from './record.js'
import { decodeValueLog } from './value-log.js'

export interface MemtableRecord extends ValueRecord {
  readonly pointer: Pointer | undefined
}

export function decodeMemtableLog(bytes: Buffer, file: string, keys: ReadonlyMap<number, Buffer>): MemtableRecord[] {
  const log = decodeValueLog('vlog', bytes, 0, file)
  const out: ValueRecord[] = []
  let open: ValueRecord[] | undefined
  for (const { record, logical, offset } of log.found) {
    const need = (holds: boolean, what: string): void => check(holds, file, offset, what)
    const e = openRecord(bytes, record, { keyId: logical.keyId, baseIV: logical.baseIV, offset }, keys, file)
    if ((e.meta & 0x80) !== 0) {
      need(open !== undefined && e.value.toString('latin1') === String(open[0]?.version), 'end of a transaction')
      out.push(...(open ?? []))
      open = undefined
    } else if ((e.meta & 0x40) !== 0) {
      open ??= []
      need(open.length === 0 || open[0]?.version === e.version, 'version within a transaction')
      open.push(e)
    } else {
      need(open === undefined, 'record between those of a transaction')
      out.push(e)
    }
  }
  check(allZero(bytes.subarray(log.validEnd)), file, log.validEnd, 'no zeros behind the records')
  return out.map((e) => ({ ...e, pointer: (e.meta & 2) === 0 ? undefined : { fid: e.value.readUInt32LE(0), len: e.value.readUInt32LE(4), offset: e.value.readUInt32LE(8) } }))
}
