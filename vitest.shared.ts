/**
 * What every package's vitest configuration shares: `@wk/*` resolves to sources (the private `wk-source` export
 * condition), so tests need no build, and slow property tests get time on a small machine.
 */
import { defineProject, type UserWorkspaceConfig } from 'vitest/config'

export function wkProject(name: string, test: NonNullable<UserWorkspaceConfig['test']> = {}): UserWorkspaceConfig {
  return defineProject({
    resolve: { conditions: ['wk-source'] },
    ssr: { resolve: { conditions: ['wk-source', 'node', 'module-sync'] } },
    test: { name, environment: 'node', include: ['test/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, ...test },
  })
}
