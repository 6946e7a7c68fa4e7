/** fast-check with the same invented cases in every run: what passed does not fail for somebody else. `FAST_CHECK_SEED` tries others. */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.FAST_CHECK_SEED ?? 20_261_122) });

export default fc;
