import { quantReport } from '../../../services/picks/report/build.ts';
import type { Report } from '../../../services/picks/report/schema.ts';
import { screenFor } from '../../../services/picks/screen/screen.ts';
import type { ScreenedUniverse } from '../../../services/picks/universe/universe.ts';
import { AT, inventedMembers, screened, user } from '../invented-universe.ts';

export const UNIVERSE = screened(inventedMembers(60));

/** A report on invented symbols. */
export function reportFor(
  profile: Record<string, unknown> = {},
  universe: ScreenedUniverse = UNIVERSE,
  earlier: Report | null = null,
): Report {
  return quantReport({
    universe,
    screen: screenFor(universe, user(profile)),
    userId: 'alice',
    weekOf: '2026-11-23',
    version: 1,
    generatedAt: AT,
    earlier,
    fallbackReason: 'no_model',
  });
}
