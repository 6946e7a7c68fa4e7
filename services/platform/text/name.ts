import { z } from 'zod';
import { nameFault } from './characters.ts';

/** A text of 1 to `most` characters that names something, and that a person can tell from others: see `nameFault`. */
export const named = (most = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .min(1)
    .max(most)
    .superRefine((text, context) => {
      const fault = text === '' ? undefined : nameFault(text);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault, input: text });
    });
