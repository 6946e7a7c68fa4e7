/** The option roots of an underlying: the first letters of its contracts' symbols. */

/** The root of an underlying's contracts: BRK.B and BRK-B have BRKB, ^SPX has SPX. */
export function optionRoot(underlying: string): string {
  return underlying.replaceAll(/[^A-Z0-9]/g, '');
}

/**
 * Index options that are settled at the opening prices of the expiration's day, by the contract specifications of Cboe and Nasdaq. All others, such as SPXW, NDXP and RUTW,
 * are settled at the close.
 */
const MORNING: ReadonlySet<string> = new Set(['SPX', 'NDX', 'RUT', 'DJX', 'VIX', 'VIXW']);

export function settlesAtOpening(root: string): boolean {
  return MORNING.has(root);
}

/**
 * Whether the contracts of `root` are adjusted ones of the underlying: its own root and a digit, such as AAPL1. After a split, merger or special dividend they deliver
 * something else than 100 shares, so they have prices of their own (OCC, Interpretative Guidance on the Adjustment Policy).
 */
export function isAdjusted(root: string, underlying: string): boolean {
  const own = optionRoot(underlying);
  return root.startsWith(own) && /^\d$/.test(root.slice(own.length));
}

/** Roots of indexes that stand beside the index's own. By a table and not by a rule: AA is no root of A. */
const BESIDE: Readonly<Record<string, readonly string[]>> = { SPX: ['SPXW'], NDX: ['NDXP'], RUT: ['RUTW'], VIX: ['VIXW'] };

/** All roots whose contracts are of the underlying: its own, those beside it, and those of adjusted contracts. */
export function rootsOf(underlying: string): string[] {
  const own = optionRoot(underlying);
  return [own, ...(BESIDE[own] ?? []), ...Array.from({ length: 10 }, (_, digit) => `${own}${digit}`)];
}
