/**
 * The planted bugs do not rot: each still applies, says what it is, and names tests that exist; together they break every law, crash rule
 * and each of Badger's failures that a change of ours could bring back. Whether they are caught, `pnpm planted-bugs` says.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBug } from '../planted-bugs/read-bug.mjs'

const root = join(import.meta.dirname, '..', '..')
const directory = join(root, 'tooling/planted-bugs')
const names = readdirSync(directory).filter((name) => name.endsWith('.patch'))
const bugs = names.map((name) => ({ name, ...readBug(readFileSync(join(directory, name), 'utf8')) }))

describe.each(bugs)('$name', ({ name, bug, breaks, checks }) => {
  test('applies', () => {
    expect(() => execFileSync('git', ['apply', '--check', join(directory, name)], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })).not.toThrow()
  })

  test('says what it is, and which tests must catch it', () => {
    expect(bug).toBeTruthy()
    expect(breaks).toBeTruthy()
    expect(checks.length).toBeGreaterThan(0)
    for (const { dir, file, pattern } of checks) {
      expect(existsSync(join(root, dir, file)), `${dir}/${file}`).toBe(true)
      if (pattern !== undefined) expect(readFileSync(join(root, dir, file), 'utf8')).toContain(pattern)
    }
  })
})

const broken = new Set(bugs.flatMap(({ breaks }) => breaks.split(', ')))

test.each(Array.from({ length: 11 }, (_, i) => `law ${i + 1}`))('%s has a planted bug', (law) => {
  expect(broken).toContain(law)
})

test.each(Array.from({ length: 10 }, (_, i) => `R${i + 1}`))('%s has a planted bug', (failure) => {
  expect(broken).toContain(failure)
})
