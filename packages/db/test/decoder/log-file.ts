/** What WAL and manifest have in common: docs/format.md, "Log header". */
import { frameAt, frameEnd, type Frame } from './frame.js'
import { checkTiles, Reader } from './reader.js'

/** Frames from 16 to the first that does not verify, and the valid ones behind that. */
export interface LogFrames {
  readonly frames: readonly Frame[]
  readonly behind: readonly Frame[]
  readonly end: number
}

export function checkLogHeader(bytes: Buffer, magic: 'WKWL' | 'WKMF', number: number, file: string): void {
  const r = new Reader(bytes, file)
  r.expect(Buffer.from(magic), 'magic')
  r.check(r.u32() === 1, 'format version')
  r.check(r.u64() === number, 'file number')
}

export function framesOf(bytes: Buffer, number: number, file: string): LogFrames {
  const frames: Frame[] = []
  let end = 16
  for (let payload = frameAt(bytes, end, number); payload !== undefined; payload = frameAt(bytes, end, number)) {
    frames.push({ at: end, payload })
    end += 8 + payload.length
  }
  const behind: Frame[] = []
  for (let at = end + 1; at < bytes.length; ) {
    const payload = frameAt(bytes, at, number)
    if (payload !== undefined) behind.push({ at, payload })
    at += payload === undefined ? 1 : 8 + payload.length
  }
  checkTiles([[0, 16, 'header'], ...frames.map((f) => [f.at, frameEnd(f), 'frame'] as const), [end, bytes.length, 'tail']], bytes.length, file)
  return { frames, behind, end }
}
