/**
 * The rules of the repository that no compiler knows, as functions over file texts: which package may import which,
 * who may touch the disk, the clock, timers and randomness, how long a file may be, what must be documented. They read
 * nothing themselves, so that the test can plant a violation of each and see it found; `read-workspace.ts` reads.
 */
import { posix } from 'node:path'
import { blank, exportsOf, importsOf, isDocumented, lineOf } from './source-text.js'

/** A package of the workspace as the rules see it. */
export interface WorkspacePackage {
  /** Directory relative to the root, with forward slashes: `packages/codec`. */
  readonly dir: string
  readonly manifest: Manifest
  /** Names of the packages that the TypeScript project refers to. */
  readonly references: readonly string[]
  /** Sources by path relative to the package: `src/index.ts`, and `kernel/merge.ts` of a kernel, which is AssemblyScript. */
  readonly sources: ReadonlyMap<string, string>
  /** Other files of the package's top directory. */
  readonly files: readonly string[]
}

/** The part of a package.json that the rules read. */
export interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly license?: string
  readonly exports?: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

/** Something that breaks a rule. */
export interface Violation {
  readonly rule: 'arrow' | 'import' | 'dependency' | 'disk' | 'ambient' | 'length' | 'any' | 'head' | 'export' | 'documentation' | 'packaging'
  readonly file: string
  readonly line: number
  readonly message: string
}

/** The arrows of docs/design.md: what the sources of a package may import of this repository. Strictly downward. */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  '@wk/codec': [],
  '@wk/fs': ['@wk/codec'],
  '@wk/memtable': ['@wk/codec'],
  '@wk/sstable': ['@wk/codec', '@wk/fs'],
  '@wk/vlog': ['@wk/codec', '@wk/fs'],
  '@wk/lsm': ['@wk/codec', '@wk/fs', '@wk/memtable', '@wk/sstable'],
  '@wk/gc': ['@wk/codec', '@wk/fs', '@wk/vlog'],
  '@wk/db': ['@wk/codec', '@wk/fs', '@wk/vlog', '@wk/lsm', '@wk/gc'],
  '@wk/level': ['@wk/db', '@wk/codec'],
  '@wk/testkit': ['@wk/codec', '@wk/fs'],
}

/** Longest source file, in lines. */
export const MAX_LINES = 500

/** The one file that may touch clock, timers and randomness. */
const RUNTIME = 'packages/fs/src/runtime.ts'

/** Takes the process clock for the name of a temporary file, where no Runtime is at hand; nothing waits for or compares it. */
const NODE = 'packages/fs/src/node.ts'

/** Where a package has the sources of a WebAssembly module; `kernel-code.mjs` compiles them. */
const KERNEL = 'kernel/'

const AMBIENT = /\b(?:Date\s*\.\s*now|Math\s*\.\s*random|performance\s*\.\s*now|process\s*\.\s*hrtime|setTimeout|setInterval|setImmediate)\b|\bnew\s+Date\s*\(\s*\)/g
const DISK = /^(?:node:)?fs(?:\/promises)?$/

/** Checks one source file of a package under `packages/`. */
export function checkSource(owner: WorkspacePackage, path: string, text: string, all: readonly WorkspacePackage[]): Violation[] {
  const file = `${owner.dir}/${path}`
  const found: Violation[] = []
  const add = (rule: Violation['rule'], at: number, message: string): void => {
    found.push({ rule, file, line: lineOf(text, at), message })
  }
  for (const { module, at } of importsOf(text)) checkImport(owner, path, module, all, (rule, message) => add(rule, at, message))
  const code = blank(text, true)
  if (file !== RUNTIME) {
    for (const match of code.matchAll(AMBIENT)) if (file !== NODE || !match[0].includes('hrtime')) add('ambient', match.index, `${match[0]} outside ${RUNTIME}: take it from the Runtime`)
  }
  for (const match of code.matchAll(/(?:[:<,|&=(]|\b(?:as|keyof|extends|is))\s*any\b(?!\s*[:(.])/g)) add('any', match.index, 'the type any')
  for (const { name, at } of exportsOf(text)) if (name === '*') add('export', at, 'export * hides what is public: name it')
  if (!/^(?:#!.*\n)?\/\*\*/.test(text)) add('head', 0, 'no comment at the head of the file')
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines > MAX_LINES) found.push({ rule: 'length', file, line: MAX_LINES, message: `${lines} lines, at most ${MAX_LINES} are allowed` })
  return found
}

function checkImport(owner: WorkspacePackage, path: string, module: string, all: readonly WorkspacePackage[], add: (rule: Violation['rule'], message: string) => void): void {
  if (path.startsWith(KERNEL)) {
    if (!module.startsWith('.') || !posix.join(posix.dirname(path), module).startsWith(KERNEL)) add('import', `${module} is no part of the kernel`)
    return
  }
  if (DISK.test(module)) {
    if (owner.manifest.name !== '@wk/fs') add('disk', `${module} is for @wk/fs only`)
    return
  }
  if (module.startsWith('node:')) return
  if (module.startsWith('.')) {
    if (!module.endsWith('.js')) add('import', `${module} does not end in .js`)
    const target = posix.join(posix.dirname(path), module)
    if (!target.startsWith('src/')) add('import', `${module} leaves src/`)
    return
  }
  const name = module.split('/').slice(0, module.startsWith('@') ? 2 : 1).join('/')
  const declared = { ...owner.manifest.dependencies, ...owner.manifest.optionalDependencies, ...owner.manifest.peerDependencies }
  if (name !== owner.manifest.name && declared[name] === undefined) add('dependency', `${name} is no dependency of ${owner.manifest.name}`)
  if (!name.startsWith('@wk/')) return
  const allowed = ARROWS[owner.manifest.name]
  if (owner.dir.startsWith('packages/') && allowed?.includes(name) !== true) add('arrow', `${owner.manifest.name} must not know ${name}`)
  const target = all.find((one) => one.manifest.name === name)
  const subpath = `.${module.slice(name.length)}`
  if (target === undefined) add('import', `there is no package ${name}`)
  else if (target.manifest.exports?.[subpath] === undefined) add('import', `${name} does not export ${subpath}`)
}

/** Checks what concerns a package as a whole: dependencies against imports, packaging, documentation of what it exports. */
export function checkPackage(owner: WorkspacePackage, changesets: string): Violation[] {
  const { manifest } = owner
  const found: Violation[] = []
  const add = (rule: Violation['rule'], file: string, message: string): void => {
    found.push({ rule, file: `${owner.dir}/${file}`, line: 1, message })
  }
  const imported = new Set([...owner.sources.values()].flatMap((text) => importsOf(text).map(({ module }) => module.split('/').slice(0, module.startsWith('@') ? 2 : 1).join('/'))))
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    if (!imported.has(name)) add('dependency', 'package.json', `${name} is a dependency that no source imports`)
    if (name.startsWith('@wk/') && !owner.references.includes(name)) add('dependency', 'tsconfig.json', `${name} is a dependency without a project reference`)
  }
  for (const name of owner.references) if (manifest.dependencies?.[name] === undefined) add('dependency', 'tsconfig.json', `${name} is referred to but is no dependency`)
  if (manifest.dependencies?.['@wk/testkit'] !== undefined) add('arrow', 'package.json', '@wk/testkit is for devDependencies only')
  if (ARROWS[manifest.name] === undefined) add('arrow', 'package.json', `no arrows are drawn for ${manifest.name}`)
  if (manifest.license !== 'Apache-2.0') add('packaging', 'package.json', 'the license field is not Apache-2.0')
  if (!owner.files.includes('README.md')) add('packaging', 'README.md', 'there is no README.md')
  if (manifest.private !== true) {
    if (!owner.files.includes('LICENSE')) add('packaging', 'LICENSE', 'there is no LICENSE')
    if (!owner.files.includes('CHANGELOG.md') && !changesets.includes(`'${manifest.name}'`) && !changesets.includes(`"${manifest.name}"`)) {
      add('packaging', 'package.json', 'there is neither a CHANGELOG.md nor a changeset')
    }
  }
  return [...found, ...checkDocumentation(owner)]
}

/** Every name that an entry point exports is declared with a doc comment, and re-exported by name. */
export function checkDocumentation(owner: WorkspacePackage): Violation[] {
  const found: Violation[] = []
  const index = owner.sources.get('src/index.ts')
  if (index === undefined) return [{ rule: 'export', file: `${owner.dir}/src/index.ts`, line: 1, message: 'there is no src/index.ts' }]
  for (const { name, from, at } of exportsOf(index)) {
    if (name === '*' || (from !== undefined && !from.startsWith('.'))) continue
    const path = from === undefined ? 'src/index.ts' : posix.join('src', from.replace(/\.js$/, '.ts'))
    const documented = findDocumentation(owner, path, name)
    if (documented === true) continue
    found.push({ rule: 'documentation', file: `${owner.dir}/${path}`, line: lineOf(index, at), message: documented === undefined ? `${name} is exported but not declared` : `${name} is exported without a doc comment` })
  }
  return found
}

/** Follows re-exports to the declaration. */
function findDocumentation(owner: WorkspacePackage, path: string, name: string, depth = 0): boolean | undefined {
  const text = owner.sources.get(path)
  if (text === undefined || depth > 4) return undefined
  const here = isDocumented(text, name)
  if (here !== undefined) return here
  for (const { name: other, from } of exportsOf(text)) {
    if (other !== name || from === undefined) continue
    return from.startsWith('.') ? findDocumentation(owner, posix.join(posix.dirname(path), from.replace(/\.js$/, '.ts')), name, depth + 1) : true
  }
  return undefined
}

/** All violations of a workspace. Packages under `apps/` are held to imports, dependencies and length only. */
export function checkWorkspace(packages: readonly WorkspacePackage[], changesets: string): Violation[] {
  const found: Violation[] = []
  for (const owner of packages) {
    const isLibrary = owner.dir.startsWith('packages/')
    for (const [path, text] of owner.sources) {
      const here = checkSource(owner, path, text, packages)
      found.push(...(isLibrary ? here : here.filter(({ rule }) => rule === 'import' || rule === 'dependency' || rule === 'length' || rule === 'any')))
    }
    if (isLibrary) found.push(...checkPackage(owner, changesets))
  }
  return found
}
