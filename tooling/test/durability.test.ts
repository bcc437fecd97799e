/**
 * `docs/durability.md` names files and laws; this checks that each file exists and that each law has a test with its number.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs/durability.md'), 'utf8')
const named = [...new Set([...page.matchAll(/`((?:packages|tooling)\/[^`]+\.ts)`/g)].map((match) => match[1] as string))]

test.each(named)('%s exists', (path) => {
  expect(existsSync(join(root, path))).toBe(true)
})

const tests = readdirSync(join(root, 'packages'))
  .flatMap((name) => {
    const directory = join(root, 'packages', name, 'test')
    return existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith('.test.ts')).map((file) => join(directory, file)) : []
  })
  .map((file) => readFileSync(file, 'utf8'))

describe('every law has a test that carries its number', () => {
  test.each(Array.from({ length: 11 }, (_, law) => law + 1))('law %i', (law) => {
    const carries = new RegExp(`\\blaw ${law}\\b`, 'i')
    expect(tests.some((source) => carries.test(source))).toBe(true)
  })
})
