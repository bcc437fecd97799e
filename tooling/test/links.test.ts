/**
 * Every relative link of every Markdown file leads to something that is there, headings included. Addresses on the web are
 * not looked at.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n').filter((file) => existsSync(join(root, file)))

/** The text without code, in which brackets are no links. */
const prose = (text: string): string => text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').replaceAll(/`[^`\n]*`/g, '')

/** Names of the headings of a file, as they are made on the web, and of anchors in it. */
function anchors(file: string): Set<string> {
  const seen = new Map<string, number>()
  const names = new Set<string>()
  const text = readFileSync(file, 'utf8').replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '')
  for (const [, heading] of text.matchAll(/^#{1,6} +(.*?) *#*$/gm)) {
    const name = (heading as string)
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
    const times = seen.get(name) ?? 0
    seen.set(name, times + 1)
    names.add(times === 0 ? name : `${name}-${times}`)
  }
  for (const [, id] of text.matchAll(/<a id="([^"]+)">/g)) names.add(id as string)
  return names
}

export function brokenLinks(file: string, text: string): string[] {
  const broken: string[] = []
  for (const [, target] of prose(text).matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)) {
    if (target === undefined || /^[a-z][a-z+.-]*:/i.test(target)) continue
    const [path = '', anchor] = target.split('#')
    const to = path === '' ? file : join(dirname(file), decodeURIComponent(path))
    if (!existsSync(to)) broken.push(target)
    else if (anchor !== undefined && statSync(to).isFile() && !anchors(to).has(decodeURIComponent(anchor))) broken.push(target)
  }
  return broken
}

test('there are documents to check', () => expect(files.length).toBeGreaterThan(20))

test.each(files)('links of %s', (file) => {
  expect(brokenLinks(join(root, file), readFileSync(join(root, file), 'utf8'))).toEqual([])
})

test('a planted link to nothing is found', () => {
  const file = join(root, 'README.md')
  expect(brokenLinks(file, '[a](docs/nothing.md) [b](#no-such-heading) [c](docs/design.md#packages) `[d](e)` [f](https://example.com/x)')).toEqual(['docs/nothing.md', '#no-such-heading'])
})
