/**
 * Reads the packages and apps of the repository from disk for `check-layers.ts`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest, WorkspacePackage } from './check-layers.js'

/** All packages under `packages/` and `apps/`, and the examples, which are one. */
export function readWorkspace(root: string): WorkspacePackage[] {
  const found: WorkspacePackage[] = []
  for (const parent of ['packages', 'apps']) {
    for (const name of existsSync(join(root, parent)) ? readdirSync(join(root, parent)).sort() : []) {
      const dir = join(root, parent, name)
      if (existsSync(join(dir, 'package.json'))) found.push(readPackage(root, `${parent}/${name}`))
    }
  }
  if (existsSync(join(root, 'examples/package.json'))) found.push(readPackage(root, 'examples', ['keyv', 'level-blobs', 'lmdb-blobs']))
  return found
}

function readPackage(root: string, dir: string, folders: readonly string[] = ['src', 'kernel']): WorkspacePackage {
  const at = join(root, dir)
  const manifest = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as Manifest
  const sources = new Map<string, string>()
  for (const folder of folders) readSources(at, folder, sources)
  return { dir, manifest, references: readReferences(at), sources, files: readdirSync(at) }
}

function readSources(at: string, path: string, into: Map<string, string>): void {
  if (!existsSync(join(at, path))) return
  for (const entry of readdirSync(join(at, path), { withFileTypes: true })) {
    if (entry.isDirectory()) readSources(at, `${path}/${entry.name}`, into)
    else if (/\.[cm]?tsx?$/.test(entry.name)) into.set(`${path}/${entry.name}`, readFileSync(join(at, path, entry.name), 'utf8'))
  }
}

/** Names of the packages that a tsconfig.json refers to. */
function readReferences(at: string): string[] {
  const path = join(at, 'tsconfig.json')
  if (!existsSync(path)) return []
  const { references = [] } = JSON.parse(readFileSync(path, 'utf8')) as { references?: { path: string }[] }
  return references.map((reference) => (JSON.parse(readFileSync(join(at, reference.path, 'package.json'), 'utf8')) as Manifest).name)
}

/** The text of all pending changesets. */
export function readChangesets(root: string): string {
  const dir = join(root, '.changeset')
  if (!existsSync(dir)) return ''
  return readdirSync(dir)
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('\n')
}
