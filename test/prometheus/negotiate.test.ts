import { expect, test } from '@jest/globals'
import { formatFor } from '../../packages/prometheus/src/negotiate.ts'

const prometheus3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,' +
  'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
const prometheus2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'

test.each<[string, string | undefined, 'text' | 'openmetrics']>([
  ['nothing said', undefined, 'text'],
  ['an empty field', '', 'text'],
  ['Prometheus 2', prometheus2, 'openmetrics'],
  ['Prometheus 3', prometheus3, 'openmetrics'],
  ['curl', '*/*', 'text'],
  ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text'],
  ['both alike', 'application/openmetrics-text, text/plain', 'text'],
  ['text liked better', 'application/openmetrics-text;q=0.5, text/plain', 'text'],
  ['text in another version', 'text/plain;version=0.0.1, application/openmetrics-text;q=0.1', 'openmetrics'],
  ['OpenMetrics in another version alone', 'application/openmetrics-text;version=0.0.1', 'text'],
  ['a version in quotes', 'application/openmetrics-text;version="1.0.0"', 'openmetrics'],
  ['any application', 'application/*', 'openmetrics'],
  ['any application but this one', 'application/*, application/openmetrics-text;q=0', 'text'],
  ['letters of both sizes', 'Application/OpenMetrics-Text; Version=1.0.0; Q=1', 'openmetrics'],
  ['what is neither', 'image/png', 'text'],
  [
    'the more specific range counts',
    'application/openmetrics-text;q=0.2, application/openmetrics-text;version=1.0.0, text/*;q=0.5',
    'openmetrics',
  ],
  ['a quality that is none is left out', 'application/openmetrics-text;q=2, text/plain;q=0.1', 'text'],
  ['nonsense', ';;,,q=1,/,a/b/c,"', 'text'],
  ['a comma in quotes', 'application/openmetrics-text;note="a,b";version=1.0.0', 'openmetrics'],
])('%s', (_, accept, format) => {
  expect(formatFor(accept)).toBe(format)
})

test('a long field is read in no time', () => {
  const began = performance.now()
  expect(formatFor('"'.repeat(20_000))).toBe('text')
  expect(formatFor(`${'a/b;"'.repeat(10_000)}`)).toBe('text')
  expect(performance.now() - began).toBeLessThan(1_000)
})
