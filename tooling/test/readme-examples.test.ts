/**
 * Runs the example of every README as it stands there, the first ```ts block of each, and every block of the documents that are about
 * code; each in an empty directory.
 *
 * It must not throw, and each `console.log(...) // text` at the start of a line must print that text, in that order.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'
import { exampleOf, examplesOf, missingLine } from '../readme-example.js'

const root = join(import.meta.dirname, '..', '..')
const readmes = ['README.md', ...readdirSync(join(root, 'packages')).filter((name) => name !== 'testkit').map((name) => `packages/${name}/README.md`)]

const documents = ['docs/custom-engine.md']
const examples = [
  ...readmes.map((file) => ({ name: file, code: exampleOf(join(root, file)) })),
  ...documents.flatMap((file) => examplesOf(join(root, file)).map((code, i) => ({ name: `${file}, block ${i + 1}`, code }))),
]

const cwd = process.cwd()
let directory: string | undefined
let script: string | undefined

afterEach(() => {
  process.chdir(cwd)
  vi.restoreAllMocks()
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  if (script !== undefined) rmSync(script, { force: true })
})

test.each(examples)('the example of $name runs and prints what it says', async ({ name, code }) => {
  script = join(import.meta.dirname, `.example-${name.replaceAll(/\W/g, '-')}.ts`)
  writeFileSync(script, code)
  directory = mkdtempSync(join(tmpdir(), 'wk-example-'))
  process.chdir(directory)
  const printed: string[] = []
  vi.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => {
    printed.push(parts.map((part) => (typeof part === 'string' ? part : inspect(part, { breakLength: Number.POSITIVE_INFINITY }))).join(' '))
  })
  await import(script)
  expect(missingLine(code, printed), `was not printed, but ${JSON.stringify(printed)}`).toBeUndefined()
})
