/** @typedef {{ passed: number, failed: number, skipped: number }} Tally */

/**
 * What a Jest run comes to. A suite that did not load ran no test, and a run that failed for a reason of its own (no
 * test found, a worker that died) left no result: each counts as one failure, or the sum would look green.
 *
 * @param {Record<string, any> | undefined} results Jest's JSON results, when it wrote any
 * @param {number} exitCode
 * @returns {Tally}
 */
export function tallyJest(results, exitCode) {
  if (results === undefined) return { passed: 0, failed: 1, skipped: 0 }
  const tally = {
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests + results.numTodoTests,
  }
  if (exitCode !== 0 && tally.failed === 0) tally.failed = 1
  return tally
}

/** @param {Tally[]} tallies @returns {Tally} */
export function sum(tallies) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const each of tallies) {
    total.passed += each.passed
    total.failed += each.failed
    total.skipped += each.skipped
  }
  return total
}

/** @param {Tally} tally */
export function tallyLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
