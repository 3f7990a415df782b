// Older majors, installed under another name beside the current one; for the tests their types are the current ones.
declare module 'express4' {
  export { default } from 'express'
}
declare module 'koa2' {
  export { default } from 'koa'
}
