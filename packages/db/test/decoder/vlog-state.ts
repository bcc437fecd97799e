/** `VLOGSTATE`, what a value log that stands alone remembers: docs/format.md, chapter of that name. */
import { frameAt } from './frame.js'
import { Bad, Reader, U32 } from './reader.js'

export interface ValueLogState {
  readonly next: number
  readonly newest: number
  readonly size: number
  readonly garbage: readonly (readonly [fid: number, records: number, bytes: number])[]
  readonly givenUp: readonly number[]
  readonly survivors: readonly number[]
}

export function decodeValueLogState(bytes: Buffer, file = 'VLOGSTATE'): ValueLogState {
  const payload = frameAt(bytes, 0, 0, 2 ** 28)
  if (payload === undefined || payload.length + 8 !== bytes.length) throw new Bad(file, 0, 'not exactly one frame')
  const r = new Reader(payload, file, { base: 8 })
  r.expect(Buffer.from('574b565301', 'hex'), 'magic')
  const [next, newest, size] = [r.uvarint(), r.uvarint(U32), r.uvarint(U32)]
  const ascending = <T>(read: (fid: number) => T): T[] => {
    let before = -1
    return Array.from({ length: r.uvarint(r.left) }, () => {
      const fid = r.uvarint(U32)
      r.check(fid > before, 'order')
      before = fid
      return read(fid)
    })
  }
  const garbage = ascending((fid) => [fid, r.uvarint(), r.uvarint(U32)] as const)
  const givenUp = ascending((fid) => fid)
  const isLast = r.left === 0
  const survivors = isLast ? [] : ascending((fid) => fid)
  r.check(isLast || survivors.length > 0, 'an empty list of files for survivors')
  r.done('the state')
  return { next, newest, size, garbage, givenUp, survivors }
}
