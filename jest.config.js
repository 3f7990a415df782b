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
  // Of the page `npm test` asks what a browser says of the real thing; `npm run test:browser` has all of it, which takes minutes.
  testPathIgnorePatterns: [
    '/node_modules/',
    ...(process.env.SLUICE_TEST_BROWSER === 'all'
      ? []
      : ['/test/dashboard/page/(live|actions|accessible)\\.test\\.ts$']),
  ],
  modulePathIgnorePatterns: ['<rootDir>/packages/.*/dist/', '<rootDir>/.cache/'],
  // On two cores: many suites wait more than they work, for a Redis that is killed and comes back, say.
  maxWorkers: 3,
  // For machines that have other things to do: no test waits that long by itself.
  testTimeout: 20_000,
}
