/**
 * `npm run kernel`: compiles packages/sstable/kernel and writes the files of `@wk/sstable` that hold the module. They are committed, so
 * that builds need no compiler; `tooling/test/kernel.test.ts` tells whether they are current.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileKernel, kernelFiles } from './kernel-code.mjs'

const code = await compileKernel().catch((error) => {
  // What the compiler says is about the kernel; where this script stands is of no interest.
  console.error(error.message)
  process.exit(1)
})
for (const [file, text] of Object.entries(await kernelFiles(code))) {
  writeFileSync(join(import.meta.dirname, '..', file), text)
  console.log(`${file}: ${text.length} bytes`)
}
