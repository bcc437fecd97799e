/** One raw LZ4 block (no frame), as table blocks and compressed values of docs/format.md have it. */
import { check } from './reader.js'

/** What the block gives, which must be exactly `size` bytes. */
export function lz4(source: Buffer, size: number, file: string, place: number): Buffer {
  const out = Buffer.alloc(size)
  let from = 0
  let to = 0
  const need = (holds: boolean, what: string): void => check(holds, file, place, `LZ4: ${what}`)
  const byte = (): number => {
    need(from < source.length, 'cut')
    return source.readUInt8(from++)
  }
  const length = (nibble: number): number => {
    let n = nibble
    if (nibble === 15) for (let more = 255; more === 255; n += more) more = byte()
    return n
  }
  for (;;) {
    const token = byte()
    const literals = length(token >> 4)
    need(literals <= source.length - from && literals <= size - to, 'literals')
    source.copy(out, to, from, from + literals)
    from += literals
    to += literals
    if (from === source.length) break
    const back = byte() | (byte() << 8)
    const match = length(token & 15) + 4
    need(back > 0 && back <= to && match <= size - to, 'match')
    for (const end = to + match; to < end; to++) out[to] = out.readUInt8(to - back)
  }
  need(to === size, 'too few bytes')
  return out
}
