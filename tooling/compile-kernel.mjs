/**
 * `npm run kernel`: compiles packages/sstable/kernel and writes the file of `@wk/sstable` that holds the module. It is committed, so
 * that builds need no compiler; `tooling/test/kernel.test.ts` tells whether it is current.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KERNEL_FILE, compileKernel, kernelFile } from './kernel-code.mjs'

const code = await compileKernel().catch((error) => {
  // What the compiler says is about the kernel; where this script stands is of no interest.
  console.error(error.message)
  process.exit(1)
})
writeFileSync(join(import.meta.dirname, '..', KERNEL_FILE), kernelFile(code))
console.log(`${KERNEL_FILE}: ${code.length} bytes of WebAssembly`)
