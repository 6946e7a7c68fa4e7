/** What an import would change, for people and as JSON. */
import { type Counts, MOST_LISTED, type PositionChange, type Preview } from '../../market/portfolios/preview.ts';
import { paint, type Style } from './colour.ts';
import { plural, quantity, sharePrice } from './numbers.ts';
import { type Column, table } from './table.ts';

const STYLES = { added: 'green', changed: 'yellow', removed: 'red' } as const satisfies Record<string, Style>;

/** A table of the changes, one of the users, and the totals. */
export function previewText({ users, byUser, changes, ...counts }: Preview): string {
  const total = counts.added + counts.changed + counts.removed;
  const sections = [
    total === 0 ? '' : table(changes.toSorted(byName), CHANGES),
    leftOut(total, 'change'),
    table(byUser, USERS),
    leftOut(users, 'user'),
    `${plural(users, 'user')}: ${totals(counts)}; nothing was written\n`,
  ];
  return sections.filter((section) => section !== '').join('\n');
}

export function previewJson({ users, byUser, changes, ...counts }: Preview) {
  return { ok: true, dry_run: true, users, ...counts, by_user: byUser, changes };
}

function leftOut(count: number, what: string): string {
  return count > MOST_LISTED ? `… ${plural(count - MOST_LISTED, `more ${what}`)}\n` : '';
}

const totals = ({ added, changed, removed, unchanged }: Counts): string =>
  `${added} added, ${changed} changed, ${removed} removed, ${unchanged} unchanged`;

function byName(a: PositionChange, b: PositionChange): number {
  return compareText(a.user, b.user) || compareText(a.symbol, b.symbol);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const CHANGES: Column<PositionChange>[] = [
  { title: 'USER', value: ({ user }) => user },
  { title: 'SYMBOL', value: ({ symbol }) => symbol },
  { title: 'CHANGE', value: ({ change }) => change, paint: (text, { change }) => paint(STYLES[change], text) },
  {
    title: 'QUANTITY',
    value: (one) => fromTo(one, ({ quantity: held }) => (held === 0 ? 'watched' : quantity(held))),
    align: 'right',
  },
  { title: 'COST', value: (one) => fromTo(one, ({ cost }) => sharePrice(cost) ?? 'unknown'), align: 'right' },
];

const USERS: Column<Preview['byUser'][number]>[] = [
  { title: 'USER', value: ({ user }) => user },
  ...(['added', 'changed', 'removed', 'unchanged'] as const).map(
    (key): Column<Preview['byUser'][number]> => ({ title: key.toUpperCase(), value: (row) => row[key], align: 'right' }),
  ),
];

/** `10 → 12`; one value where there is one, or where both are the same. */
function fromTo({ from, to }: PositionChange, show: (position: NonNullable<PositionChange['to']>) => string): string {
  const [before, after] = [from && show(from), to && show(to)];
  return before === null || after === null || before === after ? (before ?? after ?? '') : `${before} → ${after}`;
}
