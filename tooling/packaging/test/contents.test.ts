/**
 * Each tarball holds the built files, their sources, those of a kernel too, README, LICENSE and manifest, and nothing
 * else; the manifest names no workspace.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { publishedDirectories } from '../published.js'

interface PackedManifest {
  version: string
  exports: Record<string, string | Record<string, string>>
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

/** What `exports` names in the repository, by its path in the tarball. */
function entryPoints(dir: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as PackedManifest
  return Object.values(exports).flatMap((target) => (typeof target === 'object' && target.default !== undefined ? [target.default.slice('./'.length)] : []))
}

/** What has to be in the tarball of the package in `dir`; entry points that share code have that in one more file. */
function expectedFiles(dir: string): string[] {
  const files = ['LICENSE', 'README.md', 'package.json', ...(existsSync(join(dir, 'CHANGELOG.md')) ? ['CHANGELOG.md'] : [])]
  const entries = entryPoints(dir)
  files.push(...entries, ...(entries.length > 1 ? ['dist/shared.js'] : []))
  for (const path of readdirSync(join(dir, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue
    const built = path.slice(0, -'.ts'.length)
    files.push(`src/${path}`, `dist/${built}.d.ts`, `dist/${built}.d.ts.map`)
  }
  // Generated code comes with what it was generated from.
  if (existsSync(join(dir, 'kernel'))) files.push(...readdirSync(join(dir, 'kernel')).flatMap((name) => (name.endsWith('.ts') ? [`kernel/${name}`] : [])))
  return files.sort()
}

it('there are nine packages to publish', () => {
  expect(publishedDirectories().length).toBe(9)
  expect(inject('published').length).toBe(9)
})

describe.each(inject('published'))('$name', ({ name, dir, tarball }) => {
  const manifest = JSON.parse(execFileSync('tar', ['xzOf', tarball, 'package/package.json'], { encoding: 'utf8' })) as PackedManifest

  it('holds what it should and nothing else', () => {
    const listed = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n')
    const paths = listed.map((path) => path.replace(/^package\//, '').replace(/^dist\/shared-[\w-]+\.js/, 'dist/shared.js'))
    // A script has a map only if it has lines of its own.
    expect(paths.filter((path) => !path.endsWith('.js.map')).sort()).toEqual(expectedFiles(dir))
  })

  it('exports classes and functions under the names that they have', async () => {
    for (const entry of entryPoints(dir)) {
      const exported = (await import(join(dir, entry))) as Record<string, unknown>
      for (const [as, value] of Object.entries(exported)) if (typeof value === 'function') expect(value.name).toBe(as)
    }
  })

  it('has a manifest that works outside of the workspace', () => {
    expect(JSON.stringify(manifest)).not.toMatch(/workspace:|catalog:|wk-source/)
    for (const [path, target] of Object.entries(manifest.exports)) {
      if (path !== './package.json') expect(Object.keys(target), path).toEqual(['types', 'default'])
    }
    for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) expect(manifest.scripts).not.toHaveProperty(script)
  })

  it('needs few packages of others', () => {
    const foreign = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).filter((one) => !one.startsWith('@wk/'))
    expect(foreign).toEqual(name === '@wk/codec' ? ['crc-32'] : name === '@wk/level' ? ['abstract-level'] : [])
    for (const [one, range] of Object.entries({ ...manifest.dependencies, ...manifest.optionalDependencies })) expect(range, one).toMatch(/^\^\d/)
  })
})
