import { z } from 'zod';
import { named } from '../../text/name.ts';
import { because } from '../fields.ts';

/** What a job can need of its worker: a kind and a value. Its length is that of the columns of the ledger. */
const CAPABILITY = /^[a-z0-9_-]{1,24}:[a-z0-9_-]{1,39}$/;
const HOW = 'must be a kind and a value of small letters, digits, "_" and "-", such as region:eu (24 and 39 characters at most)';

/** The sources that may be in reach of some workers alone. */
export const TIED_SOURCES = ['yahoo_finance', 'lean', 'alpha_vantage', 'file', 'theta', 'simulated'] as const;
export type TiedSource = (typeof TIED_SOURCES)[number];

/** One that a job needs. */
export const capability = () =>
  z
    .string()
    .refine((value) => CAPABILITY.test(value), because('config.bad_capability', HOW))
    .nullable();

/** Claims look for each capability by itself. */
const MOST = 8;

/** Whether a tag of a worker is a capability, and not for people alone. */
export const isCapability = (tag: string): boolean => tag.includes(':');

/** Tags of a worker. Those with a colon are capabilities, the others are for people. */
export const workerCapabilities = z
  .array(named(64))
  .max(50)
  .check(({ value, issues }) => {
    const tied = value.filter(isCapability);
    for (const [index, tag] of value.entries())
      if (isCapability(tag) && !CAPABILITY.test(tag))
        issues.push({ code: 'custom', input: tag, path: [index], ...because('config.bad_capability', HOW) });
    if (new Set(tied).size > MOST)
      issues.push({
        code: 'custom',
        input: value,
        ...because(
          'config.out_of_range',
          `names ${new Set(tied).size} capabilities; a worker has ${MOST} at most, so start another worker for the others`,
        ),
      });
  });

export const sourceCapabilities = z.strictObject(
  Object.fromEntries(TIED_SOURCES.map((source) => [source, capability()])) as Record<TiedSource, ReturnType<typeof capability>>,
);
