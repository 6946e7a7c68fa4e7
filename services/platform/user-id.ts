import { z } from 'zod';
import { InputError } from './errors.ts';

/** Any text of 1-64 characters that shows something: no control characters, not blanks alone. */
export const userId = z
  .string()
  .min(1)
  .max(64)
  .regex(/^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$/)
  .refine((text) => text.isWellFormed(), { error: 'is not valid Unicode' });

/** What a person typed, without the blanks at its ends: the database pads with them. Errors: `InputError('user.invalid')`. */
export function parseUser(text: string): string {
  const { success, data } = userId.safeParse(text.trim());
  if (success) return data;
  throw new InputError('user.invalid', `user ${JSON.stringify(text.slice(0, 80))} is not 1 to 64 printable characters`);
}
