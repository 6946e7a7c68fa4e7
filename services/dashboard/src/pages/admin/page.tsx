import { Link, useParams } from '@tanstack/react-router';
import type { FunctionComponent } from 'react';
import { Empty } from '../../parts/states.tsx';
import { usePageTitle } from '../../parts/title.ts';
import './admin.css';
import { Audit } from './audit.tsx';
import { Configuration } from './configuration.tsx';
import { Fetch } from './fetch.tsx';
import { Instances } from './instances.tsx';
import { Keys } from './keys.tsx';
import { Messages } from './messages.tsx';
import { Schedules } from './schedules.tsx';

interface Section {
  path: string;
  name: string;
  Part: FunctionComponent;
}

const SECTIONS: readonly Section[] = [
  { path: 'schedules', name: 'Schedules', Part: Schedules },
  { path: 'fetch', name: 'Fetch', Part: Fetch },
  { path: 'keys', name: 'Keys', Part: Keys },
  { path: 'messages', name: 'Messages', Part: Messages },
  { path: 'instances', name: 'Instances', Part: Instances },
  { path: 'configuration', name: 'Configuration', Part: Configuration },
  { path: 'audit', name: 'Changes', Part: Audit },
];

/** What is changed by hand. Each section has an address of its own. */
export default function AdminPage() {
  const { section = 'schedules' } = useParams({ strict: false }) as { section?: string };
  const found = SECTIONS.find(({ path }) => path === section);
  usePageTitle(found === undefined ? 'Admin' : `Admin: ${found.name}`);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Admin</h1>
      </div>
      <nav className="tabs" aria-label="Sections">
        {SECTIONS.map(({ path, name }) => (
          <Link
            key={path}
            className="tab"
            to="/admin/$section"
            params={{ section: path }}
            aria-current={path === section ? 'page' : undefined}
          >
            {name}
          </Link>
        ))}
      </nav>
      {found === undefined ? <Empty title={`There is no section “${section}”`} /> : <found.Part />}
    </div>
  );
}
