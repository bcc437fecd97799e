import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { projects: ['packages/*', 'apps/*', 'tooling', 'tooling/packaging', 'examples'], maxWorkers: 2 },
})
