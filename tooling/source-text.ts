/**
 * TypeScript source as the checks see it: the same text with comments, and where wanted the contents of strings,
 * blanked out, so that a word in prose is never taken for code. Places and line breaks stay. Not a parser.
 */

/** Blanks comments, and string contents if `strings` is true (code inside `${}` stays). */
export function blank(text: string, strings: boolean): string {
  const out = [...text].length === text.length ? text.split('') : Array.from({ length: text.length }, (_, i) => text.charAt(i))
  const erase = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' '
  }
  /** Braces open inside each `${` that is open. */
  const templates: number[] = []
  let before = ''
  let at = 0
  while (at < text.length) {
    const char = text.charAt(at)
    const next = text.charAt(at + 1)
    if (char === '/' && next === '/') {
      const end = endOfLine(text, at)
      erase(at, end)
      at = end
    } else if (char === '/' && next === '*') {
      const close = text.indexOf('*/', at + 2)
      const end = close < 0 ? text.length : close + 2
      erase(at, end)
      at = end
    } else if (char === '"' || char === "'") {
      const end = endOfString(text, at)
      if (strings) erase(at + 1, end - 1)
      at = end
      before = char
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop()
      const end = endOfTemplatePart(text, at + 1)
      const opens = text.startsWith('${', end - 2)
      if (strings) erase(at + 1, opens ? end - 2 : end - 1)
      if (opens) templates.push(0)
      at = end
      before = '`'
    } else if (char === '/' && startsRegExp(before, text, at)) {
      const end = endOfRegExp(text, at)
      if (strings) erase(at + 1, end - 1)
      at = end
      before = '/'
    } else {
      if (char === '{' && templates.length > 0) templates[templates.length - 1] = (templates.at(-1) ?? 0) + 1
      if (char === '}' && templates.length > 0) templates[templates.length - 1] = (templates.at(-1) ?? 0) - 1
      if (char.trim() !== '') before = char
      at++
    }
  }
  return out.join('')
}

/** Line number of a place, counted from 1. */
export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}

/** Module names of all imports and re-exports, static and dynamic, with their places. */
export function importsOf(text: string): { module: string; at: number }[] {
  const code = blank(text, false)
  const words = blank(text, true)
  const found: { module: string; at: number }[] = []
  const pattern = /(?<![.\w$])(?:from\s*|import\s*\(?\s*|require\s*\(\s*)(['"])([^'"\n]+)\1/g
  for (let match = pattern.exec(code); match !== null; match = pattern.exec(code)) {
    // The keyword itself must be code, not part of a string.
    if (/^(?:from|import|require)/.test(words.slice(match.index))) found.push({ module: match[2] as string, at: match.index })
  }
  return found
}

/** Names that a module exports, with the module each is taken from; `*` for `export *`. */
export function exportsOf(text: string): { name: string; from: string | undefined; at: number }[] {
  const code = blank(text, false)
  const found: { name: string; from: string | undefined; at: number }[] = []
  for (const match of code.matchAll(/^export\s+(?:type\s+)?(?:\{([^}]*)\}|(\*))\s*(?:as\s+\w+\s*)?(?:from\s*['"]([^'"]+)['"])?/gm)) {
    const from = match[3]
    if (match[2] === '*') found.push({ name: '*', from, at: match.index })
    for (const part of (match[1] ?? '').split(',')) {
      const name = part.trim().replace(/^type\s+/, '').split(/\s+as\s+/)[0]
      if (name !== undefined && name !== '') found.push({ name, from, at: match.index })
    }
  }
  for (const match of code.matchAll(/^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:class|function\*?|const|let|interface|type)\s+(\w+)/gm)) {
    found.push({ name: match[1] as string, from: undefined, at: match.index })
  }
  return found
}

/**
 * True if the declaration of a name has a doc comment right above it; undefined if it is not declared here. The first
 * exported class of a file is what the comment at the file's head is about, and an interface may say all it has to say
 * at its members.
 */
export function isDocumented(text: string, name: string): boolean | undefined {
  const code = blank(text, false)
  const declaration = new RegExp(`^(?:export\\s+)?(?:declare\\s+)?(?:abstract\\s+)?(?:async\\s+)?(class|function\\*?|const|let|interface|type)\\s+${name}\\b`, 'm')
  const match = declaration.exec(code)
  if (match === null) return undefined
  if (text.slice(0, match.index).trimEnd().endsWith('*/')) return true
  if (match[1] === 'class') return /^export\s+(?:abstract\s+)?class\s+(\w+)/m.exec(code)?.[1] === name
  return match[1] === 'interface' && /^[^\n]*\{\s*\/\*\*/.test(text.slice(match.index))
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}

function endOfString(text: string, at: number): number {
  const quote = text.charAt(at)
  for (let i = at + 1; i < text.length; i++) {
    if (text.charAt(i) === '\\') i++
    else if (text.charAt(i) === quote || text.charAt(i) === '\n') return i + 1
  }
  return text.length
}

/** End of a template's text: behind its closing backquote, or behind the next `${`. */
function endOfTemplatePart(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    if (text.charAt(i) === '\\') i++
    else if (text.charAt(i) === '`') return i + 1
    else if (text.startsWith('${', i)) return i + 2
  }
  return text.length
}

/** A slash after an operator or an opening bracket starts a regular expression, after a value it divides. */
function startsRegExp(before: string, text: string, at: number): boolean {
  if (before === '' || '(,=:[!&|?{};<>+-*%~^'.includes(before)) return true
  return /\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do)\s*$/.test(text.slice(Math.max(0, at - 12), at))
}

function endOfRegExp(text: string, at: number): number {
  let inClass = false
  for (let i = at + 1; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === '\\') i++
    else if (char === '[') inClass = true
    else if (char === ']') inClass = false
    else if (char === '\n') return i
    else if (char === '/' && !inClass) return i + 1
  }
  return text.length
}
