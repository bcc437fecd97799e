/**
 * The last step of the build: the child processes and the worker threads of the checks, each in one file of `dist/bundled`, with
 * the packages in it: a process of a single file starts soonest, and kills are counted by the thousand.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

const DIST = dirname(fileURLToPath(import.meta.url))
const OUT = join(DIST, 'bundled')

/** What is looked for beside a module (native packages, the file of a worker) is found from where the module lies, not from the bundle. */
const keepAddresses: Plugin = {
  name: 'keep-addresses',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      const address = `new URL(${JSON.stringify(relative(OUT, path))}, import.meta.url).href`
      return { contents: (await readFile(path, 'utf8')).replaceAll('import.meta.url', address), loader: 'js' }
    })
  },
}

await build({
  entryPoints: {
    'kill-child': join(DIST, 'kill/kill-child.js'),
    'limit-child': join(DIST, 'limits/limit-child.js'),
    'lock-child': join(DIST, 'lock-child.js'),
    worker: createRequire(import.meta.url).resolve('@wk/db/worker'),
  },
  outdir: OUT,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  plugins: [keepAddresses],
  logLevel: 'warning',
})
