/** How bodies are read: JSON in UTF-8, neither nested without end nor of parts without number. A request without a body needs none, whatever content type it names. */
import { errorCodes } from 'fastify';
import { InputError } from '../../platform/errors.ts';
import { firstInvalidUtf8, hex } from '../../platform/text/encoding.ts';
import { twiceFault } from '../../platform/text/json-names.ts';
import type { App } from './app.ts';

/** Ten times what any request needs. What walks a value by calling itself ends with the stack at some thousand. */
const DEEPEST = 64;
/** Names, lists and objects; a thousand positions have 8,000. A body of 90,000 names, which is still within its size, took 0.6 s to be refused, and nobody else was answered. */
const MOST_PARTS = 20_000;

/** Reads bodies so from here on. They are refused with `InputError('request.not_utf8' | 'request.too_complex' | 'request.invalid_json' | 'request.name_twice')`. */
export function readBodies(app: App): void {
  // It refuses "__proto__" and "constructor.prototype" as names.
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (body.length === 0 || request.is404) return done(null, undefined);
    const invalid = firstInvalidUtf8(body);
    if (invalid !== undefined) return done(notUtf8(body, invalid));
    const text = body.toString('utf8');
    // Over MQTT it is no JSON either (RFC 8259, 8.1); the parser here would skip it.
    if (text.startsWith('\ufeff'))
      return done(new InputError('request.invalid_json', 'the body begins with a byte order mark; send the JSON without it'));
    const fault = faultOfShape(text);
    if (fault !== undefined) return done(new InputError('request.too_complex', `the body ${fault}; send it in parts`));
    void parse(request, text, (error, value) => {
      if (error !== null) return done(notJson(text));
      const twice = twiceFault(text, 'request.name_twice', 'the body');
      return twice === undefined ? done(null, value) : done(twice);
    });
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, ({ is404 }, body: Buffer, done) =>
    body.length === 0 || is404 ? done(null, undefined) : done(new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE()),
  );
}

function notUtf8(body: Buffer, at: number): InputError {
  return new InputError(
    'request.not_utf8',
    `byte ${at + 1} of the body is 0x${hex(body[at]!)}, which is not UTF-8 there; send the JSON as UTF-8`,
  );
}

function notJson(text: string): InputError {
  try {
    JSON.parse(text);
  } catch (error) {
    return new InputError('request.invalid_json', `the body is not JSON: ${(error as SyntaxError).message}`, {
      summary: 'the body is not JSON',
    });
  }
  return new InputError('request.invalid_json', 'the body names a field "__proto__" or "constructor.prototype", which no request has');
}

const [QUOTE, BACKSLASH, COLON, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Array.from('"\\:[]{}', (character) =>
  character.charCodeAt(0),
);

function faultOfShape(json: string): string | undefined {
  let depth = 0;
  let parts = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const character = json.charCodeAt(at);
    if (inString) {
      if (character === BACKSLASH) at++;
      else if (character === QUOTE) inString = false;
    } else if (character === QUOTE) inString = true;
    else if (character === COLON) parts++;
    else if (character === OPEN_OBJECT || character === OPEN_LIST) {
      parts++;
      if (++depth > DEEPEST) return `nests more than ${DEEPEST} lists and objects in each other`;
    } else if (character === CLOSE_OBJECT || character === CLOSE_LIST) depth--;
  }
  return parts > MOST_PARTS ? `has more than ${MOST_PARTS} names, lists and objects` : undefined;
}
