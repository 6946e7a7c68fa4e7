/** `stockmesh spend`: what paid calls of the model cost, and settling those of which nobody knows. */
import { dollars, listSpend, readTotals, type Spend, type SpendState, settleByHand } from '../../model/spend.ts';
import type { Purpose } from '../../platform/config/sections/model.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { cliActor } from '../actor.ts';
import { stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export interface SpendOptions extends GlobalOptions {
  purpose?: Purpose | undefined;
  user?: string | undefined;
  state?: SpendState | undefined;
  before?: number | undefined;
  limit: number;
  json?: boolean | undefined;
}

const COLUMNS: Column<Spend>[] = [
  { title: 'ID', value: ({ id }) => id, align: 'right' },
  { title: 'AT', value: ({ reservedAt }) => stamp(reservedAt) },
  { title: 'PURPOSE', value: ({ purpose }) => purpose, optional: 2 },
  { title: 'USER', value: ({ userId }) => userId, flexible: 8, optional: 1 },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'RESERVED', value: ({ reservedMicros }) => dollars(reservedMicros), align: 'right' },
  { title: 'COST', value: ({ settledMicros }) => (settledMicros === null ? null : dollars(settledMicros)), align: 'right' },
  { title: 'BY', value: ({ costSource }) => costSource, optional: 3 },
  { title: 'MODEL', value: ({ modelAsked }) => modelAsked, flexible: 8, optional: 4 },
  { title: 'WHAT', value: ({ intentKey, error }) => (error === null ? intentKey : `${intentKey}: ${error}`), flexible: 20 },
];

export async function spend({ purpose, user, state, before, limit, json, ...options }: SpendOptions): Promise<number> {
  return withSession(options, async ({ db, clock, loaded }) => {
    const [calls, totals] = await Promise.all([
      listSpend(db, { purpose, user, state, before, limit }),
      readTotals(db, clock, loaded.config.model),
    ]);
    const next = calls.length === limit ? (calls.at(-1)?.id ?? null) : null;
    if (json) printJson({ totals: totals.map(totalJson), calls: calls.map(spendJson), next });
    else {
      const lines = totals.map(
        ({ purpose: of, window, spentMicros, unknownMicros, capMicros, calls: count }) =>
          `${of} this ${window}: ${dollars(spentMicros)} of ${dollars(capMicros)} in ${count} calls${unknownMicros === 0 ? '' : `, ${dollars(unknownMicros)} of it unknown`}`,
      );
      print([...lines, ...(calls.length === 0 ? ['no paid call was made'] : [table(calls, COLUMNS).trimEnd()])].join('\n'));
      if (next !== null) print(`more: --before ${next}`);
    }
    return 0;
  });
}

/** Errors: those of `settleByHand`. */
export async function settle(
  id: number,
  { usd, json, ...options }: GlobalOptions & { usd: number; json?: boolean | undefined },
): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const settled = await settleByHand(db, clock, id, Math.round(usd * 1_000_000), (tx) =>
      recordChange(tx, cliActor(), { action: 'spend.settle', target: `spend:${id}`, details: `$${usd}` }),
    );
    if (json) printJson(spendJson(settled));
    else print(`call ${id} cost ${dollars(settled.settledMicros as number)}`);
    return 0;
  });
}

const usd = (micros: number | null): number | null => (micros === null ? null : micros / 1_000_000);

function spendJson(one: Spend) {
  const {
    id,
    intentKey,
    payment,
    purpose,
    userId,
    state,
    reservedMicros,
    settledMicros,
    costSource,
    provider,
    modelAsked,
    modelAnswered,
    reservedAt,
    error,
  } = one;
  return {
    ...{
      id,
      intent: intentKey,
      payment,
      purpose,
      user: userId,
      state,
      reserved_usd: usd(reservedMicros),
      cost_usd: usd(settledMicros),
      cost_source: costSource,
    },
    ...{ provider, model_asked: modelAsked, model_answered: modelAnswered, reserved_at: reservedAt, error },
  };
}

function totalJson({ purpose, window, spentMicros, unknownMicros, capMicros, calls }: Awaited<ReturnType<typeof readTotals>>[number]) {
  return { purpose, window, spent_usd: usd(spentMicros), unknown_usd: usd(unknownMicros), cap_usd: usd(capMicros), calls };
}
