const ER_DUP_ENTRY = 1062;
const MAX_RACES = 5;

/**
 * Runs `attempt`, and runs it again when another transaction has meanwhile inserted a live job of the same key (`ux_active` refuses the second one). The new
 * attempt sees that job. A duplicate key undoes the statement, not the transaction. Errors: those of `attempt`; 1062 itself after five attempts.
 */
export async function retryOnDuplicateKey<T>(attempt: () => Promise<T>): Promise<T> {
  for (let race = 1; ; race++) {
    try {
      return await attempt();
    } catch (error) {
      if ((error as { errno?: number }).errno !== ER_DUP_ENTRY || race === MAX_RACES) throw error;
    }
  }
}
