/** Answers without rows, whose meaning depends on the objects beside: each is kept until these are decided. */
import { type AbsenceRules, type Verdict, verdictOf } from '../../history/absence.ts';
import type { ObjectSpec } from '../../history/dataset.ts';
import { type Absence, readObjects } from '../../history/manifest.ts';
import { neighboursOf } from '../../history/plan.ts';
import type { Sql } from '../../platform/database/database.ts';

export interface Empty {
  object: ObjectSpec;
  /** The trading days that were asked for. */
  days: readonly string[];
  /** What was known before. */
  earlier: Absence | undefined;
}

export interface Empties {
  add(empty: Empty): void;
  /** An object was committed. */
  decided(key: string): void;
  /** The verdicts that can be given now; `all`: on every empty answer. */
  settle(sql: Sql, now: Temporal.Instant, rules: AbsenceRules, all: boolean): Promise<{ key: string; verdict: Verdict }[]>;
}

/** `keys`: the objects that the job has still to decide. */
export function createEmpties(keys: Iterable<string>): Empties {
  const open = new Set(keys);
  const waiting = new Map<string, Empty & { beside: readonly string[] }>();
  return {
    add(empty) {
      const { key } = empty.object;
      waiting.set(key, { ...empty, beside: neighboursOf(empty.object).map((object) => object.key) });
      open.delete(key);
    },
    decided: (key) => void open.delete(key),
    async settle(sql, now, rules, all) {
      const ripe = [...waiting.values()].filter(({ beside }) => all || !beside.some((key) => open.has(key)));
      if (ripe.length === 0) return [];
      for (const { object } of ripe) waiting.delete(object.key);
      const stored = await readObjects(
        sql,
        ripe.flatMap(({ beside }) => beside),
      );
      return ripe.map(({ object, days, earlier, beside }) => ({
        key: object.key,
        verdict: verdictOf({ days, now, earlier, beside: beside.some((key) => stored.has(key)) }, rules),
      }));
    },
  };
}
