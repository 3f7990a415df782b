export const hello_express: string = 'express'
