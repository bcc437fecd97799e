/** Set-up of every test file: what the harness made is closed and removed after each test. */
import { afterEach } from 'vitest'
import { cleanUp } from './harness.js'

afterEach(cleanUp)
