/** Uses the whole terminal: the alternate screen buffer and each key press. Restores the terminal at every end of the command. */
import { forTerminal } from '../../platform/text/characters.ts';

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  draw(lines: readonly string[]): void;
  close(): void;
}

// No cursor, and no wrapping: a very narrow terminal cuts the lines itself.
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

export function openScreen({ onKey }: { onKey: (key: string) => void }): Screen {
  const { stdin, stdout } = process;
  const keys = stdin.isTTY === true;
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    stdout.write(LEAVE);
    process.off('exit', close);
    if (!keys) return;
    stdin.off('data', onData).setRawMode(false);
    stdin.pause();
  };
  const onData = (data: Buffer): void => {
    for (const key of data.toString()) onKey(key);
  };
  stdout.write(ENTER);
  // Also after an unexpected error: a terminal left in raw mode is unusable.
  process.once('exit', close);
  if (keys) stdin.setRawMode(true).on('data', onData).resume();
  return {
    get columns() {
      return stdout.columns || 80;
    },
    get rows() {
      return stdout.rows || 24;
    },
    draw(lines) {
      if (open) stdout.write(`\x1b[H${lines.map((line) => `${forTerminal(line, true)}\x1b[K`).join('\r\n')}\x1b[J`);
    },
    close,
  };
}
