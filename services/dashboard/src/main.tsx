import './app/styles.ts';
import { MantineProvider } from '@mantine/core';
import { notifyManager, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { createRoot } from 'react-dom/client';
import { reloadOnce } from './app/new-build.ts';
import { loadPage, router } from './app/router.tsx';
import { cssVariables, theme } from './app/theme.ts';
import { queries } from './data/client.ts';
import { paced } from './data/pace.ts';
import { startStream } from './data/stream.ts';
import { startTimes } from './parts/time-style.ts';

// Styles that are made while the page runs carry the nonce of this answer; the policy refuses any other.
const nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? '';
setNonce(nonce);
window.addEventListener('vite:preloadError', reloadOnce);
notifyManager.setScheduler(paced);
loadPage();
startTimes();
startStream(queries);

createRoot(document.getElementById('root') as HTMLElement).render(
  <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto" getStyleNonce={() => nonce}>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </MantineProvider>,
);
