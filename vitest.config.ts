import { defineConfig } from 'vitest/config'

const FLOOR = { branches: 95 }

export default defineConfig({
  test: {
    projects: ['packages/*', 'apps/*', 'tooling', 'tooling/packaging', 'examples'],
    maxWorkers: 2,
    // `npm run coverage`; what a worker thread or a process of its own runs is not counted.
    coverage: {
      provider: 'v8',
      include: ['packages/{codec,fs,memtable,sstable,vlog,lsm,gc,db,level}/src/**/*.ts'],
      // Suites for others to run: half of their branches are those of a host or a file system that breaks its contract.
      exclude: ['packages/gc/src/testing/**', 'packages/fs/src/conformance*'],
      reporter: ['json'],
      reportOnFailure: true,
      thresholds: {
        'packages/codec/src/**': FLOOR,
        'packages/vlog/src/**': FLOOR,
        'packages/sstable/src/**': FLOOR,
        'packages/lsm/src/log/**': FLOOR,
        'packages/gc/src/**': FLOOR,
      },
    },
  },
})
