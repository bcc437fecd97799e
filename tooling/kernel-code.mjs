/**
 * The kernel of `@wk/sstable`, compiled in memory to WebAssembly, and that to a script for where there is none, and the texts of the files that hold
 * them. The same sources give the same bytes on every platform: the compilers are pinned, and no path gets into the module.
 *
 * The module imports nothing: it reaches no more than its own memory, which it exports. Of the features of WebAssembly it uses those
 * that the compiler has on by default, which Node 20.19 has; what else it could `--enable` stays off.
 */
import { join } from 'node:path'
import { main } from 'assemblyscript/asc'
import binaryen from 'assemblyscript/binaryen'
import { transform } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

/** The file that holds the compiled module, relative to the root of the repository. */
export const KERNEL_FILE = 'packages/sstable/src/table-kernel-code.ts'
/** The file that holds it as a script. */
export const SCRIPT_FILE = 'packages/sstable/src/table-kernel-script.ts'

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

/**
 * Translates a compiled kernel to JavaScript.
 *
 * @returns the text of a script whose value is a function that makes an instance: the exports of the module
 */
export async function scriptOf(code) {
  const module = binaryen.readBinary(code)
  module.setFeatures(binaryen.Features.All)
  binaryen.setOptimizeLevel(1)
  binaryen.setShrinkLevel(0)
  const emitted = module.emitAsmjs()
  module.dispose()
  const end = emitted.indexOf('var retasmFunc')
  if (end < 0) throw new Error('the script of the kernel is not what it used to be')
  // A function that nobody calls by name inside; an expression, so that nothing becomes global.
  const { code: minified } = await transform(`globalThis.made = () => { ${emitted.slice(0, end)}; return asmFunc({}) }`, { minify: true, target: 'node20' })
  return minified.trim().replace(/^globalThis\.made=/, '').replace(/;$/, '')
}

/** @returns the texts of `KERNEL_FILE` and `SCRIPT_FILE` for a module */
export async function kernelFiles(code) {
  return { [KERNEL_FILE]: kernelFile(code), [SCRIPT_FILE]: scriptFile(await scriptOf(code)) }
}

/** @returns the text of `SCRIPT_FILE` */
function scriptFile(script) {
  return `/**
 * The kernel of packages/sstable/kernel as a script, for where there is no WebAssembly. Made by \`npm run kernel\`; never edited by hand.
 */
// A mere string: declarations would repeat all of it as its type.
export const TABLE_KERNEL_SCRIPT: string = ${JSON.stringify(script)}
`
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
