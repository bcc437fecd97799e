/**
 * What two suites import as `aegir/chai` without declaring it: chai with two plugins, in this order.
 */
import chai from 'chai'
import chaiAsPromised from 'chai-as-promised'
import chaiParentheses from 'chai-parentheses'

chai.use(chaiAsPromised)
chai.use(chaiParentheses)

export const { expect } = chai
