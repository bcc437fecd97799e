/**
 * Removes what `tsc -b` left in `dist` for sources that are gone: nothing of it may be tested or published.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const PARENTS = ['packages', 'apps']

export function removeStaleOutputs(root) {
  for (const parent of PARENTS) {
    for (const name of readdirSync(join(root, parent))) {
      const dir = join(root, parent, name)
      if (!existsSync(join(dir, 'dist'))) continue
      for (const path of readdirSync(join(dir, 'dist'), { recursive: true })) {
        const source = /^(.*?)\.(?:d\.ts|js)(?:\.map)?$/.exec(path)?.[1]
        if (source !== undefined && !existsSync(join(dir, 'src', `${source}.ts`))) rmSync(join(dir, 'dist', path))
      }
    }
  }
}
