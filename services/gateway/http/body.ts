/** How bodies are read: JSON in UTF-8, not nested without end. A request without a body needs none, whatever content type it names. */
import { isUtf8 } from 'node:buffer';
import { errorCodes } from 'fastify';
import { InputError } from '../../platform/errors.ts';
import { firstInvalidByte } from '../../platform/utf8.ts';
import type { App } from './app.ts';

/** Ten times what any request needs. What walks a value by calling itself ends with the stack at some thousand. */
const DEEPEST = 64;

/** Reads bodies so from here on. They are refused with `InputError('request.not_utf8' | 'request.too_deep' | 'request.invalid_json')`. */
export function readBodies(app: App): void {
  // It refuses "__proto__" and "constructor.prototype" as names.
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (body.length === 0 || request.is404) return done(null, undefined);
    if (!isUtf8(body)) return done(notUtf8(body));
    const text = body.toString('utf8');
    if (isDeeperThan(text, DEEPEST))
      return done(new InputError('request.too_deep', `the body nests more than ${DEEPEST} lists and objects in each other`));
    void parse(request, text, (error, value) => (error === null ? done(null, value) : done(notJson(text))));
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, ({ is404 }, body: Buffer, done) =>
    body.length === 0 || is404 ? done(null, undefined) : done(new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE()),
  );
}

function notUtf8(body: Buffer): InputError {
  const place = firstInvalidByte(body);
  const hex = (body[place] as number).toString(16).padStart(2, '0');
  return new InputError('request.not_utf8', `byte ${place + 1} of the body is 0x${hex}, which is not UTF-8 there; send the JSON as UTF-8`);
}

function notJson(text: string): InputError {
  try {
    JSON.parse(text);
  } catch (error) {
    return new InputError('request.invalid_json', `the body is not JSON: ${(error as SyntaxError).message}`);
  }
  return new InputError('request.invalid_json', 'the body names a field "__proto__" or "constructor.prototype", which no request has');
}

function isDeeperThan(json: string, most: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') {
      if (++depth > most) return true;
    } else if (character === '}' || character === ']') depth--;
  }
  return false;
}
