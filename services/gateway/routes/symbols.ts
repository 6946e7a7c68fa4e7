/** `/v1/symbols`: the stored data of a symbol, its source and its freshness. */
import { z } from 'zod';
import { readActions, readBars } from '../../market/bars/read.ts';
import { FRESHNESS_STATES } from '../../market/freshness/freshness.ts';
import { symbolJson } from '../../market/freshness/symbol-judgement.ts';
import { WARM_UP_BARS } from '../../market/indicators/indicators.ts';
import { readPastSignals, SIGNAL_COLUMNS } from '../../market/indicators/past-signals.ts';
import { readPreviousCloses } from '../../market/portfolios/valuation.ts';
import { hasResearch } from '../../market/research/read.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { csvOf } from '../../platform/text/csv.ts';
import type { App, Parts } from '../http/app.ts';
import { format, sendCsv, wantsCsv } from '../http/csv.ts';
import { pageOf } from '../http/page.ts';
import { day, flag, instant, limit, problems } from '../http/schemas.ts';
import { modelOpinion, readOpinionJson } from '../research/opinion.ts';
import {
  adjustedBars,
  BAR_COLUMNS,
  barJson,
  columnsCsv,
  daysBefore,
  indicatorColumns,
  type KnownSymbol,
  readBarRange,
  readKnownSymbol,
} from './symbol-reader.ts';

export const judgement = z
  .object({
    state: z.enum(FRESHNESS_STATES).describe('outdated: the sources were asked lately and have nothing newer'),
    sessions_behind: z
      .int()
      .nullable()
      .describe('Sessions that have started since the newest bar; without a calendar weekdays, of a crypto currency days'),
    age_minutes: z.number().nullable(),
    threshold_minutes: z.number(),
    session: z.string().describe('open, closed, weekend; none for a symbol without a calendar'),
    due_at: instant.nullable().describe('When it becomes due to be asked for again, or became'),
    failure: z
      .object({ since: instant, last_asked: instant, asked_again: instant, times: z.int(), code: z.string(), reason: z.string() })
      .nullable()
      .describe('The last answer of the sources, where that was a failure. Before `asked_again` only requests by hand ask again'),
    reason: z.string(),
  })
  .meta({ id: 'Freshness' });
const bar = z
  .object({
    date: z.string(),
    open: z.number(),
    high: z.number(),
    low: z.number(),
    close: z.number(),
    adjusted_close: z.number(),
    volume: z.number(),
  })
  .meta({ id: 'Bar' });
export const freshnessCounts = z.object({ fresh: z.int(), outdated: z.int(), stale: z.int(), missing: z.int() });
/** The symbol, and the source and freshness of its data. */
const head = {
  symbol: z.string(),
  currency: z.string().nullable(),
  time_zone: z.string().nullable(),
  source: z.string().nullable(),
  simulated: z.boolean().describe('true for made-up prices'),
  as_of: instant.nullable().describe('The moment the newest bar was true'),
  checked_at: instant.nullable().describe('The last time that a source answered'),
  unrestated_split: z
    .string()
    .nullable()
    .describe('Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal'),
  price: judgement,
};
const values = z.record(z.string(), z.number().nullable());
const analysis = judgement
  .extend({
    date: z.string().nullable().describe('Of the newest bar used'),
    computed_at: instant.nullable(),
    signal: z.enum(['buy', 'sell', 'hold']).nullable(),
    confidence: z.number().nullable().describe('0-1'),
    bars_used: z.int().nullable(),
    reasons: z.array(z.object({ indicator: z.string(), observation: z.string(), points: z.number(), weight: z.number() })),
    indicators: values.nullable(),
  })
  .meta({ id: 'Analysis' });
const signal = z
  .object({
    date: z.string().describe('Of the newest bar used'),
    computed_at: instant,
    signal: z.enum(['buy', 'sell', 'hold']),
    confidence: z.number().describe('0-1'),
    bars_used: z.int(),
    close: z.number().nullable().describe('On that day, as it was traded'),
    reasons: analysis.shape.reasons,
  })
  .meta({ id: 'PastSignal' });
const actions = z
  .array(z.object({ date: z.string(), kind: z.enum(['split', 'dividend']), value: z.number() }))
  .meta({ id: 'CorporateActions' });

const range = {
  from: day.optional().describe('First day; without it the newest bars'),
  to: day.optional(),
  limit: limit(250, 5000).describe('The newest so many of the range'),
};

/** Splits and dividends of so many days before the newest bar are answered. */
const ACTION_DAYS = 365;

const params = z.strictObject({ symbol: SymbolSchema });

export function symbolRoutes(app: App, parts: Parts): void {
  symbolRoute(app, parts);
  barsRoute(app, parts);
  indicatorsRoute(app, parts);
  analysisRoute(app, parts);
  signalsRoute(app, parts);
}

function symbolRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol',
    config: { access: 'key' },
    schema: {
      operationId: 'readSymbol',
      summary: 'All that is known of a symbol',
      tags: ['symbols'],
      params,
      response: {
        200: z.object({
          ...head,
          bar: bar.nullable().describe('The newest one'),
          previous_close: z.number().nullable().describe('On the session before the newest bar; after a split in the shares of today'),
          has_research: z.boolean().describe('Figures or headlines are stored: /research has them'),
          analysis,
          actions,
        }),
        ...problems,
      },
    },
    async handler({ params: { symbol } }) {
      const judged = await readKnownSymbol(parts, symbol);
      const { newestBar } = judged.state;
      const [has_research, bars, told, previous] = await Promise.all([
        hasResearch(parts.db, symbol),
        newestBar === null ? [] : readBars(parts.db, symbol, { from: newestBar, to: newestBar }),
        newestBar === null ? [] : readActions(parts.db, symbol, { from: daysBefore(newestBar, ACTION_DAYS) }),
        newestBar === null ? new Map<string, number>() : readPreviousCloses(parts.db, [symbol]),
      ]);
      return {
        ...symbolJson(symbol, judged, bars[0], told),
        previous_close: previous.get(symbol) ?? null,
        has_research,
      };
    },
  });
}

function barsRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/bars',
    config: { access: 'key' },
    schema: {
      operationId: 'listBars',
      summary: 'Daily bars, ascending',
      description:
        'As they were traded; with `adjusted=true` open, high, low and close are scaled for all later splits and dividends, which charts want.',
      tags: ['symbols'],
      params,
      querystring: z.strictObject({ ...range, adjusted: flag.default(false), format }),
      response: { 200: z.object({ ...head, adjusted: z.boolean(), bars: z.array(bar), actions }), ...problems },
    },
    async handler(request, reply) {
      const { symbol } = request.params;
      const { query } = request;
      const judged = await readKnownSymbol(parts, symbol);
      const { bars } = await readBarRange(parts.db, symbol, query, judged.state.newestBar);
      const [oldest] = bars;
      const shown = (query.adjusted ? adjustedBars(bars) : bars).map(barJson);
      if (wantsCsv(request)) return sendCsv(reply, `${symbol}-bars`, csvOf(BAR_COLUMNS, shown));
      const told = oldest === undefined ? [] : await readActions(parts.db, symbol, { from: oldest.date, to: bars.at(-1)?.date });
      return {
        ...headOf(symbol, judged),
        adjusted: query.adjusted,
        bars: shown,
        actions: told,
      };
    },
  });
}

function indicatorsRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/indicators',
    config: { access: 'key' },
    schema: {
      operationId: 'listIndicators',
      summary: 'Indicators of each bar, as columns',
      description:
        'Computed from the stored bars, adjusted for splits and dividends, or with `adjusted=false` from the bars as they were traded, which jump at a split; null where history is too short.',
      tags: ['symbols'],
      params,
      querystring: z.strictObject({ ...range, adjusted: flag.default(true), format }),
      response: {
        200: z.object({
          ...head,
          adjusted: z.boolean(),
          dates: z.array(z.string()),
          indicators: z.record(z.string(), z.array(z.number().nullable())),
        }),
        ...problems,
      },
    },
    async handler(request, reply) {
      const { symbol } = request.params;
      const { query } = request;
      const judged = await readKnownSymbol(parts, symbol);
      const { bars, first } = await readBarRange(parts.db, symbol, query, judged.state.newestBar, WARM_UP_BARS);
      const { dates, indicators } = indicatorColumns(bars, first, query.adjusted);
      if (wantsCsv(request)) return sendCsv(reply, `${symbol}-indicators`, columnsCsv(dates, indicators));
      return { ...headOf(symbol, judged), adjusted: query.adjusted, dates, indicators };
    },
  });
}

function analysisRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/analysis',
    config: { access: 'key' },
    schema: {
      operationId: 'readAnalysis',
      summary: 'The signal and its reasons, and the opinion of a language model',
      description:
        'The signal is computed from prices. The opinion of the model stands beside it, never instead of it, and is no investment advice.',
      tags: ['symbols'],
      params,
      response: { 200: z.object({ ...head, analysis, ...modelOpinion }), ...problems },
    },
    async handler({ params: { symbol } }) {
      const [judged, opinion] = await Promise.all([readKnownSymbol(parts, symbol), readOpinionJson(parts, symbol)]);
      return { ...headOf(symbol, judged), analysis: symbolJson(symbol, judged, undefined, []).analysis, ...opinion };
    },
  });
}

function signalsRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/signals',
    config: { access: 'key' },
    schema: {
      operationId: 'listSignals',
      summary: 'The signals of a symbol day by day, newest first',
      tags: ['symbols'],
      params,
      querystring: z.strictObject({
        before: day.optional().describe('Only days before this one: the last `date` of the page before'),
        limit: limit(100, 1000),
        format,
      }),
      response: { 200: z.object({ symbol: z.string(), signals: z.array(signal), next: z.string().nullable() }), ...problems },
    },
    async handler(request, reply) {
      const { symbol } = request.params;
      const { before, limit: most } = request.query;
      const found = await readPastSignals(db, symbol, { before, limit: most + 1 });
      const { rows: signals, next } = pageOf(found, most, ({ date }) => date);
      if (wantsCsv(request)) return sendCsv(reply, `${symbol}-signals`, csvOf(SIGNAL_COLUMNS, signals), next);
      return { symbol, signals, next };
    },
  });
}

function headOf(symbol: string, judged: KnownSymbol) {
  const { analysis: _, actions: __, bar: ___, ...rest } = symbolJson(symbol, judged, undefined, []);
  return rest;
}
