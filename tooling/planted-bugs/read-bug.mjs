/**
 * The head of a planted bug: what it is, which rules it breaks, and which checks are expected to turn red.
 *
 *     Bug: a synced write is acknowledged before its bytes are on the device
 *     Breaks: law 1, CR1
 *     Caught by: packages/db test/laws.crash.test.ts -t law 1
 */
export function readBug(text) {
  const head = text.slice(0, text.indexOf('\ndiff --git '))
  const field = (name) => [...head.matchAll(new RegExp(`^${name}: (.+)$`, 'gm'))].map((match) => match[1])
  const checks = field('Caught by').map((line) => {
    const [, dir, file, pattern] = /^(\S+) (\S+)(?: -t (.+))?$/.exec(line) ?? []
    return { dir, file, pattern }
  })
  return { bug: field('Bug')[0], breaks: field('Breaks')[0], checks }
}
