/** Writes to standard output. With `--json` that is one document and nothing else. No text from outside moves the cursor, whatever the command has forgotten. */
import { styleText } from 'node:util';
import { forTerminal, visibleJson } from '../../platform/text/characters.ts';

export function print(text: string): void {
  const safe = forTerminal(text, isStyled(process.stdout));
  process.stdout.write(safe.endsWith('\n') ? safe : `${safe}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${visibleJson(JSON.stringify(value, null, 2))}\n`);
}

/** For a spreadsheet: one table and nothing else. */
export function printCsv(text: string): void {
  process.stdout.write(process.stdout.isTTY ? forTerminal(text, false) : text);
}

/** Whether `paint` colours what is written to a stream. */
export function isStyled(stream: NodeJS.WritableStream): boolean {
  return styleText('bold', 'x', { stream }) !== 'x';
}
