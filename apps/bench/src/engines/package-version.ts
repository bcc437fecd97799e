/** The version of an installed package, for the report. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Reads it from the nearest `package.json` at or above a file of the package. */
export function packageVersion(name: string, file: string): string {
  for (let dir = dirname(file); dir !== dirname(dir); dir = dirname(dir)) {
    const path = join(dir, 'package.json')
    if (!existsSync(path)) continue
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as { name?: string; version?: string }
    if (manifest.name === name) return manifest.version ?? 'unknown'
  }
  return 'unknown'
}
