/** A report as lines for people. */
import type { Disclosure } from '../../picks/report/disclosures.ts';
import type { Report, StoredPick } from '../../picks/report/schema.ts';
import { paint } from '../output/colour.ts';
import { sharePrice } from '../output/numbers.ts';
import { type Column, table } from '../output/table.ts';

const COLUMNS: Column<StoredPick>[] = [
  { title: '#', value: ({ rank }) => rank, align: 'right' },
  { title: 'SYMBOL', value: ({ ticker }) => ticker },
  { title: 'NAME', value: ({ name }) => name, flexible: 12, optional: 2 },
  { title: 'SECTOR', value: ({ sector }) => sector, flexible: 10, optional: 3 },
  { title: 'SCORE', value: ({ total }) => total.toFixed(2), align: 'right' },
  { title: 'PRICE', value: ({ price_at }) => sharePrice(price_at), align: 'right' },
  { title: 'RISK', value: ({ risk_level }) => risk_level },
  { title: 'CHANGE', value: ({ change }) => change, optional: 1 },
];

/** The whole report: picks with their reasons, what just missed, themes, the market, and what the reader must know. */
export function reportText(report: Report, disclosures: readonly Disclosure[], note?: string): string {
  const { week_of, version, data_date, source, simulated, fallback_reason, universe, shortfall, relaxed } = report;
  const labels = [source === 'sample' && 'SAMPLE', simulated && 'MADE-UP DATA', universe.small && 'small universe'].filter(
    (label) => label !== false,
  );
  const head = `Picks of the week of ${week_of}, version ${version}; prices of ${data_date}; ${universe.eligible} of ${universe.size} symbols could be picked`;
  const lines = [
    ...(note === undefined ? [] : [paint('yellow', note)]),
    ...(labels.length === 0 ? [] : [paint('yellow', labels.join(', '))]),
    paint('bold', head),
    ...(fallback_reason === null || fallback_reason === 'sample' ? [] : [`written by the program alone: ${FALLBACKS[fallback_reason]}`]),
    ...(shortfall === null ? [] : [shortfall.text]),
    ...(relaxed.length === 0 ? [] : [`relaxed: ${relaxed.join(', ')}`]),
    '',
    table(report.stock_picks, COLUMNS).trimEnd(),
    ...report.stock_picks.flatMap(pickLines),
    ...(report.near_misses.length === 0 ? [] : ['', paint('bold', 'Just missed')]),
    ...report.near_misses.map(({ ticker, total, reason }) => `  ${ticker} ${total.toFixed(2)}: ${reason.text}`),
    '',
    paint('bold', 'Themes'),
    ...report.investment_themes.flatMap(({ title, summary, tickers }) => [`  ${title} (${tickers.join(', ')}): ${summary.text}`]),
    '',
    paint('bold', 'Market'),
    ...report.market_analysis.environment.map(({ text }) => `  ${text}`),
    '',
    ...disclosures.map(({ text }) => text),
  ];
  return lines.join('\n');
}

const FALLBACKS: Record<Exclude<NonNullable<Report['fallback_reason']>, 'sample'>, string> = {
  no_model: 'no language model is configured',
  cap_reached: 'the model would cost more than its cap',
  payment_unknown: 'nobody knows yet whether the call of the model was paid for',
  invalid_answer: 'no sentence of the model passed the checks',
  model_failed: 'the model gave no answer',
};

function pickLines({ ticker, parts, total, missing, reasons, rationale, held_pct }: StoredPick): string[] {
  const points = parts.map(
    ({ factor, score, weight, points: given }) => `${factor} ${score === null ? 'unknown' : `${score} × ${weight}`} = ${given}`,
  );
  return [
    '',
    paint('bold', ticker),
    ...(rationale ?? reasons).map(({ text }) => `  ${text}`),
    `  50 + ${points.join(' + ')} = ${total}`,
    ...(missing.length === 0 ? [] : [`  not known: ${missing.join(', ')}`]),
    ...(held_pct > 0 ? [`  ${held_pct.toFixed(1)} % of the portfolio`] : []),
  ];
}
