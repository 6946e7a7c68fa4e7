import { InputError } from './errors.ts';
import { nameFault } from './text/characters.ts';
import { named } from './text/name.ts';

const MOST = 64;

/** Any text of 1-64 characters that a person can tell from others: see `nameFault`. `Alice` and `alice` are two users. */
export const userId = named(MOST).meta({ pattern: String.raw`^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$` });

/** Why a text is no user id, as the end of a sentence; undefined when it is one. */
export function userFault(text: string): string | undefined {
  if (text === '') return 'is empty';
  return text.length > MOST ? `has ${text.length} characters; a user id has 1 to ${MOST}` : nameFault(text);
}

/** What a person typed, without the spaces at its ends: the database pads with them. Errors: `InputError('user.invalid')`. */
export function parseUser(text: string): string {
  const user = text.replace(/^ +| +$/g, '');
  const fault = userFault(user);
  if (fault === undefined) return user;
  throw new InputError('user.invalid', `user ${JSON.stringify(text.slice(0, 80))} ${fault}`);
}
