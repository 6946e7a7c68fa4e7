import { useEffect } from 'react';

/** The title of the tab. */
export function usePageTitle(name: string): void {
  useEffect(() => {
    document.title = `${name} · stockmesh`;
  }, [name]);
}
