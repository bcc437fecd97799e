/**
 * Runs the example of every README as it stands there: the first ```ts block of each, in an empty directory.
 *
 * It must not throw, and each `console.log(...) // text` at the start of a line must print that text, in that order.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const readmes = ['README.md', ...readdirSync(join(root, 'packages')).filter((name) => name !== 'testkit').map((name) => `packages/${name}/README.md`)]

const cwd = process.cwd()
let directory: string | undefined
let script: string | undefined

afterEach(() => {
  process.chdir(cwd)
  vi.restoreAllMocks()
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  if (script !== undefined) rmSync(script, { force: true })
})

test.each(readmes)('the example of %s runs and prints what it says', async (readme) => {
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, readme), 'utf8'))?.[1]
  expect(code, `${readme} has no example`).toBeDefined()
  script = join(import.meta.dirname, `.example-${readme.replaceAll(/\W/g, '-')}.ts`)
  writeFileSync(script, code as string)
  directory = mkdtempSync(join(tmpdir(), 'wk-example-'))
  process.chdir(directory)
  const printed: string[] = []
  vi.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => {
    printed.push(parts.map((part) => (typeof part === 'string' ? part : inspect(part, { breakLength: Number.POSITIVE_INFINITY }))).join(' '))
  })
  await import(script)
  // Calls in loops and blocks are indented or behind a `for`: how often they print is not ours to say.
  const expected = (code as string).split('\n').filter((line) => line.startsWith('console.log(')).map((line) => /\) \/\/ (.*)$/.exec(line)?.[1])
  let from = 0
  for (const line of expected) {
    if (line === undefined) continue
    const at = printed.indexOf(line, from)
    expect(at, `${JSON.stringify(line)} was not printed, but ${JSON.stringify(printed.slice(from))}`).toBeGreaterThanOrEqual(0)
    from = at + 1
  }
})
