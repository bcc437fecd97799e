import { fileURLToPath } from 'node:url'
import { wkProject } from '../vitest.shared.js'

export default {
  ...wkProject('examples', {
    isolate: true,
    // Only what vitest transforms gets the alias: two suites import a package that they do not declare.
    alias: { 'aegir/chai': fileURLToPath(new URL('test/aegir-chai.mjs', import.meta.url)) },
    server: { deps: { inline: [/interface-(?:datastore|blockstore)-tests/] } },
  }),
}
