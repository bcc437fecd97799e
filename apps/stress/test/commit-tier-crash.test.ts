/** The crash checks at the size of the commit tier. A1 and B1 are `laws.crash.test.ts` and `kill.test.ts` of `@wk/db`. */
import { declareChecks } from './commit-tier.js'

await declareChecks((id) => id === 'A2' || id === 'A3' || id === 'A5' || id === 'A6' || id === 'G2' || id === 'G3')
