/** The whole terminal: taken, drawn on, and given back as it was. */
import { EventEmitter } from 'node:events';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { openScreen } from '../../../services/cli/output/screen.ts';

let written: string[];
beforeEach(() => {
  written = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  onTestFinished(() => spy.mockRestore());
});

/** A standard input, and the calls that change it, in order. */
function input(isTTY: boolean) {
  const calls: string[] = [];
  const stdin = Object.assign(new EventEmitter(), {
    isTTY,
    setRawMode(raw: boolean) {
      calls.push(`raw ${raw}`);
      return stdin;
    },
    resume() {
      calls.push('resume');
      return stdin;
    },
    pause() {
      calls.push('pause');
      return stdin;
    },
  });
  const spy = vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
  onTestFinished(() => spy.mockRestore());
  return { stdin, calls };
}

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

test('a terminal gives each key, and gets its own mode and screen back once', () => {
  const { stdin, calls } = input(true);
  const keys: string[] = [];
  const before = process.listenerCount('exit');
  const screen = openScreen({ onKey: (key) => keys.push(key) });
  expect(process.listenerCount('exit')).toBe(before + 1);
  stdin.emit('data', Buffer.from('aq\x03'));
  expect(keys).toEqual(['a', 'q', '\x03']);
  screen.close();
  screen.close();
  expect(calls).toEqual(['raw true', 'resume', 'raw false', 'pause']);
  expect(stdin.listenerCount('data')).toBe(0);
  expect(process.listenerCount('exit')).toBe(before);
  expect(written).toEqual([ENTER, LEAVE]);
});

test('an input that is no terminal is left alone', () => {
  const { stdin, calls } = input(false);
  const screen = openScreen({ onKey: () => {} });
  expect(stdin.listenerCount('data')).toBe(0);
  screen.close();
  expect(calls).toEqual([]);
});

test('a picture is drawn from the top, each line cleared to its end and the rest below, until the screen is closed', () => {
  input(false);
  const screen = openScreen({ onKey: () => {} });
  screen.draw(['one', 'two']);
  expect(written.at(-1)).toBe('\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J');
  screen.close();
  screen.draw(['late']);
  expect(written.at(-1)).toBe(LEAVE);
});

test('its size is that of the terminal, else 80 by 24', () => {
  input(false);
  const { columns, rows } = process.stdout;
  onTestFinished(() => void Object.assign(process.stdout, { columns, rows }));
  const screen = openScreen({ onKey: () => {} });
  Object.assign(process.stdout, { columns: 100, rows: 30 });
  expect([screen.columns, screen.rows]).toEqual([100, 30]);
  Object.assign(process.stdout, { columns: 0, rows: undefined });
  expect([screen.columns, screen.rows]).toEqual([80, 24]);
  screen.close();
});

test('the end of the process gives the terminal back too', () => {
  const { calls } = input(true);
  const known = new Set(process.listeners('exit'));
  openScreen({ onKey: () => {} });
  const [onExit] = process.listeners('exit').filter((listener) => !known.has(listener));
  (onExit as () => void)();
  expect(written.at(-1)).toBe(LEAVE);
  expect(calls.at(-1)).toBe('pause');
});
