import { z } from 'zod';
import { because, count, duration, secret, text } from '../fields.ts';

export const PURPOSES = ['picks', 'llm_analysis'] as const;
/** What a paid call is for. */
export type Purpose = (typeof PURPOSES)[number];

/** What is found out about a symbol: indicators, what its company reports, headlines, and a model's opinion of all of it. */
export const ANALYSIS_KINDS = ['technical', 'fundamental', 'news', 'sentiment'] as const;
export type AnalysisKind = (typeof ANALYSIS_KINDS)[number];

/** Dollars. */
const dollars = () => z.number().min(0).max(1_000_000);
const caps = z
  .strictObject({ day: dollars(), week: dollars() })
  .refine(({ day, week }) => day <= week, because('config.out_of_range', 'day must not be above week'));

/** The language model. The keys are documented in `config/default.yaml`. */
export const model = z
  .strictObject({
    base_url: text()
      .refine(
        (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
        because('config.bad_url', 'must be an address that begins with http:// or https://'),
      )
      .nullable(),
    name: text().max(100).nullable(),
    api_key: secret(),
    price_in: dollars().nullable(),
    price_out: dollars().nullable(),
    fee_per_call: dollars(),
    reserve_usd: dollars().nullable(),
    max_tokens: count(256, 1_000_000),
    timeout: duration(),
    temperature: z.number().min(0).max(2).nullable(),
    on_unknown: z.enum(['report', 'pay_again']),
    caps: z.strictObject({ picks: caps, llm_analysis: caps }),
  })
  .check(({ value: { base_url, name, price_in, price_out }, issues }) => {
    const report = (key: string, message: string) =>
      issues.push({ code: 'custom', input: null, path: [key], ...because('config.missing_value', message) });
    if (base_url !== null && name === null) report('name', 'model.base_url is set, so model.name must name the model');
    if (base_url === null || isLoopback(base_url)) return;
    for (const [key, price] of Object.entries({ price_in, price_out }))
      if (price === null)
        report(
          key,
          `what ${new URL(base_url).host} costs is not known: set it to dollars a million tokens, or to 0 where it costs nothing`,
        );
  });

/** Whether an address is on this machine, where nothing is paid for. */
export function isLoopback(address: string): boolean {
  const host = URL.parse(address)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
