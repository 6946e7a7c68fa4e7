import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

declare module '@tanstack/react-router' {
  interface HistoryState {
    /** The one who came here wants a ranking, so it is asked for where there is none. An address that is typed or shared asks for nothing. */
    ask?: boolean;
  }
}

/** To the options of a symbol; ranks them where nobody has yet. */
export function OptionsLink({ symbol, children }: { symbol: string; children: ReactNode }) {
  return (
    <Link to="/options/$symbol" params={{ symbol }} state={{ ask: true }}>
      {children}
    </Link>
  );
}
