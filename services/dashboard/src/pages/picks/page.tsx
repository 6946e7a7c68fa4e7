import { Button, NativeSelect } from '@mantine/core';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { Empty, Loaded } from '../../parts/states.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Moment, Simulated } from '../../parts/words.tsx';
import { Changes, Themes, Unpicked } from './about.tsx';
import { Cards } from './cards.tsx';
import { Fine } from './fine.tsx';
import { MakeNow } from './make-now.tsx';
import { type Metadata, type Report, usePicks, useVersions } from './queries.ts';
import { Record } from './record.tsx';
import { SpendPanel } from './spend.tsx';
import { costText, FALLBACKS, MADE_BY, statusText } from './words.ts';
import './picks.css';

/** The weekly report of a user: what it is first, then the picks, then what is known of earlier ones. */
export default function PicksPage() {
  const { user } = useParams({ strict: false }) as { user: string };
  const { week } = useSearch({ strict: false }) as { week?: string };
  usePageTitle(`Picks for ${user}`);
  const query = usePicks(user, week);
  return (
    <div className="page picks">
      <div className="page-head">
        <h1>Weekly picks for {user}</h1>
        <span className="grow" />
        <span className="fields no-print">
          <Weeks user={user} week={week} />
          <Button size="xs" variant="default" disabled={query.data?.data == null} onClick={() => window.print()}>
            Print
          </Button>
          <MakeNow user={user} />
        </span>
      </div>
      <Loaded query={query}>
        {({ data: report, metadata }) => (
          <div className="stack">
            <Provenance report={report} metadata={metadata} />
            {report === null ? <None user={user} metadata={metadata} /> : <Content user={user} report={report} metadata={metadata} />}
          </div>
        )}
      </Loaded>
      <div className="no-print">
        <SpendPanel user={user} />
      </div>
    </div>
  );
}

/** What the report is, before anything that it says. */
function Provenance({ report, metadata }: { report: Report | null; metadata: Metadata }) {
  const status = statusText(metadata);
  const { job, not_advice } = metadata;
  return (
    <>
      {report !== null && (
        <p className="chips provenance" data-testid="provenance">
          <Badge>
            {MADE_BY[report.source].word}: {report.source === 'llm' ? `words by ${report.model}` : MADE_BY[report.source].about}
          </Badge>
          <Badge>week of {report.week_of}</Badge>
          <Badge>prices of {report.data_date}</Badge>
          <Badge>{costText(report)}</Badge>
          <Badge>
            made <Moment at={report.generated_at} />, version {report.version}
          </Badge>
          <Simulated when={report.simulated} />
          {report.universe.small && <Badge>small universe: {report.universe.eligible} symbols</Badge>}
        </p>
      )}
      <p>
        <strong>{not_advice}</strong>
        {report?.fallback_reason != null && report.source === 'quant' && (
          <span className="dim"> The words are the program's: {FALLBACKS[report.fallback_reason]}.</span>
        )}
      </p>
      {status !== '' && (
        <p className="reason" role="status">
          {status} {metadata.status === 'failed' && job?.reason}{' '}
          {job !== null && (metadata.status === 'failed' || metadata.status === 'making') && (
            <Link to="/jobs/$id" params={{ id: job.id }}>
              Its job
            </Link>
          )}
        </p>
      )}
    </>
  );
}

const Badge = ({ children }: { children: ReactNode }) => <span className="chip">{children}</span>;

function None({ user, metadata }: { user: string; metadata: Metadata }) {
  if (metadata.status === 'making')
    return (
      <Empty title="The first report is being made">
        The symbols of the universe are fetched first, which takes minutes the first time. It appears here by itself.
      </Empty>
    );
  return (
    <Empty title="No report yet">
      One is made each Monday before the session. Press “Make now” for one of this week, or <code>npx stockmesh picks make {user}</code>
    </Empty>
  );
}

function Content({ user, report, metadata }: { user: string; report: Report; metadata: Metadata }) {
  return (
    <>
      {report.shortfall !== null && <p className="reason">{report.shortfall.text}</p>}
      <Cards report={report} />
      <Record user={user} />
      <Changes report={report} />
      <Themes report={report} />
      <Unpicked report={report} />
      <Fine report={report} metadata={metadata} />
    </>
  );
}

/** The weeks that have a report. The newest stands without a week in the address. */
function Weeks({ user, week }: { user: string; week: string | undefined }) {
  const { data } = useVersions(user);
  const navigate = useNavigate();
  const weeks = [...new Set([...(week === undefined ? [] : [week]), ...(data?.reports ?? []).map((one) => one.week_of)])];
  if (weeks.length < 2 && week === undefined) return null;
  return (
    <NativeSelect
      size="xs"
      aria-label="Week"
      value={week ?? ''}
      data={[{ value: '', label: 'newest report' }, ...weeks.map((value) => ({ value, label: `week of ${value}` }))]}
      onChange={({ currentTarget: { value } }) => void navigate({ to: '.', search: value === '' ? {} : { week: value } })}
    />
  );
}
