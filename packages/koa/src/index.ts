export const hello_koa: string = 'koa'
