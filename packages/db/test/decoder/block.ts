/** Contents of a data or index block, uncompressed: docs/format.md, "Data block, index block". */
import { order, SEQ_MAX } from './entry.js'
import { Reader } from './reader.js'

/** An entry whose payload nobody looked at yet. */
export interface BlockEntry {
  readonly key: Buffer
  readonly seq: number
  readonly kind: number
  readonly payload: Reader
}

export function decodeBlock(contents: Buffer, file: string, base: number, isIndex: boolean): BlockEntry[] {
  const whole = new Reader(contents, file, { base })
  const n = contents.length
  whole.check(n >= 8, 'block without restart points')
  const count = contents.readUInt32LE(n - 4)
  whole.check(count >= 1 && count <= (n - 4) / 4, `${count} restart points`)
  const end = n - 4 - 4 * count
  const restarts = Array.from({ length: count }, (_, i) => contents.readUInt32LE(end + 4 * i))
  const r = new Reader(contents, file, { end, base })
  const entries: BlockEntry[] = []
  let passed = 0
  let last: BlockEntry | undefined
  while (r.left > 0) {
    const start = r.at
    const isRestart = restarts[passed] === start
    if (isRestart) passed++
    r.check(isRestart || (last !== undefined && !isIndex), 'an entry that should be a restart point', start)
    const shared = r.uvarint()
    const unshared = r.uvarint()
    const size = r.uvarint()
    const before = last?.key ?? Buffer.alloc(0)
    r.check(shared <= (isRestart ? 0 : before.length), 'shares more than there is', start)
    r.check(shared + unshared <= 65_000, 'key too long', start)
    const seq = SEQ_MAX - r.bytes(6).readUIntBE(0, 6)
    const kind = r.u8()
    const key = Buffer.concat([before.subarray(0, shared), r.bytes(unshared)])
    r.check(isRestart || shared === before.length || shared === key.length || before[shared] !== key[shared], 'shares less than it could', start)
    const entry = { key, seq, kind, payload: r.part(size) }
    r.check(last === undefined || order(last, entry) < 0, 'order', start)
    entries.push(entry)
    last = entry
  }
  r.check(passed === count, 'a restart point that starts no entry')
  return entries
}
