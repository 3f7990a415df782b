import { describeHosts } from '../hosts/harness/host.ts'
import { partsSuite } from './parts.ts'

describeHosts('parts (RFC 9111 §3.3, §3.4)', partsSuite())
