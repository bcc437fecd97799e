/** A backup stream, put together: docs/format.md, "Backups". */
import { order } from './entry.js'
import { frameAt } from './frame.js'
import { Bad, Reader } from './reader.js'

export interface BackupRecord {
  readonly key: Buffer
  readonly seq: number
  readonly userMeta: number
  readonly expiresAt: number
  /** Undefined: a deletion. */
  readonly value: Buffer | undefined
}

export interface Backup {
  readonly since: number
  readonly last: number
  readonly records: readonly BackupRecord[]
}

export function decodeBackup(bytes: Buffer, file = 'backup'): Backup {
  const records: BackupRecord[] = []
  let head: { since: number; last: number } | undefined
  for (let at = 0; ; ) {
    const payload = frameAt(bytes, at, 0, 1_074_855_432)
    if (payload === undefined) throw new Bad(file, at, 'no frame')
    const r = new Reader(payload, file, { base: at + 8 })
    at += 8 + payload.length
    const type = r.u8()
    r.check((type === 1) === (head === undefined), `type ${type}`)
    if (head === undefined) {
      r.expect(Buffer.from('WKBACKUP'), 'magic')
      r.check(r.u8() === 1, 'format version')
      head = { since: r.uvarint(), last: r.uvarint(2 ** 47) }
      r.check(head.last >= head.since, 'last version')
      r.done('the head')
    } else if (type === 2) decodeRecords(r, head, records)
    else {
      r.check(type === 3 && r.uvarint() === records.length, 'end')
      r.done('the end')
      if (at !== bytes.length) throw new Bad(file, at, 'bytes behind the end')
      return { ...head, records }
    }
  }
}

function decodeRecords(r: Reader, { since, last }: { since: number; last: number }, records: BackupRecord[]): void {
  for (let n = 0; r.left > 0; n++) {
    r.check(n < 4096 && (n === 0 || r.at <= 2 ** 20), 'payload goes on')
    const type = r.u8()
    r.check(type === 1 || type === 2, `record of type ${type}`)
    const seq = r.uvarint()
    r.check(seq > since && seq <= last, 'version')
    const key = r.bytes(r.uvarint(65_000))
    const record = type === 1 ? { key, seq, userMeta: r.u8(), expiresAt: r.uvarint(), value: r.bytes(r.uvarint(2 ** 30)) } : { key, seq, userMeta: 0, expiresAt: 0, value: undefined }
    const before = records.at(-1)
    // Those of one key oldest first.
    r.check(before === undefined || (before.key.equals(key) ? before.seq < seq : order(before, record) < 0), 'order')
    records.push(record)
  }
}
