import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import { Random } from '../src/input/random.js'

const made: string[] = []

afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true })
})

/** A directory that is removed after the tests of the file. */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'wk-bench-test-'))
  made.push(dir)
  return dir
}

/** Fills a directory with files of 0 bytes to a megabyte in nested folders, and a link that must not be followed. */
export function writeInput(root: string, count: number): void {
  const random = new Random(7)
  for (let i = 0; i < count; i++) {
    const path = join(root, `folder-${i % 5}`, i % 2 === 0 ? `file-${i}.txt` : `deep/er/file ${i}.bin`)
    mkdirSync(dirname(path), { recursive: true })
    const size = i === 3 ? 0 : i === 4 ? 1_000_000 : random.below(20_000)
    writeFileSync(path, Uint8Array.from({ length: size }, () => random.below(256)))
  }
  symlinkSync(join(root, 'folder-0'), join(root, 'link'))
}
