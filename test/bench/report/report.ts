/** Tables for people; the same measurements go to `--json`. */

export type Cell = string | number;

/** Text columns to the left, numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map((cell) => (typeof cell === 'number' ? figure(cell) : cell)));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isFigure = headings.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (isFigure[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return [lines[0], widths.map((width) => '─'.repeat(width)).join('──'), ...lines.slice(1)].map((line) => `  ${line}`).join('\n');
}

/** Three significant digits: 12,345 or 0.83. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** How many times `other` goes into `ours`, as `3.2 ×`. */
export function ratio(ours: number, other: number): string {
  return `${figure(ours / other)} ×`;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What happens now, on a terminal only: overwritten by the next. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Whether an aim was met, for the last lines of a section. */
export interface Verdict {
  aim: string;
  measured: string;
  met: boolean;
}

export function verdicts(list: readonly Verdict[]): string {
  return list.map(({ aim, measured, met }) => `  ${met ? 'met   ' : 'MISSED'}  ${aim}: ${measured}`).join('\n');
}
