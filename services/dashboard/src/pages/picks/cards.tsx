import { Link } from '@tanstack/react-router';
import { decimal, price, share } from '../../format/numbers.ts';
import { Mark } from '../../parts/words.tsx';
import type { Fact, Pick, Report, Sentence } from './queries.ts';
import { FACTORS } from './words.ts';

const RISKS: Record<Pick['risk_level'], { tone: string; mark: string }> = {
  low: { tone: 'good', mark: '▁' },
  medium: { tone: 'warn', mark: '▃' },
  high: { tone: 'bad', mark: '▆' },
};

export type FactsById = ReadonlyMap<string, Fact>;
export const factsOf = ({ facts }: Report): FactsById => new Map(facts.map((fact) => [fact.id, fact]));

export function Cards({ report }: { report: Report }) {
  const facts = factsOf(report);
  return (
    <ol className="picks-cards" aria-label="Picks">
      {report.stock_picks.map((pick) => (
        <li key={pick.ticker} className="panel pick">
          <Card pick={pick} facts={facts} model={report.model} />
        </li>
      ))}
    </ol>
  );
}

function Card({ pick, facts, model }: { pick: Pick; facts: FactsById; model: string | null }) {
  const { rank, ticker, name, sector, price_at, total, change, risk_level, held_pct, reasons, rationale } = pick;
  return (
    <article>
      <header>
        <h2>
          <span className="pick-rank">{rank}</span>{' '}
          <Link to="/symbols/$symbol" params={{ symbol: ticker }}>
            {ticker}
          </Link>{' '}
          <span className="pick-name">{name}</span>
        </h2>
        <span className="grow" />
        <Mark {...RISKS[risk_level]}>{risk_level} risk</Mark>
        <Mark tone={change === 'new' ? 'busy' : 'calm'} mark={change === 'new' ? '+' : '='}>
          {change}
        </Mark>
      </header>
      <div className="panel-body stack">
        <p className="pick-figures">
          <strong>{decimal(total, 2)}</strong> of 100 · price {price(price_at)}
          {sector !== null && ` · ${sector}`}
          {held_pct > 0 && ` · ${share(held_pct)} of the portfolio`}
        </p>
        {rationale !== null && (
          <>
            <h3>A model's opinion ({model})</h3>
            <Claims of={rationale} facts={facts} />
          </>
        )}
        <h3>Why it was picked</h3>
        <Claims of={reasons} facts={facts} />
        <Score pick={pick} />
      </div>
    </article>
  );
}

/** Sentences, each with the stored facts that its numbers are. */
export function Claims({ of, facts }: { of: readonly Sentence[]; facts: FactsById }) {
  return (
    <ul className="claims">
      {of.map(({ text, facts: ids }) => (
        <li key={text}>
          <span>{text}</span>
          {ids.length > 0 && <FactsOf of={ids.flatMap((id) => facts.get(id) ?? [])} />}
        </li>
      ))}
    </ul>
  );
}

function FactsOf({ of }: { of: readonly Fact[] }) {
  const origins = new Set(of.map(({ source, as_of, trust }) => `${source} ${as_of}${trust === 'third_party' ? ', not checked' : ''}`));
  return (
    <div className="claim-facts">
      <ul aria-label="Facts of this sentence">
        {of.map(({ id, label, shown }) => (
          <li key={id}>
            {label} <strong>{shown}</strong>
          </li>
        ))}
      </ul>
      <span className="dim">{[...origins].join(' · ')}</span>
    </div>
  );
}

/** Score × weight = points: with 50 they are the total. */
function Score({ pick: { parts, total, coverage } }: { pick: Pick }) {
  return (
    <details>
      <summary>Its score: 50 and the points of each factor</summary>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Factor</th>
            <th scope="col" data-align="right">
              Score
            </th>
            <th scope="col" data-align="right">
              Weight
            </th>
            <th scope="col" data-align="right">
              Points
            </th>
          </tr>
        </thead>
        <tbody>
          {parts.map(({ factor, score, weight, points }) => (
            <tr key={factor}>
              <td>{FACTORS[factor] ?? factor}</td>
              <td data-align="right">
                {score === null ? <span title="Nothing is stored: it counts as neutral">–</span> : decimal(score, 1)}
              </td>
              <td data-align="right">{weight}</td>
              <td data-align="right">{decimal(points, 2)}</td>
            </tr>
          ))}
          <tr>
            <td>
              <strong>50 + all</strong>
            </td>
            <td data-align="right" />
            <td data-align="right" title="Weights that were measured">
              {coverage}
            </td>
            <td data-align="right">
              <strong>{decimal(total, 2)}</strong>
            </td>
          </tr>
        </tbody>
      </table>
    </details>
  );
}
