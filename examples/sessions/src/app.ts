import { createSluice } from '@sluice/express'
import cors from 'cors'
import express, { type Express, type Request } from 'express'
import session from 'express-session'
import morgan from 'morgan'

declare module 'express-session' {
  interface SessionData {
    user: { readonly name: string }
  }
}

/** The application as it was, and one line of it is the cache. */
export function createApp(secret: string): Express {
  const app = express()
  const sluice = createSluice()
  app.use(morgan('tiny'))
  app.use(cors({ origin: true, credentials: true }))
  app.use(session({ secret, resave: false, saveUninitialized: false, rolling: true }))
  app.use(express.json(), express.urlencoded({ extended: false }))

  app.get('/login', (_req, res) => void res.send(loginForm))
  app.post('/login', (req, res, next) => {
    const name: unknown = req.body?.name
    if (typeof name !== 'string' || name === '') {
      res.status(400).send('Who are you? Send a name.\n')
      return
    }
    // A session that somebody else may know must not become the one of whoever signs in.
    req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = { name }
      res.send(`Hello, ${escaped(name)}.\n`)
    })
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.send('Goodbye.\n')))
  })

  app.use(sluice.cache('1m'))

  app.get('/', (req, res) => void res.send(page('Home', req, 'Nothing here is slow but the news.')))
  app.get('/news', async (req, res) => {
    await slowQuery()
    res.send(page('News', req, `Read from the database at ${new Date().toISOString()}.`))
  })
  return app
}

/** What a cache is for. */
const slowQuery = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300))

function page(title: string, req: Request, text: string): string {
  const greeting = req.session.user ? `Hello, ${escaped(req.session.user.name)}.` : 'Hello, stranger.'
  return `<!doctype html><title>${title}</title><h1>${title}</h1><p>${greeting}</p><p>${text}</p>\n`
}

const loginForm =
  '<!doctype html><title>Sign in</title><form method="post"><label>Name <input name="name"></label><button>Sign in</button></form>\n'

const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
