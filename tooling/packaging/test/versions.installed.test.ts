/**
 * `changeset version`, in a copy of the manifests: every package has a version and a changelog of its own, and a later
 * change of one touches only it and those that would otherwise not accept it.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CLEAN_ENV, ROOT } from '../published.js'

const copy = mkdtempSync(join(tmpdir(), 'wk-versions-'))
const CHANGESET = join(ROOT, 'node_modules', '@changesets', 'cli', 'bin.js')
const git = (...args: string[]): void => void execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: copy, stdio: 'pipe' })

function version(): void {
  git('add', '-A')
  git('commit', '-qm', 'before')
  execFileSync(process.execPath, [CHANGESET, 'version'], { cwd: copy, env: CLEAN_ENV, stdio: 'pipe' })
}

function versions(): Record<string, string> {
  const manifests = readdirSync(join(copy, 'packages')).map((name) => JSON.parse(readFileSync(join(copy, 'packages', name, 'package.json'), 'utf8')) as { name: string; version: string })
  return Object.fromEntries(manifests.map((one) => [one.name, one.version]))
}

beforeAll(() => {
  const wanted = ['package.json', 'pnpm-workspace.yaml', '.changeset']
  for (const name of wanted) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  for (const parent of ['packages', 'apps', 'tooling', 'examples']) {
    for (const path of readdirSync(join(ROOT, parent)).map((name) => (name === 'package.json' ? `${parent}/${name}` : `${parent}/${name}/package.json`))) {
      if (existsSync(join(ROOT, path))) cpSync(join(ROOT, path), join(copy, path))
    }
  }
  git('init', '-q')
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

it('every package is released by itself', () => {
  const named = readdirSync(join(ROOT, '.changeset')).filter((name) => name.endsWith('.md')).flatMap((name) => [...readFileSync(join(ROOT, '.changeset', name), 'utf8').matchAll(/^'(@wk\/.*?)': /gm)].map((match) => match[1]))
  const before = versions()
  version()
  const after = versions()
  for (const name of new Set(named)) {
    expect(after[name as string], name).not.toBe(before[name as string])
    expect(readFileSync(join(copy, 'packages', (name as string).slice('@wk/'.length), 'CHANGELOG.md'), 'utf8')).toContain(`## ${after[name as string]}`)
  }
  expect(after['@wk/testkit']).toBe('0.0.0')
  expect(readdirSync(join(copy, '.changeset')).filter((name) => name.endsWith('.md'))).toEqual([])
})

it('a change of one package is a release of it and of those whose range it leaves', () => {
  const before = versions()
  writeFileSync(join(copy, '.changeset', 'one.md'), "---\n'@wk/sstable': patch\n---\n\nA fix.\n")
  version()
  const patched = versions()
  expect(patched).toEqual({ ...before, '@wk/sstable': expect.not.stringMatching(before['@wk/sstable'] as string) as string })
  writeFileSync(join(copy, '.changeset', 'two.md'), "---\n'@wk/gc': major\n---\n\nA break.\n")
  version()
  const broken = versions()
  const changed = Object.keys(broken).filter((name) => broken[name] !== patched[name])
  expect(broken['@wk/gc']).toMatch(/\.0\.0$/)
  expect(changed.sort()).toEqual(['@wk/db', '@wk/gc'])
})
