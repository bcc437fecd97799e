/**
 * The packages that are published, and how to pack them as `changeset publish` does.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const ROOT = join(import.meta.dirname, '..', '..')

const PNPM = join(ROOT, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs')

/** The environment of somebody who has nothing to do with this workspace: its package manager's settings are left out. */
export const CLEAN_ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_PATH' && !/^(npm|pnpm)_config_(?!registry)/i.test(name)))

export interface Published {
  name: string
  dir: string
  tarball: string
}

interface Manifest {
  name: string
  private?: boolean
}

/** Directories of the packages that are not private, the leaves first. */
export function publishedDirectories(): string[] {
  const dirs = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name))
  return dirs.filter((dir) => existsSync(join(dir, 'package.json')) && manifestOf(dir).private !== true)
}

export function manifestOf(dir: string): Manifest {
  return JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as Manifest
}

/** Packs all of them into `into`, two at a time: `workspace:` and `catalog:` become versions. */
export async function packAll(into: string): Promise<Published[]> {
  const todo = publishedDirectories()
  const packed: Published[] = []
  const work = async (): Promise<void> => {
    for (let dir = todo.shift(); dir !== undefined; dir = todo.shift()) {
      const { stdout } = await run(process.execPath, [PNPM, 'pack', '--json', '--pack-destination', into], { cwd: dir })
      const { filename } = JSON.parse(stdout) as { filename: string }
      packed.push({ name: manifestOf(dir).name, dir, tarball: filename })
    }
  }
  await Promise.all([work(), work()])
  return packed.sort((a, b) => a.name.localeCompare(b.name))
}
