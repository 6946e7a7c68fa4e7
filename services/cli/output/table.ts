/** Aligned text for people: tables that fit the terminal, and lists of names and values. */
import { stripVTControlCharacters } from 'node:util';
import { plain } from '../../platform/text/characters.ts';
import { paint } from './colour.ts';

export { plain };

export interface Column<Row> {
  title: string;
  /** The text of the cell; null and undefined show as `–`. */
  value: (row: Row) => string | number | null | undefined;
  align?: 'right';
  /** Colours the cell, padding excluded. */
  paint?: (text: string, row: Row) => string;
  /** Gets the remaining width, at least this many cells. Longer text is cut with `…`; without a limit it is whole, and stands out of its column where it is very long. */
  flexible?: number;
  /** On a narrow terminal the column with the largest number is left out first; one without a number stays. An empty column is always left out. */
  optional?: number;
}

const GAP = '  ';
/** Cells of a flexible column where the width has no limit: one long text would fill all the other lines with blanks. */
const PADDED = 40;
/** Columns that a terminal shows two cells wide: the East Asian wide ranges and pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u;

/** The largest width: the terminal's, or no limit for a file or a pipe. */
export function widthOf(stream: NodeJS.WriteStream = process.stdout): number {
  return stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;
}

/** The width of a text on a terminal, in cells. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) width += WIDE.test(character) ? 2 : /\p{Mark}/u.test(character) ? 0 : 1;
  return width;
}

/** Plain text cut to `width` cells, the last of them `…` where something is missing. */
export function clip(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += textWidth(character);
    if (used > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'right' ? blanks + text : text + blanks;
}

/** Rows under a line of titles, each line ending with a line break. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width = widthOf()): string {
  const filled = columns
    .map((column) => ({ column, cells: rows.map((row) => cell(column.value(row))) }))
    .filter(({ column, cells }) => column.optional === undefined || cells.some((text) => text !== '–' && text !== ''))
    .map((one) => ({ ...one, natural: Math.max(textWidth(one.column.title), ...one.cells.map(textWidth)) }));
  const least = ({ column, natural }: { column: Column<Row>; natural: number }) => Math.min(natural, column.flexible ?? natural);
  const total = (of: typeof filled, measure: (one: (typeof filled)[number]) => number) =>
    of.reduce((sum, one) => sum + measure(one), GAP.length * (of.length - 1));

  let shown = filled;
  while (total(shown, least) > width) {
    const optional = shown.filter(({ column }) => column.optional !== undefined);
    if (optional.length === 0) break;
    const first = optional.reduce((a, b) => ((b.column.optional as number) > (a.column.optional as number) ? b : a));
    shown = shown.filter((one) => one !== first);
  }
  let excess = Math.max(0, total(shown, ({ natural }) => natural) - width);
  const laid = shown.map((one) => {
    const given = Math.min(excess, one.natural - least(one));
    excess -= given;
    const padded = width === Number.POSITIVE_INFINITY && one.column.flexible !== undefined ? PADDED : one.natural;
    return { ...one, width: Math.min(one.natural, padded) - given };
  });

  const line = (parts: string[]): string => `${parts.join(GAP).trimEnd()}\n`;
  const head = line(
    laid.map(({ column, width: room }) => {
      const blanks = ' '.repeat(room - textWidth(column.title));
      return column.align === 'right' ? blanks + paint('bold', column.title) : paint('bold', column.title) + blanks;
    }),
  );
  const body = rows.map((row, index) =>
    line(
      laid.map(({ column, cells, width: room }) => {
        const whole = cells[index] as string;
        const text = width === Number.POSITIVE_INFINITY ? whole : clip(whole, room);
        const blanks = ' '.repeat(Math.max(0, room - textWidth(text)));
        const painted = text === '–' ? paint('dim', text) : (column.paint?.(text, row) ?? text);
        return column.align === 'right' ? blanks + painted : painted + blanks;
      }),
    ),
  );
  return head + body.join('');
}

function cell(value: string | number | null | undefined): string {
  return value === null || value === undefined ? '–' : plain(String(value));
}

/** Names and values, a line each, values in one column. A pair without a value is left out; a value may be painted already. */
export function fields(pairs: readonly (readonly [name: string, value: string | number | null | undefined])[]): string {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined);
  const width = Math.max(0, ...shown.map(([name]) => textWidth(name)));
  return shown.map(([name, value]) => `${paint('dim', pad(name, width))}${GAP}${value}\n`).join('');
}
