/** `stockmesh position`: the option positions that exit mode ranks. */

import { nowOf } from '../../ledger/job.ts';
import { POSITION_COLUMNS, positionValueJson, readPositionValues } from '../../market/options/store/position-values.ts';
import {
  addPositions,
  listPositions,
  parsePosition,
  refuseExpired,
  removePosition,
  requireKnown,
  type StoredPosition,
} from '../../market/options/store/positions.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { parseUser } from '../../platform/user-id.ts';
import { cliActor } from '../actor.ts';
import { money, paintGain, plural, quantity, signed, signedPercent, stamp } from '../output/numbers.ts';
import { print, printCsv, printJson } from '../output/print.ts';
import { type Column, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

export interface AddOptions extends Options {
  price: number;
  quantity: number;
  target?: number | undefined;
  stop?: number | undefined;
  entrySpot?: number | undefined;
  entryIv?: number | undefined;
  opened?: string | undefined;
}

/** Errors: `InputError('position.invalid' | 'position.expired' | 'user.invalid' | 'user.unknown')`. */
export async function add(user: string, contract: string, options: AddOptions): Promise<number> {
  const owner = parseUser(user);
  const given = parsePosition({
    contract,
    quantity: options.quantity,
    entry_price: options.price,
    entry_iv: options.entryIv,
    entry_spot: options.entrySpot,
    target: options.target,
    stop: options.stop,
    opened_at: options.opened,
  });
  return withSession(options, async ({ db, clock }) => {
    refuseExpired([given], clock.now());
    const now = nowOf({ clock });
    const added = await db.transaction(async (tx) => {
      await requireKnown(tx, owner);
      await addPositions(tx, owner, [given], now);
      const one = (await listPositions(tx, owner)).at(-1) as StoredPosition;
      const details = `${one.contract} of user ${JSON.stringify(owner)}`;
      recordChange(tx, cliActor(), { action: 'position.add', target: `position:${one.id}`, details });
      return one;
    });
    if (options.json) printJson({ ok: true, position: added });
    else
      print(
        `position ${added.id}: ${plain(owner)} holds ${quantity(added.quantity)} ${added.contract} bought at ${money(added.entry_price)}`,
      );
    return 0;
  });
}

export async function list(user: string | undefined, options: Options & { csv?: boolean | undefined }): Promise<number> {
  const owner = user === undefined ? undefined : parseUser(user);
  return withSession(options, async ({ db }) => {
    const stored = await listPositions(db, owner);
    const values = await readPositionValues(db, stored);
    const positions = stored.map((one) => ({ ...one, ...positionValueJson(values.get(one.id)) }));
    if (options.csv) printCsv(csvOf(['user_id', ...POSITION_COLUMNS], positions));
    else if (options.json) printJson({ positions });
    else if (positions.length === 0) print(`no positions; "${COMMAND} position add" adds one`);
    else print([table(positions, COLUMNS), ...totalOf(positions)].join(''));
    return 0;
  });
}

/** Errors: `InputError('position.unknown')`. */
export async function remove(id: string, options: Options): Promise<number> {
  return withSession(options, async ({ db }) => {
    await db.transaction(async (tx) => {
      await removePosition(tx, id);
      recordChange(tx, cliActor(), { action: 'position.remove', target: `position:${id}` });
    });
    if (options.json) printJson({ ok: true, id });
    else print(`position ${id} is removed`);
    return 0;
  });
}

type Valued = StoredPosition & ReturnType<typeof positionValueJson>;

function totalOf(positions: readonly Valued[]): string[] {
  const known = positions.filter(({ value }) => value !== null);
  if (known.length === 0) return [];
  const sum = (field: 'value' | 'profit'): number => known.reduce((total, one) => total + (one[field] as number), 0);
  const unknown = positions.length === known.length ? '' : `; ${plural(positions.length - known.length, 'position')} without a quote`;
  return [`\nworth ${money(sum('value'))}, ${signed(sum('profit'))} since they were bought${unknown}\n`];
}

const COLUMNS: Column<Valued>[] = [
  { title: 'ID', value: ({ id }) => id, align: 'right' },
  { title: 'USER', value: ({ user_id }) => user_id },
  { title: 'CONTRACT', value: ({ contract }) => contract },
  { title: 'QUANTITY', value: (one) => quantity(one.quantity), align: 'right' },
  { title: 'PRICE', value: ({ entry_price }) => money(entry_price), align: 'right' },
  { title: 'MID', value: ({ mid }) => money(mid), align: 'right', optional: 3 },
  { title: 'VALUE', value: ({ value }) => money(value), align: 'right', optional: 2 },
  { title: 'P/L', value: ({ profit }) => signed(profit), align: 'right', paint: paintGain, optional: 1 },
  { title: 'P/L %', value: ({ profit_pct }) => signedPercent(profit_pct), align: 'right', paint: paintGain, optional: 4 },
  { title: 'QUOTED', value: ({ quoted_at }) => quoted_at && stamp(quoted_at), optional: 7 },
  { title: 'NOTE', value: ({ simulated }) => (simulated ? 'made-up quotes' : null), optional: 5 },
  { title: 'ENTRY SPOT', value: ({ entry_spot }) => money(entry_spot), align: 'right', optional: 2 },
  { title: 'TARGET', value: ({ target }) => money(target), align: 'right', optional: 1 },
  {
    title: 'ENTRY IV',
    value: ({ entry_iv }) => (entry_iv === null ? null : `${(100 * entry_iv).toFixed(1)} %`),
    align: 'right',
    optional: 4,
  },
  { title: 'STOP', value: ({ stop }) => (stop === null ? null : `-${(100 * stop).toFixed(0)} %`), align: 'right', optional: 3 },
  { title: 'OPENED', value: ({ opened_at }) => opened_at.toISOString().slice(0, 10), optional: 5 },
];
