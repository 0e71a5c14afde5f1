import t from 'tap';
import { parseJson, stringifyJson } from '../../shared/kube/json.ts';
import { splitLines } from '../../shared/kube/lines.ts';

t.test('integers beyond 2^53 survive, everything else is plain JSON', async (t) => {
  for (const text of ['{"a":9007199254740993}', '{"a":-9007199254740993,"b":[18446744073709551615]}', '{"a":12345678901234567890}']) {
    t.equal(stringifyJson(parseJson(text)), text);
  }
  t.strictSame(parseJson('{"a":1,"b":1.5,"c":"9007199254740993","d":1e400}'), { a: 1, b: 1.5, c: '9007199254740993', d: Infinity });
  t.strictSame(parseJson('{"big":9007199254740993,"small":3,"float":0.1234567890123456789}'), { big: 9007199254740993n, small: 3, float: Number('0.1234567890123456789') });
  t.strictSame(parseJson('[ 9007199254740993 , -9007199254740993 ]'), [9007199254740993n, -9007199254740993n], 'with spaces');
  t.equal(parseJson('9007199254740993'), 9007199254740993n, 'alone');
  t.strictSame(parseJson('{"image":"sha256:1234567890123456789","ids":"x,9007199254740993,y"}'), { image: 'sha256:1234567890123456789', ids: 'x,9007199254740993,y' });
  t.throws(() => parseJson('{"a":9007199254740993'), SyntaxError);
});

t.test('lines are whole, whatever the chunks', async (t) => {
  const text = Buffer.from('{"name":"größe"}\n\n{"name":"日本"}\nunfinished');
  for (const size of [1, 2, 3, 7, 1000]) {
    const lines: string[] = [];
    const chunks = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size);
    };
    for await (const line of splitLines(chunks())) lines.push(line);
    t.strictSame(lines, ['{"name":"größe"}', '{"name":"日本"}', 'unfinished'], `chunks of ${size}`);
  }
});
