/**
 * The packed packages in a plain npm project: README examples run with Node alone and type-check, `require()` works, and
 * everything that a manifest exports is there.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { transformSync } from 'esbuild'
import { describe, expect, inject, it } from 'vitest'
import { exampleOf, missingLine } from '../../readme-example.js'
import { CLEAN_ENV, ROOT } from '../published.js'

const run = promisify(execFile)
const consumer = inject('consumer')
const published = inject('published')

/** A new empty directory inside of the project, so that its packages are found. */
const directory = (): string => mkdtempSync(join(consumer, 'run-'))

describe.each([{ name: 'the root', dir: ROOT }, ...published])('README of $name', ({ dir }) => {
  it('has an example that runs and prints what it says', async () => {
    const code = exampleOf(join(dir, 'README.md'))
    const cwd = directory()
    writeFileSync(join(cwd, 'example.mjs'), transformSync(code, { loader: 'ts', format: 'esm', target: 'es2022' }).code)
    const { stdout } = await run(process.execPath, ['example.mjs'], { cwd, env: CLEAN_ENV })
    expect(missingLine(code, stdout.split('\n')), stdout).toBeUndefined()
  })
})

it('README examples type-check against the published types', async () => {
  const cwd = directory()
  for (const [i, dir] of [ROOT, ...published.map((one) => one.dir)].entries()) writeFileSync(join(cwd, `example-${i}.mts`), exampleOf(join(dir, 'README.md')))
  const compilerOptions = { target: 'ES2022', lib: ['ES2023', 'ESNext.Disposable'], module: 'NodeNext', strict: true, noEmit: true, types: ['node'], typeRoots: [join(ROOT, 'node_modules', '@types')] }
  writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }))
  const told = await run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', '.'], { cwd, env: CLEAN_ENV }).then(() => '', ({ stdout }: { stdout: string }) => stdout)
  expect(told).toBe('')
})

describe.each(published)('$name', ({ name }) => {
  const manifest = JSON.parse(readFileSync(join(consumer, 'node_modules', name, 'package.json'), 'utf8')) as { exports: Record<string, unknown> }
  // `testing` and `conformance` too: they ask for no test runner until they are called.
  const entries = Object.keys(manifest.exports).map((path) => (path === '.' ? name : `${name}/${path.slice(2)}`))

  it('can be required, with the same names as imported', async () => {
    const cwd = directory()
    const code = `
      const names = (module) => Object.keys(module).filter((name) => name !== '__esModule' && name !== 'module.exports').sort().join()
      ;(async () => {
        for (const entry of ${JSON.stringify(entries.filter((entry) => !entry.endsWith('package.json')))}) {
          const required = require(entry)
          if (names(required) !== names(await import(entry))) throw new Error(entry)
        }
        console.log(require(${JSON.stringify(`${name}/package.json`)}).name)
      })()`
    writeFileSync(join(cwd, 'app.cjs'), code)
    const { stdout, stderr } = await run(process.execPath, ['--no-warnings=ExperimentalWarning', 'app.cjs'], { cwd, env: CLEAN_ENV })
    expect({ stdout, stderr }).toEqual({ stdout: `${name}\n`, stderr: '' })
  })
})

it('an installation with everything optional has no package but these', () => {
  const lock = JSON.parse(readFileSync(join(consumer, 'package-lock.json'), 'utf8')) as { packages: Record<string, { optional?: boolean }> }
  const required = Object.entries(lock.packages).filter(([path, { optional }]) => path !== '' && optional !== true).map(([path]) => path.replace(/^.*node_modules\//, ''))
  // What abstract-level brings, and crc-32.
  expect(required.filter((one) => !one.startsWith('@wk/')).sort()).toEqual(['abstract-level', 'base64-js', 'buffer', 'crc-32', 'ieee754', 'is-buffer', 'level-supports', 'level-transcoder', 'maybe-combine-errors', 'module-error'].sort())
})
