/**
 * `docs/durability.md` names files, laws and rules; this checks that each file exists, that each law and rule has tests, that planted bugs which break a
 * law or rule are caught by a test of its row, and that each law has a bug which turns the test that carries its number red. That it
 * does, `pnpm planted-bugs` shows.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBug } from '../planted-bugs/read-bug.mjs'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs/durability.md'), 'utf8')
const named = [...new Set([...page.matchAll(/`((?:packages|tooling)\/[^`]+\.ts)`/g)].map((match) => match[1] as string))]

test.each(named)('%s exists', (path) => {
  expect(existsSync(join(root, path))).toBe(true)
})

/** The tests that a row of a table names, by what its first cell begins with. */
function testsOf(rule: string): string[] {
  const name = rule.replace(/^law /, '')
  const row = page.split('\n').find((line) => line.startsWith(`| ${name} `)) ?? ''
  return [...row.matchAll(/`([^`]+\.test\.ts)`/g)].map((match) => match[1] as string)
}

const laws = Array.from({ length: 11 }, (_, law) => `law ${law + 1}`)
const rules = Array.from({ length: 14 }, (_, rule) => `CR${rule + 1}`)
const directory = join(root, 'tooling/planted-bugs')
const bugs = readdirSync(directory)
  .filter((name) => name.endsWith('.patch'))
  .map((name) => ({ name, ...readBug(readFileSync(join(directory, name), 'utf8')) }))

describe.each([...laws, ...rules])('%s', (rule) => {
  test('has tests', () => {
    expect(testsOf(rule)).not.toEqual([])
  })

  test('planted bugs that break it are caught by a test of its row', () => {
    const row = testsOf(rule)
    const missing = bugs.filter(({ breaks, checks }) => breaks.split(', ').includes(rule) && !checks.some(({ dir, file }) => row.includes(`${dir}/${file}`)))
    expect(missing.map(({ name }) => name)).toEqual([])
  })
})

/** The planted bugs that the row of a law says turn the test with its number red. */
function provedBy(law: string): string[] {
  const row = page.split('\n').find((line) => line.startsWith(`| ${law.slice('law '.length)} `)) ?? ''
  return [...(row.split('|')[3] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)
}

describe.each(laws)('%s', (law) => {
  const named = provedBy(law)

  test('has a planted bug for the test that carries its number', () => {
    expect(named).not.toEqual([])
  })

  test.each(named)('%s breaks it, and names a test with its number that turns red', (name) => {
    const bug = bugs.find((one) => one.name === `${name}.patch`)
    expect(bug?.breaks.split(', ')).toContain(law)
    const numbered = bug?.checks.find(({ pattern }) => pattern?.startsWith(`${law}:`)) ?? { dir: '', file: '', pattern: '' }
    expect(testsOf(law)).toContain(`${numbered.dir}/${numbered.file}`)
    expect(readFileSync(join(root, numbered.dir, numbered.file), 'utf8')).toContain(numbered.pattern)
  })
})
