/**
 * What takes minutes has a run of its own, and a short form in `npm test`: of the page a browser on the real server, of the load that is
 * to be watched its words.
 */
const longRuns = [
  ...(process.env.SLUICE_TEST_BROWSER
    ? []
    : ['/test/dashboard/page/(live|actions|real-actions|accessible)\\.test\\.ts$']),
  ...(process.env.SLUICE_TEST_OBSERVE ? [] : ['/test/examples/observe\\.test\\.ts$']),
]

/** Tests run on the TypeScript sources: the `sluice-source` export condition leads every @sluice import to src/. */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { decoratorVersion: '2022-03' },
        },
      },
    ],
  },
  testEnvironment: 'node',
  // With 'import' in this list Jest's own CommonJS requires break.
  testEnvironmentOptions: { customExportConditions: ['sluice-source', 'node', 'node-addons'] },
  testPathIgnorePatterns: ['/node_modules/', ...longRuns],
  modulePathIgnorePatterns: ['<rootDir>/packages/.*/dist/', '<rootDir>/.cache/'],
  maxWorkers: 2,
  // For machines that have other things to do: no test waits that long by itself.
  testTimeout: 20_000,
}
