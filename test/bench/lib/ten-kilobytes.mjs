/** What the servers of the benchmarks send: 10 kB of JSON. */
export const text = JSON.stringify(
  Array.from({ length: 130 }, (_, i) => ({ id: i, name: `City number ${i}`, population: i * 1000, country: 'NO' })),
).padEnd(10_240)
export const body = Buffer.from(text)
export const type = 'application/json; charset=utf-8'

/** What a hit of ours sends, so that the bare servers send as much. */
export const hitHead = {
  'Content-Type': type,
  'Cache-Control': 'public, max-age=0, must-revalidate',
  ETag: '"-44g_C5MPySMYMOb1lLzwTRy"',
  Age: '1',
  'Cache-Status': 'Sluice; hit; ttl=299',
  'Content-Length': String(body.length),
}
