/**
 * New content for an overwritten value, of the same kind as the old: the bytes of the file, rotated, with a stamp at the end.
 *
 * So text stays text, code stays code, a compressed file stays incompressible, and sizes stay spread as they were, while no
 * version equals another. Depends on path and generation only, so that whoever compares can make it again.
 */
import { hashText } from './random.js'

/** The stamp that ends the content of one generation of one path. */
export function overwriteStamp(path: string, generation: number): string {
  const hash = hashText(path, generation)
  return `\n// generation ${generation} ${hash.toString(16).padStart(8, '0')} ${'='.repeat(hash % 32)}\n`
}

/** Length in bytes of a generation of a value whose file has `size` bytes. Generation 0 is the file itself. */
export function generationLength(path: string, size: number, generation: number): number {
  return generation === 0 ? size : size + overwriteStamp(path, generation).length
}

/** Where the file's first byte lands in a rotated value. */
export function rotation(path: string, size: number, generation: number): number {
  return generation === 0 || size === 0 ? 0 : hashText(path, generation + 1) % size
}
