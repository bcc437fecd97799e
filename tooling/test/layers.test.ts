import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ARROWS, checkPackage, checkSource, checkWorkspace, type Violation, type WorkspacePackage } from '../check-layers.js'
import { readChangesets, readWorkspace } from '../read-workspace.js'
import { blank, exportsOf, importsOf } from '../source-text.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe('this repository', () => {
  const packages = readWorkspace(ROOT)
  const violations = checkWorkspace(packages, readChangesets(ROOT))
  const of = (...rules: Violation['rule'][]): string[] => violations.filter(({ rule }) => rules.includes(rule)).map(({ file, line, message }) => `${file}:${line}: ${message}`)

  it('is read', () => {
    expect(packages.map(({ manifest }) => manifest.name)).toEqual(expect.arrayContaining(['@wk/codec', '@wk/fs', '@wk/db']))
    for (const one of packages) expect(one.sources.size, one.dir).toBeGreaterThan(0)
  })
  it('imports point downwards, through package exports only', () => expect(of('arrow', 'import')).toEqual([]))
  it('dependencies are what is imported, and are project references', () => expect(of('dependency')).toEqual([]))
  it('node:fs appears in packages/fs only', () => expect(of('disk')).toEqual([]))
  it('clock, timers and randomness appear in the runtime only', () => expect(of('ambient')).toEqual([]))
  it('no file has over 500 lines', () => expect(of('length')).toEqual([]))
  it('no any', () => expect(of('any')).toEqual([]))
  it('every source file has a head comment', () => expect(of('head')).toEqual([]))
  it('index files name what they export', () => expect(of('export')).toEqual([]))
  it('everything that index.ts exports has a doc comment', () => expect(of('documentation')).toEqual([]))
  it('every package that others install exports WkError', () => {
    const published = packages.filter(({ dir, manifest }) => dir.startsWith('packages/') && manifest.private !== true)
    expect(published.length).toBeGreaterThan(8)
    for (const { dir, sources } of published) expect(sources.get('src/index.ts'), dir).toMatch(/^export \{[^}]*\bWkError\b[^}]*\} from/m)
  })
  it('every package has README, LICENSE, and a changelog or a changeset', () => expect(of('packaging')).toEqual([]))
})

describe('the arrows', () => {
  it('have no cycle', () => {
    const done = new Set<string>()
    const visit = (name: string, path: string[]): void => {
      expect(path, `cycle through ${name}`).not.toContain(name)
      if (done.has(name)) return
      for (const next of ARROWS[name] ?? []) visit(next, [...path, name])
      done.add(name)
    }
    for (const name of Object.keys(ARROWS)) visit(name, [])
  })
})

const HEAD = '/** What it is. */\n'
const codec = workspacePackage('codec', {}, {})
const fs = workspacePackage('fs', { '@wk/codec': 'workspace:^' }, {})

function workspacePackage(name: string, dependencies: Record<string, string>, sources: Record<string, string>): WorkspacePackage {
  return {
    dir: `packages/${name}`,
    manifest: { name: `@wk/${name}`, license: 'Apache-2.0', exports: { '.': {}, './package.json': {} }, dependencies },
    references: Object.keys(dependencies).filter((one) => one.startsWith('@wk/')),
    sources: new Map(Object.entries({ 'src/index.ts': HEAD, ...sources })),
    files: ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json'],
  }
}

/** Rules that a planted source of a package breaks. */
function rulesOf(owner: WorkspacePackage, text: string, path = 'src/planted.ts'): string[] {
  return [...new Set(checkSource(owner, path, text, [codec, fs, owner]).map(({ rule }) => rule))]
}

describe('a planted violation is found', () => {
  const vlog = workspacePackage('vlog', { '@wk/codec': 'workspace:^', '@wk/fs': 'workspace:^' }, {})
  const planted: [string, string, string][] = [
    ['arrow', 'an upward import', "import { DB } from '@wk/db'\n"],
    ['arrow', 'an upward type import', "import type { DB } from '@wk/db'\n"],
    ['arrow', 'an upward dynamic import', "const db = await import('@wk/db')\n"],
    ['arrow', 'an upward re-export', "export { DB } from '@wk/db'\n"],
    ['dependency', 'an undeclared dependency', "import x from 'left-pad'\n"],
    ['import', 'another package past its exports', "import { x } from '@wk/codec/src/crc32c.js'\n"],
    ['import', 'another package by path', "import { x } from '../../codec/src/crc32c.js'\n"],
    ['import', 'a relative import without .js', "import { x } from './other'\n"],
    ['disk', 'node:fs', "import { readFileSync } from 'node:fs'\n"],
    ['disk', 'fs/promises', "import { readFile } from 'fs/promises'\n"],
    ['disk', 'a required fs', "const fs = require('fs')\n"],
    ['ambient', 'Date.now', 'const t = Date.now()\n'],
    ['ambient', 'new Date()', 'const t = new Date()\n'],
    ['ambient', 'Math.random', 'const t = Math.random()\n'],
    ['ambient', 'setTimeout', 'setTimeout(() => {}, 5)\n'],
    ['ambient', 'setImmediate as a value', 'const soon = setImmediate\n'],
    ['ambient', 'setInterval inside a template', 'const t = `${setInterval(f, 1)}`\n'],
    ['ambient', 'performance.now', 'const t = performance.now()\n'],
    ['ambient', 'process.hrtime', 'const t = process.hrtime.bigint()\n'],
    ['any', 'an annotation', 'const x: any = 1\n'],
    ['any', 'a cast', 'const x = y as any\n'],
    ['any', 'a type argument', 'const x = new Map<string, any>()\n'],
    ['any', 'an array', 'function f(x: any[]): void {}\n'],
    ['export', 'export *', "export * from './other.js'\n"],
  ]
  for (const [rule, what, text] of planted) it(`${rule}: ${what}`, () => expect(rulesOf(vlog, HEAD + text)).toContain(rule))

  it('head: a file without one', () => expect(rulesOf(vlog, "import { x } from '@wk/codec'\n")).toEqual(['head']))
  it('length: 501 lines', () => {
    expect(rulesOf(vlog, HEAD + 'const x = 1\n'.repeat(500))).toEqual(['length'])
    expect(rulesOf(vlog, HEAD + 'const x = 1\n'.repeat(499))).toEqual([])
  })

  it('a kernel is held to the same, and imports nothing but itself', () => {
    const path = 'kernel/planted.ts'
    expect(rulesOf(vlog, `${HEAD}import { x } from './other'\nexport function f(n: i32): i32 { return n + x }\n`, path)).toEqual([])
    for (const module of ['../src/other.js', '@wk/codec', 'assemblyscript', 'node:path']) expect(rulesOf(vlog, `${HEAD}import { x } from '${module}'\n`, path)).toEqual(['import'])
    expect(rulesOf(vlog, `${HEAD}const t = Date.now()\n`, path)).toEqual(['ambient'])
    expect(rulesOf(vlog, 'const x = 1\n'.repeat(501), path)).toEqual(['head', 'length'])
    expect(rulesOf(vlog, `${HEAD}import { x } from '../kernel/other.js'\n`)).toEqual(['import'])
  })

  it('packaging: license field, README, LICENSE, changelog or changeset', () => {
    const bare = { ...vlog, manifest: { ...vlog.manifest, license: 'MIT' }, files: [] }
    expect(checkPackage(bare, '').filter(({ rule }) => rule === 'packaging')).toHaveLength(4)
    expect(checkPackage(bare, "---\n'@wk/vlog': minor\n---\n").filter(({ rule }) => rule === 'packaging')).toHaveLength(3)
  })
  it('dependency: one that nothing imports, one without a reference, a reference without one', () => {
    expect(checkPackage(vlog, '').filter(({ rule }) => rule === 'dependency')).toHaveLength(2)
    const used = { ...vlog, sources: new Map([...vlog.sources, ['src/a.ts', `${HEAD}import '@wk/codec'\nimport '@wk/fs'\n`]]) }
    expect(checkPackage(used, '')).toEqual([])
    expect(checkPackage({ ...used, references: ['@wk/codec'] }, '')).toHaveLength(1)
    expect(checkPackage({ ...used, references: [...used.references, '@wk/lsm'] }, '')).toHaveLength(1)
  })
  it('arrow: the test kit as a run-time dependency, a package without arrows', () => {
    expect(checkPackage(workspacePackage('vlog', { '@wk/testkit': 'workspace:^' }, {}), '').map(({ rule }) => rule)).toContain('arrow')
    expect(checkPackage(workspacePackage('unheard', {}, {}), '').map(({ rule }) => rule)).toContain('arrow')
  })
  it('documentation: an exported name without a doc comment, also behind a re-export', () => {
    const documented = (index: string, other: string): string[] => checkPackage(workspacePackage('codec', {}, { 'src/index.ts': HEAD + index, 'src/other.ts': HEAD + other, 'src/middle.ts': `${HEAD}export { y } from './other.js'\n` }), '').map(({ message }) => message)
    expect(documented("export { x, type X } from './other.js'\n", '/** One. */\nexport const x = 1\n/** Two. */\nexport interface X {}\n')).toEqual([])
    expect(documented("export { x } from './other.js'\n", 'const before = 1\nexport const x = 1\n')).toEqual(['x is exported without a doc comment'])
    expect(documented("export { x } from './other.js'\n", 'export const z = 1\n')).toEqual(['x is exported but not declared'])
    expect(documented("export { y } from './middle.js'\n", 'const before = 1\nexport function y() {}\n')).toEqual(['y is exported without a doc comment'])
    expect(documented('export const z = 1\n', '')).toEqual([])
    expect(documented("export { A, type I } from './other.js'\n", 'const b = 1\nexport class A {}\nexport interface I {\n  /** One. */\n  one: number\n}\n')).toEqual([])
    expect(documented("export { B, type I } from './other.js'\n", 'const b = 1\nexport class A {}\nexport class B {}\nexport interface I {\n  one: number\n}\n')).toHaveLength(2)
    expect(documented('const before = 1\nexport const z = 1\n', '')).toEqual(['z is exported without a doc comment'])
  })
})

describe('what is no violation is not found', () => {
  const vlog = workspacePackage('vlog', { '@wk/codec': 'workspace:^', '@wk/fs': 'workspace:^' }, {})
  const innocent: [string, string][] = [
    ['words in comments', '// Date.now() and any import { DB } from "@wk/db"\n/* setTimeout: any */\n'],
    ['words in strings', 'const x = "Date.now() any", y = \'setTimeout\', z = `Math.random() any ${1 + 1} setImmediate`\n'],
    ['words in regular expressions', 'const x = /setTimeout|any/.test(y)\n'],
    ['an import in a string', "const x = \"import y from 'node:fs'\"\n"],
    ['AbortSignal.any and names with any in them', 'const x = AbortSignal.any([a]); const many = anything.any\n'],
    ['injected timers', 'await runtime.sleep(5); const t = runtime.now()\n'],
    ['a date from a number', 'const x = new Date(5)\n'],
    ['imports that are allowed', "import { x } from '@wk/codec'\nimport { y } from '@wk/fs'\nimport { z } from './a/b.js'\nimport { EventEmitter } from 'node:events'\n"],
    ['division', 'const x = a / b / c // any\n'],
  ]
  for (const [what, text] of innocent) it(what, () => expect(rulesOf(vlog, HEAD + text)).toEqual([]))
  it('the runtime itself, and node:fs inside packages/fs', () => {
    expect(rulesOf(fs, `${HEAD}const t = Date.now() + Math.random()\nsetTimeout(f, 1)\n`, 'src/runtime.ts')).toEqual([])
    expect(rulesOf(fs, `${HEAD}const t = Date.now()\n`, 'src/node.ts')).toEqual(['ambient'])
    expect(rulesOf(fs, `${HEAD}import { open } from 'node:fs/promises'\n`, 'src/node.ts')).toEqual([])
  })
})

describe('source text', () => {
  it('blanks comments and strings without moving anything', () => {
    const cases = [
      ['a // b\nc', 'a     \nc', 'a     \nc'],
      ['a /* b\nc */ d', 'a     \n     d', 'a     \n     d'],
      ["x = 'b // c' + d", "x = 'b // c' + d", "x = '      ' + d"],
      ['x = `f${g + `h`}i`', 'x = `f${g + `h`}i`', 'x = ` ${g + ` `} `'],
      ['x = `${{ a: `b` }}c`; d', 'x = `${{ a: `b` }}c`; d', 'x = `${{ a: ` ` }} `; d'],
      ["x = /j'[/]/g // k", "x = /j'[/]/g     ", 'x = /     /g     '],
      ['a / b // c', 'a / b     ', 'a / b     '],
    ] as const
    for (const [text, comments, strings] of cases) {
      expect(blank(text, false)).toBe(comments)
      expect(blank(text, true)).toBe(strings)
    }
  })
  it('lists imports and exports', () => {
    expect(importsOf("import a, { b } from 'x'\nimport 'y'\nexport { c } from \"z\"\nconst d = await import('w')\n").map(({ module }) => module)).toEqual(['x', 'y', 'z', 'w'])
    expect(exportsOf("export { a, type B, c as d } from './x.js'\nexport type { E } from './y.js'\nexport * from './z.js'\nexport const f = 1\nexport abstract class G {}\n").map(({ name }) => name)).toEqual(['a', 'B', 'c', 'E', '*', 'f', 'G'])
  })
})
