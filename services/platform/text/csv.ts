/** Rows as CSV (RFC 4180), for people who open them in a spreadsheet. */

export type CsvCell = string | number | boolean | Date | null | undefined;

/** A spreadsheet takes a text that begins so for a formula, and runs it (OWASP, CSV Injection). Numbers are no texts, and keep their sign. */
const FORMULA = /^[=+\-@\t\r]/;

export function csvText(titles: readonly string[], rows: Iterable<readonly CsvCell[]>): string {
  const lines = [titles.join(',')];
  for (const row of rows) lines.push(row.map(cellText).join(','));
  return `${lines.join('\r\n')}\r\n`;
}

function cellText(cell: CsvCell): string {
  if (cell === null || cell === undefined) return '';
  if (cell instanceof Date) return cell.toISOString();
  if (typeof cell !== 'string') return String(cell);
  const safe = FORMULA.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Columns by the fields of the rows. */
export function csvOf<Row extends object>(columns: readonly (keyof Row & string)[], rows: readonly Row[]): string {
  return csvText(
    columns,
    rows.map((row) => columns.map((name) => row[name] as CsvCell)),
  );
}
