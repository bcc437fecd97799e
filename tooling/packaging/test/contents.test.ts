/**
 * Each tarball holds the built files, their sources, README, LICENSE and manifest, and nothing else; the manifest names
 * no workspace.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
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

/** What has to be in the tarball of the package in `dir`. */
function expectedFiles(dir: string): string[] {
  const files = ['LICENSE', 'README.md', 'package.json', ...(existsSync(join(dir, 'CHANGELOG.md')) ? ['CHANGELOG.md'] : [])]
  for (const path of readdirSync(join(dir, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue
    const built = path.slice(0, -'.ts'.length)
    files.push(`src/${path}`, ...['.js', '.js.map', '.d.ts', '.d.ts.map'].map((end) => `dist/${built}${end}`))
  }
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
    expect(listed.map((path) => path.replace(/^package\//, '')).sort()).toEqual(expectedFiles(dir))
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
