import { z } from 'zod';

/** Any text of 1-64 characters that shows something: no control characters, not blanks alone. */
export const userId = z
  .string()
  .min(1)
  .max(64)
  .regex(/^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$/)
  .refine((text) => text.isWellFormed(), { error: 'is not valid Unicode' });
