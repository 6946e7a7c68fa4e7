const ER_DUP_ENTRY = 1062;
const MAX_RACES = 5;

/**
 * Runs what makes jobs live, and runs it again when another transaction has made a job of the same key live since this one looked (`ux_active` refuses the second
 * one): now it is seen. The refusal undoes a statement, not the transaction. Errors: those of `attempt`; 1062 itself after five lost races.
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
