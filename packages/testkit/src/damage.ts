/**
 * Ways to damage a directory: every byte flipped, every length cut, garbage behind the end, blocks zeroed or swapped,
 * whole files swapped, duplicated or gone. Each is a description and the image that it leaves; what it means is judged
 * elsewhere (`damage-probe.ts`). Enumerations are complete and in a fixed order, so a number names a case.
 */
import type { DiskImage } from './disk-image.js'
import { Rng } from './rng.js'

/** One damage. */
export interface Damage {
  /** What was done, in words, with file and offset: names the case in a report. */
  readonly what: string
  /** The files whose bytes or name it touched. */
  readonly files: readonly string[]
  /** The bytes that are not what they were, in the first of the files: `[from, to)`. */
  readonly from: number
  readonly to: number
  readonly image: DiskImage
}

/** What is done to a single byte. */
export const FLIPS = [0x01, 0x80, 0xff, 'zero'] as const
/** One of {@link FLIPS}: bits to turn round, or the byte set to 0. */
export type Flip = (typeof FLIPS)[number]

/** Every byte of every file, flipped in every given way. */
export function* flips(image: DiskImage, ways: readonly Flip[] = FLIPS): Generator<Damage> {
  for (const [name, bytes] of image) {
    for (let at = 0; at < bytes.length; at++) {
      for (const way of ways) {
        const before = bytes[at] ?? 0
        const after = way === 'zero' ? 0 : before ^ way
        if (after === before) continue
        const changed = bytes.slice()
        changed[at] = after
        yield damageOf(image, name, changed, `${name}: byte ${at} ${before} -> ${after}`, at, at + 1)
      }
    }
  }
}

/** Every file at every shorter length. */
export function* truncations(image: DiskImage): Generator<Damage> {
  for (const [name, bytes] of image) {
    for (let length = 0; length < bytes.length; length++) yield damageOf(image, name, bytes.slice(0, length), `${name}: cut to ${length} bytes`, length, bytes.length)
  }
}

/** Garbage behind the end of every file: random bytes, zeros, and the file's own first bytes again. */
export function* appendices(image: DiskImage, seed: number, lengths: readonly number[] = [1, 4, 8, 17, 20, 100, 512, 4096]): Generator<Damage> {
  const rng = new Rng(seed)
  for (const [name, bytes] of image) {
    for (const length of lengths) {
      const kinds = { 'random bytes': rng.bytes(length), zeros: new Uint8Array(length), 'its own beginning': bytes.slice(0, length) }
      for (const [kind, more] of Object.entries(kinds)) {
        if (more.length === 0) continue
        yield damageOf(image, name, joined(bytes, more), `${name}: ${more.length} bytes appended, ${kind}`, bytes.length, bytes.length + more.length)
      }
    }
  }
}

/** Aligned blocks of every file zeroed, and swapped with the next block of the same file and of the next file. */
export function* blocks(image: DiskImage, size: number): Generator<Damage> {
  const names = [...image.keys()]
  for (const [index, name] of names.entries()) {
    const bytes = bytesOf(image, name)
    for (let at = 0; at < bytes.length; at += size) {
      const end = Math.min(bytes.length, at + size)
      const zeroed = bytes.slice().fill(0, at, end)
      if (!same(zeroed, bytes)) yield damageOf(image, name, zeroed, `${name}: ${size} bytes at ${at} zeroed`, at, end)
      if (at + 2 * size <= bytes.length) {
        const swapped = bytes.slice()
        swapped.set(bytes.subarray(at + size, at + 2 * size), at)
        swapped.set(bytes.subarray(at, at + size), at + size)
        if (!same(swapped, bytes)) yield damageOf(image, name, swapped, `${name}: blocks of ${size} bytes at ${at} and ${at + size} swapped`, at, at + 2 * size)
      }
      const other = names[(index + 1) % names.length] ?? name
      const from = bytesOf(image, other)
      if (other === name || from.length < end || end - at < size) continue
      const mixed = bytes.slice()
      mixed.set(from.subarray(at, end), at)
      if (!same(mixed, bytes)) yield damageOf(image, name, mixed, `${name}: ${size} bytes at ${at} taken from ${other}`, at, end)
    }
  }
}

/** Whole files: gone, empty, swapped with another one, replaced by a copy of another one, and copied to a name that was free. */
export function* wholeFiles(image: DiskImage): Generator<Damage> {
  for (const [name, bytes] of image) {
    const gone = new Map(image)
    gone.delete(name)
    yield { what: `${name}: deleted`, files: [name], from: 0, to: bytes.length, image: gone }
    if (bytes.length > 0) yield damageOf(image, name, new Uint8Array(0), `${name}: emptied`, 0, bytes.length)
    for (const [other, theirs] of image) {
      if (other === name || same(bytes, theirs)) continue
      yield damageOf(image, name, theirs, `${name}: replaced by a copy of ${other}`, 0, bytes.length)
      if (other < name) continue
      const swapped = new Map(image).set(name, theirs).set(other, bytes)
      yield { what: `${name} and ${other}: swapped`, files: [name, other], from: 0, to: Math.max(bytes.length, theirs.length), image: swapped }
    }
    const number = /^(.*?)(\d{6})(.*)$/.exec(name)
    if (number === null) continue
    for (const step of [-1, 1, 40]) {
      const copy = `${number[1] ?? ''}${String(Math.max(1, Number(number[2]) + step)).padStart(6, '0')}${number[3] ?? ''}`
      if (image.has(copy)) continue
      yield { what: `${name}: copied to ${copy}`, files: [copy], from: 0, to: bytes.length, image: new Map(image).set(copy, bytes) }
    }
  }
}

function damageOf(image: DiskImage, name: string, bytes: Uint8Array, what: string, from: number, to: number): Damage {
  return { what, files: [name], from, to, image: new Map(image).set(name, bytes) }
}

function bytesOf(image: DiskImage, name: string): Uint8Array {
  return image.get(name) ?? new Uint8Array(0)
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
