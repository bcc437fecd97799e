/**
 * Preloaded (`node --require`): packages named in WK_WITHOUT, separated by commas, are not there.
 */
const Module = require('node:module')

const absent = new Set((process.env.WK_WITHOUT ?? '').split(',').filter(Boolean))
const resolve = Module._resolveFilename

Module._resolveFilename = function (request, ...rest) {
  if (!absent.has(request)) return resolve.call(this, request, ...rest)
  throw Object.assign(new Error(`Cannot find module '${request}'`), { code: 'MODULE_NOT_FOUND' })
}
