/**
 * The example of a README, its first ```ts block, and what it says that it prints: `console.log(...) // text` at the
 * start of a line. Calls in loops and blocks are indented or behind a `for`: how often they print is not ours to say.
 */
import { readFileSync } from 'node:fs'

/** The code of the first ```ts block; throws where there is none. */
export function exampleOf(readme: string): string {
  const [code] = examplesOf(readme)
  if (code === undefined) throw new Error(`${readme} has no example`)
  return code
}

/** The code of every ```ts block. */
export function examplesOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => match[1] as string)
}

/** The first line that the code says it prints and that is not among `printed`, in their order; `undefined` if all are. */
export function missingLine(code: string, printed: readonly string[]): string | undefined {
  let from = 0
  for (const line of code.split('\n')) {
    const expected = line.startsWith('console.log(') ? /\) \/\/ (.*)$/.exec(line)?.[1] : undefined
    if (expected === undefined) continue
    const at = printed.indexOf(expected, from)
    if (at < 0) return expected
    from = at + 1
  }
  return undefined
}
