/** `stockmesh position`: the option positions that exit mode ranks. */

import { nowOf } from '../../ledger/job.ts';
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
import { parseUser } from '../../platform/user-id.ts';
import { cliActor } from '../actor.ts';
import { money, quantity } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
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

export async function list(user: string | undefined, options: Options): Promise<number> {
  const owner = user === undefined ? undefined : parseUser(user);
  return withSession(options, async ({ db }) => {
    const positions = await listPositions(db, owner);
    if (options.json) printJson({ positions });
    else print(positions.length === 0 ? `no positions; "${COMMAND} position add" adds one` : table(positions, COLUMNS));
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

const COLUMNS: Column<StoredPosition>[] = [
  { title: 'ID', value: ({ id }) => id, align: 'right' },
  { title: 'USER', value: ({ user_id }) => user_id },
  { title: 'CONTRACT', value: ({ contract }) => contract },
  { title: 'QUANTITY', value: (one) => quantity(one.quantity), align: 'right' },
  { title: 'PRICE', value: ({ entry_price }) => money(entry_price), align: 'right' },
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
