/** Characters that a person cannot see, or that change how the text around them is shown. */

/**
 * Controls (C0, C1), what turns the direction of text (U+202E), what has no width (U+200B, U+FEFF, variation selectors), separators of lines, and code points that are
 * no characters. By the classes of the Unicode Standard, chapters 4 and 23.
 */
const UNSEEN = String.raw`\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}`;
const NOT_SHOWN = new RegExp(`[${UNSEEN}]`, 'u');
/** The same, and half of a character: a part of an escape in JSON. */
const NOT_SHOWN_UNIT = new RegExp(`[${UNSEEN}\\p{Cs}]`, 'u');
const LINE_PARTS = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
const EACH_NOT_SHOWN = new RegExp(`[${UNSEEN}]`, 'gu');
/** Most names, which need no further look: messages have several. */
const PLAIN_NAME = /^[ -~]*[!-~][ -~]*$/;
/** Blanks of another kind than the space. */
const ODD_BLANK = /(?! )\p{Zs}/u;
/** A colour or style of a terminal, which moves nothing. */
const STYLES = /\x1b\[[\d;]*m/g;

/** `U+200B`. */
function codePointOf(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}

/**
 * Why a text cannot name a user, a session or a service, with the cure; undefined when it can. Two names that look the same would be two of them: so no character that
 * cannot be seen, no blank but the space, and each letter in the composed form of Unicode (NFC).
 */
export function nameFault(text: string): string | undefined {
  if (PLAIN_NAME.test(text)) return undefined;
  const fault = characterFault(text);
  if (fault !== undefined) return fault;
  if (text.trim() === '') return 'has no letter';
  if (text.normalize('NFC') !== text)
    return `has letters in parts, and would be another name than ${JSON.stringify(text.normalize('NFC'))}; write it in the composed form of Unicode (NFC)`;
  return undefined;
}

/** The first character of a text that no name has, with the cure. */
export function characterFault(text: string): string | undefined {
  if (!text.isWellFormed()) return 'is not valid Unicode: it has half of a character';
  if (text.includes('\ufffd')) return 'has the character U+FFFD, which stands for bytes that were not UTF-8; write it as UTF-8';
  const unseen = NOT_SHOWN.exec(text)?.[0];
  if (unseen !== undefined) return `has the character ${codePointOf(unseen)}, which cannot be seen; leave it out`;
  const blank = ODD_BLANK.exec(text)?.[0];
  if (blank !== undefined) return `has the character ${codePointOf(blank)}, which looks like a space; write a plain space or none`;
  return undefined;
}

/** Text from outside as one line that cannot move the cursor, turn the line or hide a part: line breaks and tabs are a space, other characters that cannot be seen their code. */
export function plain(text: string): string {
  return NOT_SHOWN.test(text) ? text.replace(LINE_PARTS, ' ').replace(EACH_NOT_SHOWN, escaped) : text;
}

/** Lines for a terminal. Their ends, and colours when `styled`, stay. */
export function forTerminal(text: string, styled: boolean): string {
  const line = (one: string): string => (NOT_SHOWN.test(one) ? one.replace(EACH_NOT_SHOWN, escaped) : one);
  if (!styled) return text.split('\n').map(line).join('\n');
  let end = 0;
  let safe = '';
  for (const { 0: style, index } of text.matchAll(STYLES)) {
    safe += forTerminal(text.slice(end, index), false) + style;
    end = index + style.length;
  }
  return safe + forTerminal(text.slice(end), false);
}

/**
 * JSON with the same content in which every character can be seen. `JSON.stringify` escapes controls below U+0020 alone, and many readers of lines end one at U+2028.
 */
export function visibleJson(json: string): string {
  return json.replace(EACH_NOT_SHOWN, (character) =>
    character === '\n' ? character : [...Array(character.length).keys()].map((unit) => unicodeEscape(character.charCodeAt(unit))).join(''),
  );
}

/** JSON with other texts: each has the codes of what cannot be seen in place of the characters, for a reader that shows texts as they are. Line ends and tabs stay. */
export function plainTexts(json: string): string {
  // An escaped backslash is taken as one, so that it does not begin another escape.
  return visibleJson(json).replace(/\\(?:u[0-9a-f]{4}|.)/gi, (written) => {
    const character = JSON.parse(`"${written}"`) as string;
    return /[\n\t]/.test(character) || !NOT_SHOWN_UNIT.test(character) ? written : `\\${unicodeEscape(character.charCodeAt(0))}`;
  });
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : unicodeEscape(code);
}

const unicodeEscape = (unit: number): string => `\\u${unit.toString(16).padStart(4, '0')}`;
