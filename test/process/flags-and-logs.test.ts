import t from 'tap';
import { leaseTimes } from '../../controller/leadership.ts';
import { parseOptions } from '../../controller/options.ts';
import { KollectError } from '../../shared/errors.ts';
import { parseFlags } from '../../shared/flags.ts';
import { createLogger } from '../../shared/log.ts';
import { nearestName } from '../../shared/nearest.ts';

const definitions = {
  port: { type: 'integer', default: 9443, min: 1, max: 65_535, help: 'Port to serve on.' },
  'max-export-bytes': { type: 'integer', help: 'Largest export.' },
  'cert-path': { type: 'string', default: '/certs', placeholder: 'dir', help: 'Directory of the certificate.' },
  'log-level': { type: 'string', default: 'info', choices: ['debug', 'info'], help: 'Least level that is written.' },
  'tenant-mode': { type: 'boolean', default: false, help: 'Serve one tenant.' },
  'allow-private-sinks': { type: 'boolean', default: true, help: 'Private addresses are fine.' },
  'map-host': { type: 'list', placeholder: 'name:port=ip:port', help: 'Development only.' },
  reversed: { type: 'parsed', parse: (text: string) => [...text].toReversed().join(''), placeholder: 'text', help: 'Turned around.' },
} as const;

const parse = (...argv: string[]) => parseFlags(definitions, argv, { usage: 'webhook [flags]' });

t.test('flags have the defaults of their definitions', async (t) => {
  t.same(parse(), {
    port: 9443,
    'max-export-bytes': undefined,
    'cert-path': '/certs',
    'log-level': 'info',
    'tenant-mode': false,
    'allow-private-sinks': true,
    'map-host': [],
    reversed: undefined,
    help: undefined,
    arguments: [],
  });
});

t.test('flags take values after a space and after an equals sign', async (t) => {
  const flags = parse('--port', '1', '--cert-path=/x=y', '--tenant-mode', '--allow-private-sinks=false', '--map-host', 'a:1=127.0.0.1:2', '--map-host=b:1=127.0.0.1:3', '--reversed=ab');
  t.match(flags, {
    port: 1,
    'cert-path': '/x=y',
    'tenant-mode': true,
    'allow-private-sinks': false,
    'map-host': ['a:1=127.0.0.1:2', 'b:1=127.0.0.1:3'],
    reversed: 'ba',
  });
});

t.test('a flag that cannot be used is an error that says what to write', async (t) => {
  const cases: [string[], string][] = [
    [['--prot=1'], 'unknown flag --prot, did you mean --port?; --help lists all flags'],
    [['--zzzzzzzz'], 'unknown flag --zzzzzzzz; --help lists all flags'],
    [['-p', '1'], 'unknown flag -p: flags begin with --'],
    [['serve'], 'unexpected argument "serve": flags begin with --'],
    [['--port'], 'flag --port needs a value'],
    [['--port=0'], 'invalid value "0" for flag --port: write a whole number from 1 to 65535'],
    [['--port=1e3'], 'invalid value "1e3" for flag --port: write a whole number from 1 to 65535'],
    [['--log-level=trace'], 'invalid value "trace" for flag --log-level: write one of debug, info'],
    [['--tenant-mode=yes'], 'invalid value "yes" for flag --tenant-mode: write true or false'],
    [['--__proto__=1'], 'unknown flag --__proto__; --help lists all flags'],
  ];
  for (const [argv, message] of cases) {
    t.throws(() => parse(...argv), new KollectError('KOL_CONFIG_FLAG', message), argv.join(' '));
  }
});

t.test('a command may take arguments, flags of one letter, and say what it is about', async (t) => {
  const short = { namespace: { type: 'string', short: 'n', default: 'default', help: 'Namespace.' }, quiet: { type: 'boolean', short: 'q', default: false, help: 'Say less.' }, port: definitions.port } as const;
  const run = (...argv: string[]) => parseFlags(short, argv, { usage: 'kollect lint [flags] <file>...', about: 'Judges files.', takesArguments: true });
  t.match(run('a.yaml', '-n', 'team-a', '-', '-q', 'b.yaml'), { arguments: ['a.yaml', '-', 'b.yaml'], namespace: 'team-a', quiet: true });
  t.match(run('-nteam-a', '--', '--quiet'), { arguments: ['--quiet'], namespace: 'team-a', quiet: false });
  t.match(run('-n=team-a', '--namespace=team-b'), { arguments: [], namespace: 'team-b' });
  t.throws(() => run('-x'), new KollectError('KOL_CONFIG_FLAG', 'unknown flag -x: known are -n, -q, -h, and those that --help lists'));
  t.equal(run('-h').help, 'Usage: kollect lint [flags] <file>...\n\nJudges files.\n\nFlags:\n  -n, --namespace <string>  Namespace. (default default)\n  -q, --quiet               Say less.\n      --port <number>       Port to serve on. (default 9443)\n  -h, --help                Show this help.\n');
});

t.test('--help lists every flag, aligned, with defaults', async (t) => {
  const help = parse('--port=nonsense', '--help').help ?? '';
  t.match(help, /^Usage: webhook \[flags\]\n\nFlags:\n/);
  const columns = help.split('\n').filter((line) => line.startsWith('  --')).map((line) => line.search(/(?<=\S {2,})[A-Z]/));
  t.equal(columns.length, Object.keys(definitions).length + 1);
  t.equal(new Set(columns).size, 1, 'all descriptions begin in one column');
  t.match(help, /--log-level <debug\|info> +Least level that is written\. \(default info\)/);
});

t.test('a log line is one JSON object with the agreed keys', async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'json', name: 'webhook', write: (line) => lines.push(line) });
  log.debug('not written');
  log.child({ logger: 'tls', file: 'tls.crt' }).warn('kept\nthe old one', { error: new KollectError('KOL_SINK_AUTH', 'no'), bytes: 12n });
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0] ?? ''), {
    ts: /^\d{4}-\d\d-\d\dT.*Z$/,
    level: 'warn',
    logger: 'webhook.tls',
    msg: 'kept\nthe old one',
    file: 'tls.crt',
    error: { code: 'KOL_SINK_AUTH', message: 'no' },
    bytes: '12',
  });
});

t.test('the text form stays on one line', async (t) => {
  const lines: string[] = [];
  createLogger({ level: 'debug', format: 'text', name: 'webhook', write: (line) => lines.push(line) }).info('two\nlines', { a: 'b c', n: 1, none: undefined });
  t.match(lines, [/^\S+Z INFO {2}webhook two lines a="b c" n=1\n$/]);
});

t.test('the nearest name is suggested only when it is near', async (t) => {
  t.equal(nearestName('postgress', ['mongodb', 'postgres']), 'postgres');
  t.equal(nearestName('optin', ['All', 'OptIn']), 'OptIn');
  t.equal(nearestName('prot', ['port', 'post']), 'port');
  t.equal(nearestName('xyz', ['All', 'OptIn']), undefined);
  t.equal(nearestName('', ['a']), undefined);
});

t.test('times of the election by which nobody could lead are refused', async (t) => {
  const times = (...argv: string[]) => leaseTimes(parseOptions(argv));
  t.strictSame(times(), { durationMs: 60_000, renewDeadlineMs: 40_000, retryMs: 5_000 });
  t.strictSame(times('--leader-elect-lease-duration=6s', '--leader-elect-renew-deadline=2s', '--leader-elect-retry-period=500ms'), { durationMs: 6_000, renewDeadlineMs: 2_000, retryMs: 500 });
  const cases: [string[], RegExp][] = [
    [['--leader-elect-retry-period=40s'], /retry-period must be more than 0 and less than --leader-elect-renew-deadline/],
    [['--leader-elect-retry-period=0'], /retry-period must be more than 0/],
    [['--leader-elect-renew-deadline=60s'], /renew-deadline must be less than --leader-elect-lease-duration/],
    [['--leader-elect-lease-duration=6s', '--leader-elect-renew-deadline=4s', '--leader-elect-retry-period=1s'], /more than 5s longer than --leader-elect-retry-period/],
  ];
  for (const [argv, message] of cases) t.throws(() => times(...argv), { code: 'KOL_CONFIG_FLAG', message }, argv.join(' '));
});
