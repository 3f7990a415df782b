// Written so that a Node far too old can still read it and say so: no syntax newer than ES2017, no imports.

/** The oldest Node the project supports; `engines` in package.json says the same and a test compares them. */
export const MINIMUM_NODE = '20.19'

/**
 * What is wrong with this Node, in one sentence, or undefined when nothing is.
 *
 * @param {string} version such as `process.versions.node`
 * @returns {string | undefined}
 */
export function nodeVersionProblem(version) {
  const [wantedMajor = 0, wantedMinor = 0] = MINIMUM_NODE.split('.').map(Number)
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return undefined
  return (
    'Sluice needs Node.js ' +
    MINIMUM_NODE +
    ' or newer, and this is ' +
    version +
    ': install one from https://nodejs.org.'
  )
}

/** Ends the process with one sentence when this Node is too old. Call it before importing anything else. */
export function requireNode() {
  const problem = nodeVersionProblem(process.versions.node)
  if (problem === undefined) return
  console.error(problem)
  process.exit(1)
}
