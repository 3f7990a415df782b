export const hello_node: string = 'node'
