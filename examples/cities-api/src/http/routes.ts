/** What `GET /` answers: a list of what there is to ask. */
export const routes = {
  'GET /cities?country=&q=&limit=&cursor=&fields=':
    'Search by country and part of the name, the largest cities first, a page at a time.',
  'GET /cities/:id': 'One city, by its GeoNames number.',
  'GET /cities/:id/nearby': 'The ten cities nearest to it.',
  'GET /countries': 'All countries, with the number of their cities and the people in them.',
  'GET /countries/largest?lookup=': 'The largest city of each, and how many queries that took: batched, or single.',
  'GET /metrics': 'What the cache and the limits have done, for Prometheus.',
  'GET /sluice': 'The same on a live page, with reasons and buttons; in development, on this machine.',
  'POST /login':
    'Signs in: {"user": "ada", "password": "open sesame"}. Wrong passwords are limited, right ones are not.',
  'PATCH /cities/:id': 'Changes the name or the population of a city.',
} as const
