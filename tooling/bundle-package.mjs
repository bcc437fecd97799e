/**
 * The last step of a package's build, run in its folder: the JavaScript of `dist`, a file for each entry point that `exports`
 * names and one for what several of them share. `tsc` writes the declarations beside them.
 *
 * A module costs a good part of a millisecond to load, and one database loads some 150 of them, a worker thread of it as
 * many again; in this form it is one or two a package. Other packages stay outside: each has a version of its own.
 */
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'rolldown'

const OUT = 'dist'

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const entries = Object.values(exports).flatMap((target) => (typeof target === 'object' ? [basename(target.default, '.js')] : []))

for (const name of readdirSync(OUT)) if (/\.js(?:\.map)?$/.test(name)) rmSync(join(OUT, name))

await build({
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  external: /^[^./]/,
  platform: 'node',
  tsconfig: 'tsconfig.json',
  transform: { target: 'node20' },
  // The sources are part of the package: the maps need not repeat them.
  output: { dir: OUT, format: 'esm', sourcemap: true, sourcemapExcludeSources: true, chunkFileNames: 'shared-[hash].js' },
})
