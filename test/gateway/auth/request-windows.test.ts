import { afterEach, expect, test, vi } from 'vitest';
import { requestWindows } from '../../../services/gateway/auth/request-windows.ts';

afterEach(() => vi.restoreAllMocks());

const WINDOW_MS = 60_000;

function setUp() {
  let monotonic = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => monotonic);
  const windows = requestWindows(WINDOW_MS);
  return {
    pass(ms: number) {
      monotonic += ms;
    },
    request: windows.count,
    takeBack: windows.uncount,
  };
}

test('requests are counted for each caller until the window ends', () => {
  const { pass, request } = setUp();
  expect(request('key a')).toEqual({ requests: 1, endsInMs: 60_000 });
  pass(20_000);
  expect(request('key a')).toEqual({ requests: 2, endsInMs: 40_000 });
  expect(request('key b')).toEqual({ requests: 1, endsInMs: 60_000 });
  pass(40_000);
  expect(request('key a')).toEqual({ requests: 1, endsInMs: 60_000 });
});

test.each([-600_000, 600_000])('a machine’s clock that is set by %d ms neither lengthens nor ends a window', (step) => {
  const { pass, request } = setUp();
  request('key a');
  const now = Date.now();
  vi.spyOn(Date, 'now').mockReturnValue(now + step);
  expect(request('key a')).toEqual({ requests: 2, endsInMs: 60_000 });
  pass(WINDOW_MS);
  expect(request('key a')).toEqual({ requests: 1, endsInMs: 60_000 });
});

test('a request that is taken back was never counted', () => {
  const { request, takeBack } = setUp();
  request('address a');
  takeBack('address a');
  expect(request('address a').requests).toBe(1);
});

test('of very many callers the one whose window began first is forgotten', () => {
  const { request } = setUp();
  for (let caller = 0; caller <= 5_000; caller++) request(`address ${caller}`);
  expect(request('address 1').requests).toBe(2);
  expect(request('address 0').requests).toBe(1);
});
