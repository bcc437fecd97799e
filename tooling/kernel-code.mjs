/**
 * The kernel of `@wk/sstable`, compiled to WebAssembly in memory, and the text of the file that holds it. The same sources give
 * the same bytes on every platform: the compiler is pinned, and no path gets into the module.
 *
 * The module imports nothing: it reaches no more than its own memory, which it exports. Of the features of WebAssembly it uses those
 * that the compiler has on by default, which Node 20.19 has; what else it could `--enable` stays off.
 */
import { join } from 'node:path'
import { main } from 'assemblyscript/asc'

const ROOT = join(import.meta.dirname, '..')

/** The file that holds the compiled module, relative to the root of the repository. */
export const KERNEL_FILE = 'packages/sstable/src/table-kernel-code.ts'

const ARGUMENTS = [
  'index.ts',
  ...['--config', 'none'],
  ...['--baseDir', join(ROOT, 'packages/sstable/kernel')],
  ...['--outFile', 'kernel.wasm'],
  ...['--optimizeLevel', '3', '--shrinkLevel', '0'],
  // Allocates and never frees: a kernel keeps its own buffers.
  ...['--runtime', 'stub'],
  // An assertion that fails calls an import otherwise; so it traps.
  ...['--use', 'abort='],
  '--noColors',
]

/**
 * Compiles the kernel, or `sources` by their names in its place.
 *
 * @returns the module; throws if the compiler has anything to say, a warning included, and if the module imports something
 */
export async function compileKernel(sources) {
  let code
  const { error, stderr } = await main(ARGUMENTS, {
    writeFile: (_name, contents) => {
      code = contents
    },
    ...(sources === undefined ? {} : { readFile: (name) => sources[name] ?? null }),
  })
  const told = stderr.toString()
  if (error !== null || told !== '') throw new Error(`the kernel does not compile: ${told || error.message}`)
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(code)).map(({ module, name }) => `${module}.${name}`)
  if (imports.length > 0) throw new Error(`the kernel imports ${imports.join(', ')}: it must do without`)
  return code
}

/** @returns the text of `KERNEL_FILE` for a module */
export function kernelFile(code) {
  return `/**
 * The kernel of packages/sstable/kernel, compiled to WebAssembly, in base64. Made by \`npm run kernel\`; never edited by hand.
 */
// A mere string: declarations would repeat all of it as its type.
export const TABLE_KERNEL: string = '${Buffer.from(code).toString('base64')}'
`
}
