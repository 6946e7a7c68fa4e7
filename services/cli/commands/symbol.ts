/** `stockmesh symbol`: the stored data of one symbol, its source and its freshness. */

import { readModelOpinion } from '../../job-types/llm-analysis/state.ts';
import { modelAnalysisJson } from '../../job-types/llm-analysis/store.ts';
import { nowOf } from '../../ledger/job.ts';
import type { Bar, CorporateAction } from '../../market/bars/bars.ts';
import { readActions, readBars } from '../../market/bars/read.ts';
import { unrestatedReason } from '../../market/bars/splits.ts';
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { isSimulated, judgeSymbols, type StoredSignal, type SymbolJudgement, symbolJson } from '../../market/freshness/symbol-judgement.ts';
import { readResearch, researchJson } from '../../market/research/read.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { InputError } from '../../platform/errors.ts';
import { paint, paintFreshness, paintSignal } from '../output/colour.ts';
import { ago, plural, quantity, sharePrice, stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, fields, table } from '../output/table.ts';
import { opinionSections, researchSections } from '../research/sections.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export interface SymbolOptions extends GlobalOptions {
  indicators?: boolean | undefined;
  json?: boolean | undefined;
}

/** Headlines that are shown. */
const HEADLINES = 10;
/** Splits and dividends of so many days before the newest bar are shown. */
const ACTION_DAYS = 365;

/** Errors: `InputError('symbol.invalid' | 'symbol.unknown')`. */
export async function symbol(text: string, options: SymbolOptions): Promise<number> {
  const name = parseSymbol(text);
  return withSession(options, async (session) => {
    const { db, clock, loaded } = session;
    const [judgements, research, opinion] = await Promise.all([
      judgeSymbols(db, [name], clock.now(), freshnessRules(loaded.config)),
      readResearch(db, name, HEADLINES),
      readModelOpinion(db, loaded.config, name),
    ]);
    const judged = judgements.get(name) as SymbolJudgement;
    const { state } = judged;
    if (state === undefined && research === undefined)
      throw new InputError(
        'symbol.unknown',
        `no data is stored for ${name}: it was never fetched; fetch it with "${COMMAND} fetch ${name} --wait"`,
      );
    const newestBar = state?.newestBar ?? null;
    const [bars, actions] =
      newestBar === null
        ? [[], []]
        : await Promise.all([
            readBars(db, name, { from: newestBar, to: newestBar }),
            readActions(db, name, { from: Temporal.PlainDate.from(newestBar).subtract({ days: ACTION_DAYS }).toString() }),
          ]);
    const now = nowOf(session);
    if (options.json)
      printJson({
        ...symbolJson(name, judged, bars[0], actions),
        research: research === undefined ? null : researchJson(name, research, clock.now()),
        model_analysis: opinion.analysis === undefined ? null : modelAnalysisJson(opinion.analysis, now),
        model_analysis_state: opinion.state,
      });
    else {
      const technical = state === undefined ? [] : sections(name, judged, bars[0], actions, options.indicators === true, now);
      print(
        [...technical, ...(research === undefined ? [] : researchSections(research, now)), ...opinionSections(opinion, now)].join('\n'),
      );
    }
    return 0;
  });
}

function* sections(
  name: string,
  { state, price, analysis, signal }: SymbolJudgement,
  bar: Bar | undefined,
  actions: readonly CorporateAction[],
  indicators: boolean,
  now: Date,
): Generator<string> {
  const currency = state?.currency === null ? '' : ` ${state?.currency}`;
  yield fields([
    ['symbol', paint('bold', name)],
    [
      'close',
      bar === undefined
        ? 'no bars'
        : `${sharePrice(bar.close)}${currency} on ${bar.date}${bar.close === bar.adjustedClose ? '' : `, adjusted ${sharePrice(bar.adjustedClose)}`}${isSimulated(state) ? paint('yellow', ', made up') : ''}`,
    ],
    [
      'bar',
      bar && `open ${sharePrice(bar.open)}, high ${sharePrice(bar.high)}, low ${sharePrice(bar.low)}, volume ${quantity(bar.volume)}`,
    ],
    ['source', isSimulated(state) ? paint('yellow', 'simulated: made-up prices') : state?.source],
    ['as of', state?.asOf && `${stamp(state.asOf)}, ${ago(state.asOf, now)}`],
    ['checked', state?.checkedAt && `${stamp(state.checkedAt)}, ${ago(state.checkedAt, now)}`],
    ['warning', state?.unrestatedSplit && paint('yellow', unrestatedReason(state.unrestatedSplit))],
    ['price', `${paintFreshness(price.state, price.state)}: ${price.reason}`],
    ['analysis', `${paintFreshness(analysis.state, analysis.state)}: ${analysis.reason}`],
    [
      'signal',
      signal &&
        `${paintSignal(signal.signal, signal.signal)}, confidence ${Math.round(signal.confidence * 100)} %, from ${plural(signal.barsUsed, 'bar')} through ${signal.date}`,
    ],
  ]);
  if (price.failure !== undefined) yield `"${COMMAND} fetch ${name} --wait" asks the sources at once; check the spelling first\n`;
  else if (price.state === 'outdated') yield `"${COMMAND} fetch ${name} --wait" asks the sources again\n`;
  else if (price.state !== 'fresh' || analysis.state !== 'fresh') yield `"${COMMAND} fetch ${name} --wait" makes it fresh\n`;
  if (actions.length > 0)
    yield table(actions, [
      { title: 'EX-DATE', value: ({ date }) => date },
      { title: 'KIND', value: ({ kind }) => kind },
      {
        title: 'VALUE',
        value: ({ kind, value }) => (kind === 'split' ? `${quantity(value)} for 1` : `${sharePrice(value)}${currency} a share`),
        align: 'right',
      },
    ]);
  if (signal === undefined) return;
  yield table(signal.reasons, REASONS);
  if (indicators)
    yield table(Object.entries(signal.indicators), [
      { title: 'INDICATOR', value: ([indicator]) => indicator },
      { title: `ON ${signal.date}`, value: ([, value]) => sharePrice(value), align: 'right' },
    ]);
}

const REASONS: Column<StoredSignal['reasons'][number]>[] = [
  { title: 'RULE', value: ({ indicator }) => indicator },
  {
    title: 'POINTS',
    value: ({ points }) => (points > 0 ? `+${points}` : String(points)),
    align: 'right',
    paint: (text, { points }) => (points === 0 ? text : paint(points > 0 ? 'green' : 'red', text)),
  },
  { title: 'OF', value: ({ weight }) => weight, align: 'right', optional: 1 },
  { title: 'OBSERVATION', value: ({ observation }) => observation, flexible: 24 },
];
