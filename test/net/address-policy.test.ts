import fc from 'fast-check';
import t from 'tap';
import { checkAddress, checkHost, defaultAddressPolicy } from '../../shared/net/address-policy.ts';
import { parseHostMap } from '../../shared/net/host-map.ts';

const strict = { allowPrivate: false, allowLoopback: false };
const usual = defaultAddressPolicy;
const development = { allowPrivate: true, allowLoopback: true };

t.test('names and public addresses are fine under every policy', async (t) => {
  const hosts = [
    'kafka.kollect-system.svc', 'github.com', 'GitHub.COM.', 'postgres', 'my_host', 'bücher.example', 'xn--bcher-kva.example', '8.8.8.8', '93.184.216.34', '172.15.0.1',
    '172.32.0.1', '100.63.255.255', '100.128.0.1', '198.17.0.1', '198.20.0.1', '169.253.1.1', '2606:4700::1111', '[2606:4700::1111]', '64:ff9b::808:808', '2606:4700::200:5efe:8.8.8.8', '2606:4700::100:5efe:10.0.0.1', '2002:808:808::1',
    'metadata.example.com', 'localhost.example.com',
  ];
  for (const host of hosts) t.equal(checkHost(host, strict), undefined, host);
});

t.test('what is never a sink is refused even where private and loopback addresses are allowed', async (t) => {
  const hosts: [string, RegExp][] = [
    ['0.0.0.0', /unspecified/], ['0.1.2.3', /unspecified/], ['::', /unspecified/], ['0', /unspecified/],
    ['169.254.169.254', /metadata/], ['169.254.1.1', /link-local/], ['fe80::1', /link-local/], ['fe80::1%eth0', /link-local/], ['[fe80::1%25eth0]', /link-local/],
    ['100.64.0.1', /provider network/], ['100.127.255.255', /provider network/], ['100.100.100.200', /metadata/],
    ['198.18.0.1', /benchmark/], ['198.19.255.255', /benchmark/], ['168.63.129.16', /metadata/], ['192.0.0.192', /reserved/],
    ['224.0.0.1', /multicast/], ['239.255.255.250', /multicast/], ['ff02::1', /multicast/], ['ff0e::1', /multicast/],
    ['240.0.0.1', /reserved/], ['255.255.255.255', /reserved/],
    ['fd00:ec2::23', /metadata/], ['fd00:ec2::253', /metadata/], ['fd00:ec2::254', /metadata/], ['fd00:ec2::254%eth0', /metadata/], ['fd20:ce::254', /metadata/],
    ['metadata', /metadata/], ['metadata.google.internal', /metadata/], ['METADATA.google.internal.', /metadata/], ['metadata.goog', /metadata/], ['instance-data', /metadata/],
    ['instance-data.ec2.internal', /metadata/],
    ['::ffff:169.254.169.254', /metadata/], ['::ffff:a9fe:a9fe', /metadata/], ['::ffff:100.64.0.1', /provider network/], ['::ffff:0:169.254.169.254', /metadata/], ['::169.254.169.254', /metadata/],
    ['64:ff9b::169.254.169.254', /metadata/], ['64:ff9b::a9fe:a9fe', /metadata/], ['64:ff9b:1::1', /reserved/], ['2002:a9fe:a9fe::1', /metadata/],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', /reserved/], ['100::1', /reserved/], ['2606:4700::5efe:169.254.169.254', /metadata/], ['2606:4700::200:5efe:169.254.169.254', /metadata/], ['2606:4700::200:5efe:169.254.1.1', /link-local/],
    ['0xa9fea9fe', /metadata/], ['2852039166', /metadata/], ['0251.0376.0251.0376', /metadata/], ['0xa9.0xfe.43518', /metadata/], ['169.254.43518', /metadata/], ['１６９。254。169。254', /metadata/],
  ];
  for (const [host, reason] of hosts) t.match(checkHost(host, development) ?? 'allowed', reason, host);
});

t.test('loopback needs the switch for development', async (t) => {
  const hosts = [
    'localhost', 'LOCALHOST.', 'a.localhost', 'localhost.localdomain', 'ip6-localhost', 'localhost6', 'localhost6.localdomain6', '127.0.0.1', '127.1.2.3', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::7f00:1',
    '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '64:ff9b::127.0.0.1', '2002:7f00:1::', 'ⓛocalhost',
  ];
  for (const host of hosts) {
    t.match(checkHost(host, usual) ?? 'allowed', /loopback/, host);
    t.equal(checkHost(host, development), undefined, `${host} under --allow-loopback-sinks`);
  }
});

t.test('private addresses are allowed unless the installation is strict', async (t) => {
  for (const host of ['10.10.10.10', '172.16.9.9', '172.31.255.255', '192.168.1.1', 'fd00::1', 'fc00::1', 'fec0::1', '::ffff:10.0.0.1', '64:ff9b::10.0.0.1', '2606:4700::200:5efe:10.0.0.1', '0x0a.1']) {
    t.match(checkHost(host, strict) ?? 'allowed', /private address.*--allow-private-sinks=false/, host);
    t.equal(checkHost(host, usual), undefined, host);
  }
});

t.test('text that is no host is refused', async (t) => {
  for (const host of ['', '  ', '.', 'a b', 'a/b', 'user@host', 'host:1', '1.2.3.4.5', '256.1.1.1', '4294967296', '[::1', 'x%31', 'a\\b', '::1::', '12345::', 'gggg::', '1:2:3:4:5:6:7:8:9',
    '-oProxyCommand=x', '-a.example', 'a.-b.example', 'a..b', 'a,b', 'a;b', 'a=b', 'a+b', `${'a'.repeat(64)}.example`, `${'a.'.repeat(127)}com`, '%6cocalhost', '08.1.1.1', '127.0.0.1 x', '127.0.0.1\tx', 'x.0x7f000001x.1']) {
    t.match(checkHost(host, development) ?? 'allowed', /not a host name or an address/, JSON.stringify(host));
  }
});

t.test('a zone belongs to link-local addresses only', async (t) => {
  t.match(checkHost('2606:4700::1111%eth0', development) ?? 'allowed', /zone/);
  t.match(checkHost('[2606:4700::1111%25eth0]', development) ?? 'allowed', /zone/);
  t.match(checkHost('fe80::1%eth0', development) ?? 'allowed', /link-local/);
});

t.test('resolved addresses are judged alike, and names are none', async (t) => {
  t.match(checkAddress('127.0.0.1', usual), /loopback/);
  t.match(checkAddress('::ffff:169.254.169.254', development), /metadata/);
  t.match(checkAddress('fe80::1%2', development), /link-local/);
  t.equal(checkAddress('10.96.0.1', usual), undefined);
  t.match(checkAddress('10.96.0.1', strict), /private/);
  t.match(checkAddress('example.com', usual), /not an address/);
  t.match(checkAddress('010.0.0.1', usual), /not an address/);
});

t.test('every notation of one IPv4 address is judged like the address', async (t) => {
  const octet = fc.integer({ min: 0, max: 255 });
  const hex = (n: number) => n.toString(16).padStart(2, '0');
  fc.assert(
    fc.property(octet, octet, octet, octet, (a, b, c, d) => {
      const plain = `${a}.${b}.${c}.${d}`;
      const number = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      const refused = checkAddress(plain, usual) !== undefined;
      const forms = [plain, String(number), `0x${number.toString(16)}`, `0${number.toString(8)}`, `${a}.${b}.${(c << 8) | d}`, `::ffff:${plain}`, `::ffff:${hex(a)}${hex(b)}:${hex(c)}${hex(d)}`, `64:ff9b::${plain}`, `2002:${hex(a)}${hex(b)}:${hex(c)}${hex(d)}::1`, `[::ffff:${plain}]`, ` ${plain}. `];
      for (const form of forms) if ((checkHost(form, usual) !== undefined) !== refused) throw new Error(`${form} is judged unlike ${plain}`);
    }),
    { numRuns: 2000, examples: [[127, 0, 0, 1], [169, 254, 169, 254], [10, 0, 0, 1], [0, 0, 0, 0], [224, 0, 0, 1]] },
  );
  t.pass();
});

t.test('host mappings', async (t) => {
  t.same([...parseHostMap(['Postgres.db.svc:5432=127.0.0.1:15432', 'b:1=[::1]:2'])], [
    ['postgres.db.svc:5432', { host: '127.0.0.1', port: 15_432 }],
    ['b:1', { host: '::1', port: 2 }],
  ]);
  for (const value of ['a=127.0.0.1:1', 'a:1=b:2', 'a:0=127.0.0.1:1', 'a:1=127.0.0.1:99999', 'a:1=127.0.0.1', '']) t.throws(() => parseHostMap([value]), /--map-host/, value);
});
