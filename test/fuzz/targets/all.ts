/** All targets of `npm run fuzz`. */

import type { Target } from '../target.ts';
import { portfolios } from './csv.ts';
import { requests } from './http.ts';
import { rawRequests } from './http-raw.ts';
import { kept } from './kept.ts';
import { logins } from './logins.ts';
import { brokerStreams, gate } from './mqtt.ts';
import { returnedMessages } from './returned.ts';
import { unsubscribing } from './unsubscribe.ts';
import { brokerUrls, callbacks, databaseUrls } from './urls.ts';
import { configurations, yaml } from './yaml.ts';

// Each knows the type of its own inputs; who runs them needs none.
// biome-ignore lint/suspicious/noExplicitAny: see above
export const TARGETS: readonly Target<any>[] = [
  logins,
  callbacks,
  databaseUrls,
  brokerUrls,
  portfolios,
  yaml,
  configurations,
  requests,
  rawRequests,
  gate,
  brokerStreams,
  kept,
  unsubscribing,
  returnedMessages,
];
