/**
 * What systemd is told of a service of `Type=notify` (sd_notify(3)): that it is ready, that it stops, and, where the unit has a `WatchdogSec=`, that its event loop turns.
 * By the program `systemd-notify`, since Node cannot send datagrams to a Unix socket; the units allow it with `NotifyAccess=all`. Nothing happens elsewhere.
 */
import { execFile } from 'node:child_process';
import { programEnvironment } from './environment.ts';

export interface Systemd {
  ready(): void;
  stopping(): void;
  end(): void;
}

/** `failed` gets the reason when systemd could not be told, once. */
export function systemdOf(env: Readonly<Record<string, string | undefined>>, failed: (why: string) => void): Systemd {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog } = env;
  if (socket === undefined) return { ready() {}, stopping() {}, end() {} };
  let told = false;
  let pinging: NodeJS.Timeout | undefined;
  const tell = (...state: string[]): void => {
    // In the name of this process: its child is gone when systemd looks.
    execFile(
      'systemd-notify',
      [`--pid=${process.pid}`, ...state],
      { env: { ...programEnvironment(env), NOTIFY_SOCKET: socket } },
      (error) => {
        if (error === null || told) return;
        told = true;
        failed(error.message);
      },
    );
  };
  return {
    ready() {
      tell('--ready');
      if (watchdog === undefined || pinging !== undefined) return;
      // A third of the time: one that is lost does no harm.
      pinging = setInterval(() => tell('WATCHDOG=1'), Number(watchdog) / 3_000);
      pinging.unref();
    },
    stopping: () => tell('STOPPING=1'),
    end: () => clearInterval(pinging),
  };
}
