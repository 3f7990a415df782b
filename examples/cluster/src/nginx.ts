import { mkdtemp, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from '@sluice-examples/cities-api/start-error'
import { type KeptServer, keep } from './kept-server.ts'

/** nginx in front of these ports, taking turns. Its files are in a directory that goes when it does. */
export async function startNginx(host: string, port: number, ports: readonly number[]): Promise<KeptServer> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-cluster-'))
  const file = join(directory, 'nginx.conf')
  await writeFile(file, configuration(directory, `${host.includes(':') ? `[${host}]` : host}:${port}`, ports))
  const args = ['-c', file, '-p', directory, '-e', 'stderr']
  // QUIT: running requests are finished.
  const server = keep({ program: 'nginx', args, askWith: 'SIGQUIT', directory })
  server.output.resume()
  let gone = false
  server.ended.then(() => {
    gone = true
  })
  while (!gone && !(await answers(host, port))) await sleep(20)
  if (gone) throw new StartError('nginx ended before it listened. It says why above; FRONT=node does without it.')
  return server
}

function configuration(directory: string, address: string, ports: readonly number[]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n  ')}
  upstream cities {
    # A process that has ended is soon followed by another one on its port.
    ${ports.map((port) => `server 127.0.0.1:${port} fail_timeout=1s;`).join('\n    ')}
    keepalive 64;
  }
  server {
    listen ${address};
    location / {
      proxy_pass http://cities;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      # Part of the cache's key: the name that the client used, and not that of the upstream.
      proxy_set_header Host $http_host;
      # Set and not appended to: limits are per address, and what a client claims is not one.
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: '/', agent: false }, (response) => {
      response.resume()
      resolve(true)
    })
    asked.once('error', () => resolve(false)).end()
  })
}
