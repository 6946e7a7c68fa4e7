import { Link } from '@tanstack/react-router';
import { Empty } from '../parts/states.tsx';

export function NotFound() {
  return (
    <Empty title="There is no such page">
      <Link to="/mesh">To the overview</Link>
    </Empty>
  );
}
