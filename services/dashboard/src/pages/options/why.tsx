import { decimal, share } from '../../format/numbers.ts';
import { Mark } from '../../parts/words.tsx';
import type { Rank, Why } from './queries.ts';
import { BANDS, NEEDS, rankOf } from './words.ts';

type Part = Why['parts'][number];
type Line = Part['components'][number];

/** How the rank came about: score × weight = points, which add up to it; and what would change it. */
export function WhyRanked({ rank }: { rank: Rank }) {
  const { why } = rank;
  if (why === undefined) return null;
  const sum = why.parts.reduce((total, { points }) => total + points, 0);
  return (
    <section aria-label="Why ranked">
      <h3 className="chart-title">
        Why ranked {decimal(rankOf(rank), 1)} <Mark {...BANDS[rank.band]}>{rank.band}</Mark>
      </h3>
      <div className="stacked" aria-hidden="true">
        {why.parts.map(({ column, name, points }, at) => (
          <span
            key={column}
            style={{ width: `${points}%`, background: `var(--chart-${(at % 4) + 1})` }}
            title={`${name} ${decimal(points, 4)}`}
          />
        ))}
      </div>
      <div className="table-box" tabIndex={0} role="group" aria-label="Points of the rank">
        <table className="table why">
          <thead>
            <tr>
              <th scope="col">Part</th>
              <th scope="col" data-align="right" title="0 to 100">
                Score
              </th>
              <th scope="col" data-align="right">
                × weight
              </th>
              <th scope="col" data-align="right">
                = points
              </th>
            </tr>
          </thead>
          <tbody>
            {why.parts.map((part, at) => (
              <PartRows key={part.column} part={part} colour={`var(--chart-${(at % 4) + 1})`} />
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row" colSpan={3}>
                {why.name} {decimal(why.rank, 4)} = sum of the points
              </th>
              <td data-align="right">
                <strong data-testid="why-sum">{decimal(sum, 4)}</strong>
              </td>
            </tr>
          </tfoot>
        </table>
      </div>
      <Changes why={why} />
    </section>
  );
}

function PartRows({ part, colour }: { part: Part; colour: string }) {
  return (
    <>
      <LineRow line={part} colour={colour} />
      {part.components.map((line) => (
        <LineRow key={line.column} line={line} />
      ))}
      {part.step !== null && (
        <tr>
          <td colSpan={4} className="why-step">
            {part.step}
          </td>
        </tr>
      )}
    </>
  );
}

/** A part of the rank has a colour; a component of a part is indented below it. */
function LineRow({ line, colour }: { line: Line; colour?: string }) {
  const { name, score, inverted, weight, points, text } = line;
  return (
    <tr className={colour === undefined ? 'why-component' : 'why-part'} title={text}>
      <td>
        {colour !== undefined && <span className="step-key" style={{ background: colour }} aria-hidden="true" />}
        {inverted ? `100 − ${name}` : name}
      </td>
      <td data-align="right">{decimal(score, 4)}</td>
      <td data-align="right">{decimal(weight, 4)}</td>
      <td data-align="right" {...(colour !== undefined && { 'data-testid': 'why-points' })}>
        {decimal(points, 4)}
      </td>
    </tr>
  );
}

/** What was not measured, the part with most to gain, and the next band. */
function Changes({ why: { changes } }: { why: Why }) {
  const { missing, largest, next_band } = changes;
  return (
    <>
      <h3 className="chart-title why-changes">What would change it</h3>
      <ul className="checks">
        {next_band !== null && (
          <li>
            {decimal(next_band.lacks, 1)} more points make it <Mark {...BANDS[next_band.band]}>{next_band.band}</Mark> (from{' '}
            {next_band.from})
          </li>
        )}
        {largest !== null && (
          <li>
            Most to gain: {largest.name}, {decimal(largest.score, 1)} of 100 now, up to {decimal(largest.gain, 1)} points more
          </li>
        )}
        {missing.map(({ column, name, weight }) => (
          <li key={column}>
            Not measured: {name}, {share(weight * 100)} of the rank{NEEDS[column] === undefined ? '' : ` – ${NEEDS[column]}`}
          </li>
        ))}
        {next_band === null && largest === null && missing.length === 0 && <li>Nothing: it is the best that a contract can be.</li>}
      </ul>
    </>
  );
}
