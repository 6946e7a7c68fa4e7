/** Bars, splits and dividends that cannot be true. A source's answer is stored without them and names them, so that one bad row does not cost the others. */
import type { Bar, BarsAnswer, CorporateAction } from './bars.ts';

/** A row that was left out of an answer. `date` is as the source gives it, or empty. */
export interface LeftOut {
  date: string;
  kind: 'bar' | CorporateAction['kind'];
  /** The fault with its value, such as `low 0 is not a price`. */
  reason: string;
}

/** The largest splits known are some 1 for 500; a larger ratio is a typing error of the source, and would make prices of 1e9 or of 1e-9. */
export const MOST_SHARES = 1000;

const isPrice = (value: number): boolean => Number.isFinite(value) && value > 0;

/** Why a bar cannot be true: a price that is not a positive number, high below low, or a negative volume. Undefined for a good bar. */
export function barFault({ open, high, low, close, adjustedClose, volume }: Bar): string | undefined {
  // Field by field: a walk over their names took as long as all that is compared of a bar.
  if (!isPrice(open)) return `open ${open} is not a price`;
  if (!isPrice(high)) return `high ${high} is not a price`;
  if (!isPrice(low)) return `low ${low} is not a price`;
  if (!isPrice(close)) return `close ${close} is not a price`;
  if (!isPrice(adjustedClose)) return `adjusted close ${adjustedClose} is not a price`;
  if (high < low) return `high ${high} is below low ${low}`;
  return Number.isFinite(volume) && volume >= 0 ? undefined : `volume ${volume} is not a volume`;
}

/** Why a split or a dividend cannot be true, with `text` as its value in the message. Undefined for a good one. */
export function actionFault({ kind, value }: Pick<CorporateAction, 'kind' | 'value'>, text = String(value)): string | undefined {
  if (kind === 'dividend') return Number.isFinite(value) && value > 0 ? undefined : `a dividend of ${text} is none`;
  if (!Number.isFinite(value) || value <= 0) return `a split of ${text} is none`;
  if (value === 1) return `a split of ${text} changes nothing`;
  return value > MOST_SHARES || value < 1 / MOST_SHARES
    ? `a split of ${text} is not between 1:${MOST_SHARES} and ${MOST_SHARES}:1`
    : undefined;
}

/**
 * The answer without the rows that cannot be true, which `leftOut` names beside those of `known`. Of two dividends on one day there is their sum, of two splits
 * their product: a day has one row of each kind.
 */
export function withoutSenseless<Answer extends Pick<BarsAnswer, 'bars' | 'actions'>>(
  answer: Answer,
  known: readonly LeftOut[] = [],
): Answer & Pick<BarsAnswer, 'leftOut'> {
  const leftOut = [...known];
  const keep = <Row extends { date: string }>(
    rows: readonly Row[],
    kindOf: (row: Row) => LeftOut['kind'],
    fault: (row: Row) => string | undefined,
  ) =>
    rows.filter((row) => {
      const reason = fault(row);
      if (reason !== undefined) leftOut.push({ date: row.date, kind: kindOf(row), reason });
      return reason === undefined;
    });
  const bars = keep(answer.bars, () => 'bar', barFault);
  const actions = onePerDay(
    keep(
      answer.actions,
      ({ kind }) => kind,
      (action) => actionFault(action),
    ),
  );
  return {
    ...answer,
    bars,
    actions,
    ...(leftOut.length > 0 && { leftOut: leftOut.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0)) }),
  };
}

function onePerDay(actions: readonly CorporateAction[]): CorporateAction[] {
  const days = new Map<string, CorporateAction>();
  for (const action of actions) {
    const key = `${action.date} ${action.kind}`;
    const same = days.get(key);
    if (same === undefined) days.set(key, { ...action });
    else same.value = action.kind === 'split' ? same.value * action.value : Number((same.value + action.value).toPrecision(12));
  }
  return [...days.values()];
}

/** Rows that a warning names; the others are counted. */
const NAMED = 5;

/** A sentence for people about what was left out; undefined when that is nothing. */
export function leftOutWarning(source: string, leftOut: readonly LeftOut[] = []): string | undefined {
  if (leftOut.length === 0) return undefined;
  const bars = leftOut.filter(({ kind }) => kind === 'bar').length;
  const events = leftOut.length - bars;
  const counts = [
    ...(bars === 0 ? [] : [`${bars} ${bars === 1 ? 'bar' : 'bars'}`]),
    ...(events === 0 ? [] : [`${events} ${events === 1 ? 'event' : 'events'}`]),
  ].join(' and ');
  const named = leftOut.slice(0, NAMED).map(({ date, reason }) => `${date === '' ? 'without a date' : date}: ${reason}`);
  const others = leftOut.length > NAMED ? `; and ${leftOut.length - NAMED} more` : '';
  return `${counts} of ${source} left out, because ${leftOut.length === 1 ? 'it' : 'they'} cannot be true (${named.join('; ')}${others})`;
}
