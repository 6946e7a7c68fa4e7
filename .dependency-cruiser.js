// Who may import whom. Imports go downwards: cli, services → logins, job-types → picks → market, history, model → ledger → platform. docs and README draw the same picture.
const services = '(portfolio-priority|worker|scheduler|gateway|notifier)';

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to: { path: to } });

export default {
  forbidden: [
    {
      name: 'service-imports-service',
      comment: 'Services meet in the ledger and on the broker only.',
      severity: 'error',
      from: { path: `^services/${services}/` },
      to: { path: `^services/${services}/`, pathNot: '^services/$1/' },
    },
    forbid(
      'market-is-pure',
      'The market knows neither MQTT nor jobs, and no picks.',
      '^services/market/',
      `^services/(picks|model|ledger|history|logins|job-types|cli|${services}|platform/bus|platform/messages|platform/topics)|^broker/|node_modules/mqtt/`,
    ),
    forbid(
      'history-knows-no-job',
      'History knows neither MQTT nor jobs.',
      '^services/history/',
      `^services/(picks|model|ledger|logins|job-types|cli|${services}|platform/bus|platform/messages|platform/topics)|^broker/|node_modules/mqtt/`,
    ),
    forbid(
      'model-knows-no-job',
      'The model port and its spend ledger know the platform alone.',
      '^services/model/',
      `^services/(?!model|platform/)|^services/platform/(bus|messages|topics)|^broker/|node_modules/mqtt/`,
    ),
    forbid(
      'picks-are-pure',
      'Picks stand beside the market: they know it, the model and the platform, neither MQTT nor jobs.',
      '^services/picks/',
      `^services/(ledger|logins|job-types|cli|${services}|platform/bus|platform/messages|platform/topics)|^broker/|node_modules/mqtt/`,
    ),
    forbid('platform-is-the-ground', 'The platform stands below everything.', '^services/platform/', '^services/(?!platform/)|^broker/'),
    forbid(
      'ledger-knows-no-type',
      'The ledger knows no job type, no market and no service.',
      '^services/ledger/',
      `^services/(${services}|cli|market|history|picks|model|logins|job-types)/|^broker/`,
    ),
    forbid(
      'logins-serve-services',
      'Logins are used by two services and know none of them.',
      '^services/logins/',
      `^services/(${services}|cli)/|^broker/`,
    ),
    forbid(
      'simulation-knows-no-service',
      'A simulated day uses the rules that services use, and none of the services.',
      '^services/simulation/',
      `^services/(${services}|cli)/|^broker/|node_modules/mqtt/`,
    ),
    forbid(
      'simulation-is-for-the-command-line',
      'Nothing that runs depends on a simulation.',
      '^services/(?!cli/|simulation/)',
      '^services/simulation/',
    ),
    forbid(
      'services-know-no-command-line',
      'The command line is the outermost layer.',
      `^services/${services}/`,
      '^services/cli/|^services/main',
    ),
    {
      name: 'handlers-run-in-workers',
      comment: 'A handler is loaded when a worker starts, by the index of the job types.',
      severity: 'error',
      from: { path: '^services/', pathNot: '^services/job-types/index.ts$' },
      to: { path: '^services/job-types/[^/]+/handler.ts$' },
    },
    {
      name: 'handlers-are-loaded-late',
      comment: 'The gateway and the command line import the index without the handlers.',
      severity: 'error',
      from: { path: '^services/job-types/index.ts$' },
      to: { path: '^services/job-types/[^/]+/handler.ts$', dynamic: false },
    },
    forbid(
      'the-page-knows-the-api-only',
      'The page runs in a browser: of the other parts it takes the types of the HTTP API, and no code.',
      '^services/dashboard/src/',
      '^(services/(?!dashboard/src/|client/openapi)|broker|sql)',
    ),
    forbid('nobody-needs-the-page', 'The page is built by itself.', '^services/(?!dashboard/)', '^services/dashboard/'),
    {
      name: 'pages-stand-alone',
      comment: 'What two pages need stands in parts, data or format.',
      severity: 'error',
      from: { path: '^services/dashboard/src/pages/([^/]+)/' },
      to: { path: '^services/dashboard/src/pages/', pathNot: '^services/dashboard/src/pages/$1/' },
    },
    forbid('broker-knows-no-service', 'The broker is a part for itself.', '^broker/', '^services/(?!platform/)'),
    {
      name: 'no-circles',
      comment: 'Type imports aside, nothing needs itself.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'not-to-test', severity: 'error', from: { path: '^(services|broker|sql)/' }, to: { path: '^test/' } },
    {
      name: 'no-dev-dependency',
      severity: 'error',
      from: { path: '^(services|broker|sql)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^services/dashboard/dist' },
    parser: 'swc',
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.css'],
    },
  },
};
