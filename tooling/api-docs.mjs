/**
 * `npm run api-docs`: writes docs/api from the doc comments of every published package. `--check` writes nothing and fails if
 * it would change something.
 *
 * typedoc needs a TypeScript of its own (6; the workspace builds with 7, which has no API for it), so the three tools are installed,
 * in exact versions, into a directory outside of the lockfile that is kept for the next time.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { prepare, run } from './steps.mjs'

const ROOT = join(import.meta.dirname, '..')
const OUT = join(ROOT, 'docs', 'api')
const TOOLS = join(tmpdir(), 'wk-api-docs')
const VERSIONS = ['typedoc@0.28.20', 'typedoc-plugin-markdown@4.14.1', 'typescript@6.0.3']

async function generate(out) {
  const require = createRequire(join(TOOLS, 'package.json'))
  const { Application } = await import(pathToFileURL(require.resolve('typedoc')).href)
  const packages = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name))
  const published = packages.filter((dir) => JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).private !== true)
  const common = { readme: 'none', disableSources: true, excludeInternal: true, excludeExternals: true, excludePrivate: true }
  const app = await Application.bootstrapWithPlugins({
    ...common,
    name: 'wk',
    plugin: [require.resolve('typedoc-plugin-markdown')],
    entryPoints: published,
    entryPointStrategy: 'packages',
    packageOptions: { ...common, entryPoints: ['src/index.ts'], tsconfig: 'tsconfig.json', skipErrorChecking: true, validation: false },
    validation: false,
    logLevel: 'Error',
    out,
    outputFileStrategy: 'modules',
    hideGenerator: true,
    hideBreadcrumbs: true,
    hidePageHeader: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    enumMembersFormat: 'table',
    useHTMLAnchors: true,
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('typedoc could not read the packages')
  await app.generateOutputs(project)
  if (app.logger.hasErrors()) throw new Error('typedoc had errors')
}

function filesIn(dir) {
  if (!existsSync(dir)) return new Map()
  const names = readdirSync(dir, { recursive: true }).filter((name) => name.endsWith('.md'))
  return new Map(names.sort().map((name) => [name, readFileSync(join(dir, name), 'utf8')]))
}

prepare()
mkdirSync(TOOLS, { recursive: true })
if (!existsSync(join(TOOLS, 'package.json'))) writeFileSync(join(TOOLS, 'package.json'), '{"private":true}')
run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', resolve(TOOLS), ...VERSIONS])

if (process.argv.includes('--check')) {
  const fresh = mkdtempSync(join(tmpdir(), 'wk-api-'))
  await generate(fresh)
  const [before, after] = [filesIn(OUT), filesIn(fresh)]
  rmSync(fresh, { recursive: true, force: true })
  const stale = [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name))
  for (const name of stale) console.error(`docs/api/${name} is not current: npm run api-docs`)
  process.exit(stale.length === 0 ? 0 : 1)
}
await generate(OUT)
