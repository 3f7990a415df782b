const where = `Where:
  --url <url>           the door, such as http://localhost:3000/ops (SLUICE_ADMIN_URL)
  --token <token>       sent as \`Authorization: Bearer\` (SLUICE_ADMIN_TOKEN, which no list of processes shows)
`

const direct = `  --redis <url>         straight on Redis, in place of the door; needs @sluice/redis
  --namespace <name>    as the application has it (sluice)
  --lanes <n>           as the application has them (1; of a Cluster 16)
  --cluster             the URL is that of one node of a Cluster
`

const how = `  --timeout <duration>  for one answer (10s)
  --json                for programs
  --help

Exit code: 0 done, 1 it failed, 2 used wrongly.
`

/** What `sluice <command> --help` prints. Each has an example. */
export const usages: Readonly<Record<string, string>> = {
  purge: `Usage: sluice purge [url...] [--tag <tag>] [--route <pattern>] [--all --yes] [--soft]

Makes what is stored unusable in all processes: by URL, tag, route, or everything.

  --tag <tag>           repeated for several
  --route <pattern>     such as /cities/:id, repeated for several
  --all --yes           everything there is
  --soft                stale from now on, and not gone: may be served while it is made again

${where}${direct}${how}
Example: sluice purge /cities/7 --tag cities --url http://localhost:3000/ops
`,
  why: `Usage: sluice why <url> | --route <pattern> [--method <method>]

Says whether the answers of a URL or a route are stored, and if not, why and what to do; of a URL also what is stored now.

${where}${how}
Example: sluice why /cities/7 --url http://localhost:3000/ops
`,
  stats: `Usage: sluice stats [--watch] [--interval <duration>]

Shows what one process has counted since its start.

  --watch               again and again, with what happened in between, until Ctrl-C
  --interval <duration> between two looks (2s)

${where}${how}
Example: sluice stats --watch --interval 5s --url http://localhost:3000/ops
`,
  limits: `Usage: sluice limits peek <policy> <key...>
       sluice limits reset <policy> [key...]

Shows what a key has left of a policy, or forgets what it has used; without a key, of all keys. A key of several parts is
given in parts.

  --route <route>       of a policy that is split by route: 'GET /cities/:id'

${where}${direct}  --rate <rate>         to peek straight on Redis: the policy's rate
  --algorithm <name>    and its algorithm, where it has one
  --by <ip|user|other>  what the policy counts by (ip). SLUICE_SECRET: the application's secret, where it has one
${how}
Example: sluice limits reset login 192.0.2.1 --url http://localhost:3000/ops
`,
  bans: `Usage: sluice bans [policy]
       sluice bans add <policy> <key...> --for <duration> [--reason <text>]
       sluice bans lift <policy> <key...>

Lists who is shut out of limits, shuts somebody out of a policy that has a \`ban\`, or lets somebody in again.

  --for <duration>      how long, such as 1h

  --subject <subject>   in place of the key: as the list has it

${where}${how}
Example: sluice bans lift login 192.0.2.1 --url http://localhost:3000/ops
`,
  doctor: `Usage: sluice doctor

Looks at Node, Redis, its memory, eviction and clock, at proxies and the secret, and says what to mend.

${where}${direct}${how}
Example: sluice doctor --redis redis://localhost:6379
`,
}

export const usage = `Usage: sluice <command> …

  purge                 make what is stored unusable
  why                   why something is stored or not
  stats                 figures, once or live
  warm                  fill the cache in front of its visitors
  limits                see or reset what a key has used
  bans                  see, make or lift bans
  doctor                look for what is wrong with the environment

\`sluice <command> --help\` says more, with an example.

Example: sluice purge --tag cities --url http://localhost:3000/ops
`
