/**
 * What every package's vitest configuration shares: `@wk/*` resolves to sources (the private `wk-source` export
 * condition), so tests need no build, and slow property tests get time on a small machine.
 *
 * The files of a package run one after the other in the same processes, which have its modules loaded and compiled already: a
 * quarter of the time. So what a test leaves behind meets the next file, and hooks that several files share belong into a set-up
 * file (a shared module is run once only). `isolate: true` where a test replaces modules.
 */
import { defineProject, type UserWorkspaceConfig } from 'vitest/config'

export function wkProject(name: string, test: NonNullable<UserWorkspaceConfig['test']> = {}): UserWorkspaceConfig {
  return defineProject({
    resolve: { conditions: ['wk-source'] },
    ssr: { resolve: { conditions: ['wk-source', 'node', 'module-sync'] } },
    test: { name, environment: 'node', isolate: false, restoreMocks: true, include: ['test/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 180_000, ...test },
  })
}
