import { Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { count, decimal, price, share } from '../../format/numbers.ts';
import { Facts, Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import type { Search } from './filters.ts';
import { type Mode, type Rank, type Ranking, useExplained, useHead } from './queries.ts';
import { WhyRanked } from './why.tsx';
import { BANDS, contractName, MODE_NAMES, MODES, rankOf } from './words.ts';

interface ContractProps {
  symbol: string;
  contract: string;
  mode: Mode;
  user: string | undefined;
  /** And not the best one, which is shown where none is chosen. */
  isChosen: boolean;
}

/** Above it the panel stands beside the list, below it behind. */
const NARROW = '(max-width: 62em)';

/** One contract: its rank in each mode, and why. */
export function ContractPanel({ symbol, contract, mode, user, isChosen }: ContractProps) {
  const head = useRef<HTMLDivElement>(null);
  const all = {
    entry: useExplained(symbol, 'entry', contract, user),
    exit: useExplained(symbol, 'exit', contract, user),
    monitor: useExplained(symbol, 'monitor', contract, user),
  };
  const [chosen, setChosen] = useState<Mode>();
  const rankIn = (one: Mode): Rank | undefined => all[one].data?.ranks[0];
  const shown = chosen ?? [mode, ...MODE_NAMES].find((one) => rankIn(one) !== undefined) ?? mode;
  const rank = rankIn(shown);
  // On a narrow screen the panel stands behind a long list: whoever chooses a contract is led to it.
  useEffect(() => {
    if (!isChosen || !matchMedia(NARROW).matches) return;
    head.current?.scrollIntoView({ block: 'start' });
    head.current?.focus({ preventScroll: true });
  }, [isChosen]);
  return (
    <div className="contract" ref={head} tabIndex={-1} data-testid="contract">
      <Panel
        title={contractName(contract)}
        aside={
          <Link to="." search={(before: Search) => ({ ...before, tab: 'positions', add: contract })}>
            Add as a position
          </Link>
        }
      >
        <div className="panel-body stack">
          <div className="rank-cards" role="group" aria-label="Rank by mode">
            {MODE_NAMES.map((one) => (
              <RankCard
                key={one}
                mode={one}
                query={all[one]}
                symbol={symbol}
                user={user}
                isShown={one === shown}
                show={() => setChosen(one)}
              />
            ))}
          </div>
          <Loaded query={all[shown]}>
            {() => (rank === undefined ? <NotAmong ranking={all[shown].data} mode={shown} /> : <Details rank={rank} />)}
          </Loaded>
        </div>
      </Panel>
    </div>
  );
}

interface CardProps {
  mode: Mode;
  query: ReturnType<typeof useExplained>;
  symbol: string;
  user: string | undefined;
  isShown: boolean;
  show: () => void;
}

function RankCard({ mode, query: { data }, symbol, user, isShown, show }: CardProps) {
  const { data: head } = useHead(symbol, mode, user);
  const rank = data?.ranks[0];
  return (
    <button type="button" className="rank-card" aria-pressed={isShown} onClick={show} data-testid={`card-${mode}`}>
      <span className="tile-name">{MODES[mode].name}</span>
      {rank === undefined ? (
        <span className="rank-none">{noRank(mode, data, head)}</span>
      ) : (
        <>
          <span className="tile-value">{decimal(rankOf(rank), 1)}</span>
          <span className="tile-note">
            <Mark {...BANDS[rank.band]}>{rank.band}</Mark>
            <br />#{rank.place} of {head?.totalRanks ?? '…'}
          </span>
        </>
      )}
    </button>
  );
}

function noRank(mode: Mode, data: Ranking | undefined, head: Ranking | undefined): string {
  if (data === undefined) return '…';
  if (data.run_at === null)
    return { pending: 'being ranked', failed: 'could not be ranked', never: 'never asked for', done: 'no ranking' }[
      data.state?.state ?? 'never'
    ];
  if (mode === 'exit') return 'no position in it is ranked';
  return `not among the best ${head?.totalRanks ?? ''} of ${mode}`;
}

function NotAmong({ ranking, mode }: { ranking: Ranking | undefined; mode: Mode }) {
  if (ranking === undefined) return null;
  if (ranking.run_at === null) return <p className="dim">{ranking.state?.text}.</p>;
  if (mode === 'exit')
    return (
      <p className="dim">Exit mode ranks positions. Nobody whose positions you may see holds this contract, or it could not be ranked.</p>
    );
  return (
    <p className="dim">
      Of each ranking the best contracts are kept with their reasons. This one was ranked lower, or could not be ranked.
    </p>
  );
}

const IV_FROM: Record<Rank['iv_source'], string> = {
  own: 'from its own quote',
  partner: 'from the out-of-the-money contract of its strike and expiration',
  smile: 'from the fitted smile of its expiration',
};

function Details({ rank }: { rank: Rank }) {
  const { bid, ask, mid, spread_pct, iv, iv_source, delta, gamma, theta, vega, volume, open_interest, dte, quoted_at } = rank;
  return (
    <>
      <div className="contract-facts">
        <Facts
          of={[
            ['Bid · ask', `${price(bid)} · ${price(ask)}`],
            ['Middle', price(mid)],
            ['Spread', share(spread_pct)],
            [
              'IV',
              <span key="iv" title={IV_FROM[iv_source]}>
                {share(iv * 100)}
              </span>,
            ],
            ['Days left', String(dte)],
          ]}
        />
        <Facts
          of={[
            ['Delta', decimal(delta, 3)],
            ['Gamma', decimal(gamma, 3)],
            ['Theta', decimal(theta, 3)],
            ['Vega', decimal(vega, 3)],
            ['Volume · open', `${count(volume)} · ${count(open_interest)}`],
          ]}
        />
      </div>
      <WhyRanked rank={rank} />
      <h3 className="chart-title">Quality of the data</h3>
      <ul className="checks">
        <Check isGood={bid > 0 && ask >= bid}>
          quoted on both sides, <Moment at={quoted_at} />
        </Check>
        <Check isGood={iv_source === 'own'}>volatility {IV_FROM[iv_source]}</Check>
        <Check isGood={rank.marks.length === 0}>
          {rank.marks.length === 0
            ? 'the bid is not below the value of exercising it now'
            : 'the bid is below the value of exercising it now'}
        </Check>
        <Check isGood={rank.data_quality >= 0.75}>{share(rank.data_quality * 100, 0)} of the rank was measured</Check>
        {rank.liquidity_confidence !== null && (
          <Check isGood={rank.liquidity_confidence >= 0.5}>
            trust in volume, open interest and price {decimal(rank.liquidity_confidence, 2)} of 1
          </Check>
        )}
      </ul>
    </>
  );
}

function Check({ isGood, children }: { isGood: boolean; children: React.ReactNode }) {
  return (
    <li>
      <span data-tone={isGood ? 'good' : 'warn'}>
        <span aria-hidden="true">{isGood ? '✓' : '!'}</span>
        <span className="unseen">{isGood ? 'good: ' : 'doubtful: '}</span>
      </span>{' '}
      <span>{children}</span>
    </li>
  );
}
