/** `NNNNNN.wal`: docs/format.md, "WAL". One file; what all of them say together is in recovery.ts. */
import { decodePayload, SEQ_MAX, type Entry } from './entry.js'
import type { Frame } from './frame.js'
import { checkLogHeader, framesOf } from './log-file.js'
import { Bad, Reader, U32 } from './reader.js'

export interface WalFrame {
  readonly at: number
  readonly first: number
  readonly last: number
  readonly walPromise: { readonly file: number; readonly offset: number }
  readonly vlogPromise: { readonly fid: number; readonly offset: number }
  readonly operations: readonly Entry[]
}

export interface Wal {
  readonly number: number
  readonly file: string
  readonly frames: readonly WalFrame[]
  /** Valid frames behind the end. */
  readonly behind: readonly WalFrame[]
  readonly end: number
  readonly size: number
}

export function decodeWal(bytes: Buffer, number: number, file: string): Wal {
  const size = bytes.length
  if (size <= 16) return { number, file, frames: [], behind: [], end: size, size }
  const { frames, behind, end } = framesOf(bytes, number, file)
  try {
    checkLogHeader(bytes, 'WKWL', number, file)
  } catch (err) {
    // With a wrong header the log ends here; a valid frame makes it damage.
    if (!(err instanceof Bad) || frames.length + behind.length > 0) throw err
    return { number, file, frames: [], behind: [], end: 0, size }
  }
  return { number, file, frames: frames.map((f) => decodeFrame(f, number, file)), behind: behind.map((f) => decodeFrame(f, number, file)), end, size }
}

function decodeFrame({ at, payload }: Frame, number: number, file: string): WalFrame {
  const r = new Reader(payload, file, { base: at + 8 })
  const first = r.uvarint(SEQ_MAX)
  r.check(first >= 1, 'first sequence')
  const count = r.uvarint()
  r.check(count >= 1 && first + count - 1 <= SEQ_MAX && count <= r.left / 3, 'number of operations')
  const walPromise = { file: r.uvarint(number), offset: r.uvarint() }
  r.check(walPromise.file !== number || walPromise.offset <= at, 'WAL promise beyond its frame')
  const vlogPromise = { fid: r.uvarint(U32), offset: r.uvarint(U32) }
  const operations: Entry[] = []
  for (let i = 0; i < count; i++) {
    const kind = r.u8()
    const key = r.bytes(r.uvarint(65_000))
    operations.push({ key, seq: first + i, ...decodePayload(kind, r.part(r.uvarint())) })
  }
  r.done('the operations')
  return { at, first, last: first + count - 1, walPromise, vlogPromise, operations }
}
