import { InputError } from '../errors.ts';

const [QUOTE, BACKSLASH, COLON, OPEN, CLOSE] = Array.from('"\\:{}', (character) => character.charCodeAt(0));

/**
 * The first name that stands twice in one object, and its character of the text, from 1. Of two values readers take the first, the last or none (RFC 8259, 4), so what the
 * sender means is not known. `json` is JSON.
 */
export function nameGivenTwice(json: string): { name: string; character: number } | undefined {
  const open: Set<string>[] = [];
  let [start, end] = [0, 0];
  for (let at = 0; at < json.length; at++) {
    const character = json.charCodeAt(at);
    if (character === QUOTE) {
      start = at;
      while (json.charCodeAt(++at) !== QUOTE) if (json.charCodeAt(at) === BACKSLASH) at++;
      end = at + 1;
    } else if (character === OPEN) open.push(new Set());
    else if (character === CLOSE) open.pop();
    else if (character === COLON) {
      const written = json.slice(start, end);
      const name = written.includes('\\') ? (JSON.parse(written) as string) : written.slice(1, -1);
      const names = open.at(-1)!;
      if (names.has(name)) return { name, character: start + 1 };
      names.add(name);
    }
  }
  return undefined;
}

const MOST_SHOWN = 80;

/** The refusal of JSON that gives a name twice, with the name and its place; undefined when each stands once. `what`: the subject of the sentence. */
export function twiceFault(json: string, code: string, what: string): InputError | undefined {
  const twice = nameGivenTwice(json);
  if (twice === undefined) return undefined;
  const shown = JSON.stringify(twice.name.length > MOST_SHOWN ? `${twice.name.slice(0, MOST_SHOWN)}…` : twice.name);
  const place = `twice in one object, again at character ${twice.character}`;
  return new InputError(code, `${what} gives ${shown} ${place}; give it once`, { summary: `${what} gives a name ${place}` });
}
