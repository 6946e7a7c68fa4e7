const ER_DUP_ENTRY = 1062;
const MAX_TRIES = 5;

/**
 * Runs statements that make jobs live, inside a transaction, and repeats them when another transaction has made a job of the same key live since this one read
 * (`live_keys` refuses the second job): the next try reads that job. The refusal undoes one statement and the transaction goes on, so the transaction itself is not
 * run again. Errors: those of `work`; 1062 itself after five tries.
 */
export async function retryOnDuplicateKey<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if ((error as { errno?: number }).errno !== ER_DUP_ENTRY || tries === MAX_TRIES) throw error;
    }
  }
}
