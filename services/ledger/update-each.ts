import type { Transaction } from '../platform/database/database.ts';

/** The server searches a CASE from its beginning for every row, so the cost of a statement grows with the square of its rows. */
export const ROWS_A_STATEMENT = 100;

/** Sets `columns` of each job to its own values, by primary key. The transaction must have locked the jobs. */
export async function updateEach(
  tx: Transaction,
  columns: readonly string[],
  rows: readonly { id: Buffer; values: readonly unknown[] }[],
): Promise<void> {
  for (let start = 0; start < rows.length; start += ROWS_A_STATEMENT) {
    const some = rows.slice(start, start + ROWS_A_STATEMENT);
    const whens = some.map(() => 'WHEN ? THEN ?').join(' ');
    tx.later(
      `UPDATE jobs FORCE INDEX (PRIMARY) SET ${columns.map((column) => `${column} = CASE id ${whens} END`).join(', ')} WHERE id IN (?)`,
      [
        ...columns.flatMap((_, column) => some.flatMap(({ id, values }) => [id, values[column]])),
        some.map(({ id }) => id).sort(Buffer.compare),
      ],
    );
  }
}
