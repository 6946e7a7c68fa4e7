import { count, decimal, NONE, price, share } from '../../format/numbers.ts';
import { age } from '../../format/times.ts';
import { useNow } from '../../parts/now.ts';
import { Hint, Mark, Moment } from '../../parts/words.tsx';
import { type Ranking, useVolatility } from './queries.ts';
import { REASONS } from './words.ts';

/** Rankings of the watchlist are an hour old at most while the exchange is open. */
const OLD_S = 24 * 3600;
/** Sessions with which there is an IV rank. */
const LEAST_DAYS = 20;

/** When and from what the ranking was made, and what it left out. */
export function RunLine({ symbol, ranking }: { symbol: string; ranking: Ranking | undefined }) {
  const now = useNow(10_000);
  if (ranking === undefined || ranking.run_at === null) return null;
  const { run_at, as_of, spot, atm_iv, total, eligible, totalRanks, reasons, gaps, trend, source, mode } = ranking;
  const seconds = (now - new Date(run_at).getTime()) / 1000;
  const what = `${mode === 'exit' ? 'position' : 'contract'}${total === 1 ? '' : 's'}`;
  const left = Object.entries(reasons ?? {}).filter(([, many]) => many > 0) as [keyof typeof REASONS, number][];
  return (
    <div className="run-line" data-testid="run-line">
      <span>
        ranked <Moment at={run_at} /> {seconds > OLD_S && <Mark tone="warn" mark="◔">{`${age(seconds)} old`}</Mark>}
      </span>
      <span>
        quoted <Moment at={as_of} /> <span className="dim">by {source}</span>
      </span>
      <span>spot {price(spot)}</span>
      <span>
        <Hint text="Volatility of the underlying, at the money in 30 days, a year">IV</Hint> {share(atm_iv === null ? null : atm_iv * 100)}
      </span>
      <IvRank symbol={symbol} ranking={ranking} />
      {trend !== null && <span>trend {trend}</span>}
      {total !== null && (
        <span>
          {count(total)} {what}, {count(eligible)} ranked{eligible !== null && totalRanks < eligible && `, best ${count(totalRanks)} kept`}
        </span>
      )}
      {left.length > 0 && <span>left out: {left.map(([reason, many]) => `${count(many)} ${REASONS[reason]}`).join(', ')}</span>}
      {gaps !== null && gaps.length > 0 && (
        <Mark
          tone="warn"
          mark="!"
        >{`the chain lacks ${gaps.map(({ expiry, contracts, reason }) => `${expiry ?? `${contracts} contracts`} (${reason})`).join(', ')}`}</Mark>
      )}
    </div>
  );
}

/** Under 20 sessions there is none, and the line says how many there are. */
function IvRank({ symbol, ranking: { iv_rank, ranks } }: { symbol: string; ranking: Ranking }) {
  const { data } = useVolatility(symbol, ranks[0]?.expiration, iv_rank === null && ranks.length > 0);
  const name = <Hint text="Where today's volatility stands between the lowest, 0, and the highest, 100, of a year">IV rank</Hint>;
  if (iv_rank !== null)
    return (
      <span>
        {name} {decimal(iv_rank, 1)}
      </span>
    );
  return (
    <span>
      {name} {NONE} {data !== undefined && <span className="dim">{`(${data.history.length} of ${LEAST_DAYS} days)`}</span>}
    </span>
  );
}
