/** What option positions are worth, by the newest quotes that are stored of their contracts. */
import type { Sql } from '../../../platform/database/database.ts';
import type { StoredPosition } from './positions.ts';

/** Shares of a contract, of all but adjusted ones (OCC, Characteristics and Risks of Standardized Options). */
const SHARES = 100;

export interface PositionValue {
  /** Dollars a share, between bid and ask. */
  mid: number;
  quotedAt: Date;
  simulated: boolean;
  /** Dollars: mid × contracts × 100. */
  value: number;
  /** Dollars: the same less what was paid. */
  profit: number;
  profitPct: number;
}

/**
 * By position id; without a quote in the published rankings a position has none. The rankings of all modes are looked at, and the newest quote counts: by `ux_contract` of each
 * published run.
 */
export async function readPositionValues(sql: Sql, positions: readonly StoredPosition[]): Promise<Map<string, PositionValue>> {
  const contracts = [...new Set(positions.map(({ contract }) => contract))];
  if (contracts.length === 0) return new Map();
  const rows = await sql.rows<{ contract: string; mid: number; quoted_at: Date; source: string }>(
    `SELECT r.contract, r.mid, r.quoted_at, o.source
       FROM option_current c JOIN options_ranks r FORCE INDEX (ux_contract) ON r.run_id = c.run_id JOIN option_runs o ON o.run_id = c.run_id
      WHERE r.contract IN (?)`,
    [contracts],
  );
  const newest = new Map<string, (typeof rows)[number]>();
  for (const row of rows) {
    const known = newest.get(row.contract);
    if (known === undefined || known.quoted_at < row.quoted_at) newest.set(row.contract, row);
  }
  return new Map(
    positions.flatMap(({ id, contract, quantity, entry_price }) => {
      const quote = newest.get(contract);
      if (quote === undefined) return [];
      const gain = quote.mid - entry_price;
      return [
        [
          id,
          {
            ...{ mid: quote.mid, quotedAt: quote.quoted_at, simulated: quote.source === 'simulated' },
            ...{ value: quote.mid * quantity * SHARES, profit: gain * quantity * SHARES, profitPct: (100 * gain) / entry_price },
          },
        ] as const,
      ];
    }),
  );
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

/** As `--json` and the HTTP API give it. */
export function positionValueJson(value: PositionValue | undefined) {
  if (value === undefined) return { mid: null, quoted_at: null, simulated: false, value: null, profit: null, profit_pct: null };
  return {
    ...{ mid: value.mid, quoted_at: value.quotedAt, simulated: value.simulated },
    ...{ value: rounded(value.value, 4), profit: rounded(value.profit, 4), profit_pct: rounded(value.profitPct, 4) },
  };
}

/** The columns of option positions as CSV. */
export const POSITION_COLUMNS = [
  ...(['id', 'contract', 'quantity', 'entry_price', 'entry_iv', 'entry_spot', 'target', 'stop', 'opened_at'] as const),
  ...(['mid', 'quoted_at', 'simulated', 'value', 'profit', 'profit_pct'] as const),
];
