/** What `GET /` answers: a list of what there is to ask. */
export const routes = {
  'GET /cities?country=&q=&page=': 'Search by country and part of the name, the largest cities first.',
  'GET /cities/:id': 'One city, by its GeoNames number.',
  'GET /cities/:id/nearby': 'The ten cities nearest to it.',
  'GET /countries': 'All countries, with the number of their cities and the people in them.',
  'PATCH /cities/:id': 'Changes the name or the population of a city.',
} as const
