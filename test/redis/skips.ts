import { test } from '@jest/globals'
import { outside } from '../support/outside-redis.ts'
import { library } from './library.ts'

const skipped = test.skip as unknown as typeof test

/** For what freezes, kills or fills its server, or counts on being alone there: not done to that of `SLUICE_TEST_REDIS`. */
export const onOwnServer: typeof test = outside ? skipped : test

/** For what reaches into a client of ioredis to bring trouble about. */
export const onIoredis: typeof test = library === 'ioredis' ? test : skipped
