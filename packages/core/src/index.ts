export const hello_core: string = 'core'
