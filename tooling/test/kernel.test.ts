/**
 * The committed kernel of `@wk/sstable` is what its sources compile to, and asks its host for nothing.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { TABLE_KERNEL } from '../../packages/sstable/src/table-kernel-code.js'
import { compileKernel, kernelFile, kernelFiles } from '../kernel-code.mjs'

/** The types of Node 20 know the global only by name. */
interface WebAssemblyGlobal {
  Module: { new (code: Uint8Array): object; imports(module: object): object[]; exports(module: object): { name: string; kind: string }[] }
  Instance: new (module: object) => { exports: unknown }
  RuntimeError: new () => Error
}

const { Module, Instance, RuntimeError } = (globalThis as unknown as { WebAssembly: WebAssemblyGlobal }).WebAssembly
const ROOT = join(import.meta.dirname, '..', '..')

describe('the committed kernel', () => {
  it('is what its sources compile to', async () => {
    for (const [file, text] of Object.entries(await kernelFiles(await compileKernel()))) {
      const isCurrent = readFileSync(join(ROOT, file), 'utf8') === text
      // Compared here: of two long lines that differ nobody needs to read the difference.
      expect(isCurrent, `${file} is not what packages/sstable/kernel compiles to: npm run kernel`).toBe(true)
    }
  })

  it('imports nothing; exports its memory and functions', () => {
    const module = new Module(Buffer.from(TABLE_KERNEL, 'base64'))
    expect(Module.imports(module)).toEqual([])
    const exported = Module.exports(module)
    expect(exported).toContainEqual({ name: 'memory', kind: 'memory' })
    expect(exported.map(({ kind }) => kind)).toContain('function')
  })
})

describe('the compiler', () => {
  const TWICE = 'export function twice(n: i32): i32 { return 2 * n }\n'

  it('makes the same of the same, and something else of something else', async () => {
    const made = kernelFile(await compileKernel({ 'index.ts': TWICE }))
    expect(kernelFile(await compileKernel({ 'index.ts': TWICE }))).toBe(made)
    expect(kernelFile(await compileKernel({ 'index.ts': TWICE.replace('2 *', '3 *') }))).not.toBe(made)
  })

  it('lets a failed assertion trap', async () => {
    const code = await compileKernel({ 'index.ts': 'export function f(n: i32): i32 { assert(n > 0, "n"); return n }\n' })
    const { f } = new Instance(new Module(code)).exports as { f: (n: number) => number }
    expect(f(1)).toBe(1)
    expect(() => f(0)).toThrow(RuntimeError)
  })

  it.each([
    ['an import', 'declare function now(): f64\nexport function f(): f64 { return now() }\n', 'imports index.now'],
    ['randomness', 'export function f(): f64 { return Math.random() }\n', 'imports env.seed'],
    ['an error', 'export function f(): i32 { return n }\n', "Cannot find name 'n'"],
    ['a warning', 'export type T = i32\nexport class C {}\n', 'WARNING'],
    ['another file that is missing', "import { x } from './x'\nexport function f(): i32 { return x }\n", "File 'x.ts' not found"],
  ])('refuses %s', async (_what, source, told) => {
    await expect(compileKernel({ 'index.ts': source })).rejects.toThrow(told)
  })
})
