export const hello_fastify: string = 'fastify'
