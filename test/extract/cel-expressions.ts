/** What the expressions below are evaluated on. */
export const celObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop', labels: { app: 'web', 'app.kubernetes.io/part-of': 'shop' }, generation: 7, creationTimestamp: '2026-01-31T12:30:45Z' },
  spec: { replicas: 3, ratio: 2.5, paused: false, template: { spec: { containers: [{ name: 'web', image: 'registry.example.com/web:1.27.3', ports: [80, 443] }, { name: 'envoy', image: 'envoy', resources: { limits: { cpu: '500m', memory: '1Gi' } } }] } } },
  status: { conditions: [{ type: 'Ready', status: 'True' }, { type: 'Synced', status: 'False' }], observedGeneration: null },
  numbers: [3, 1, 2],
  mixed: [1, 2.5],
  words: ['b', 'a', 'ä'],
  nested: [[1, 2], [3], []],
  empty: [],
  none: {},
  text: 'Hällo 😀 World',
  keyed: { '1': 'one', true: 'yes' },
  precise: '2026-01-31T12:30:45.123456Z',
};

/** Expressions by subject. Each is evaluated by Kubernetes' own CEL and by ours, and both have to agree: the same value, or both fail. */
export const celExpressions: Readonly<Record<string, readonly string[]>> = {
  members: [
    'object.metadata.name', "object['metadata']['name']", 'object.metadata.labels["app.kubernetes.io/part-of"]', 'object.nope', 'object.metadata.nope.deeper', 'has(object.metadata.name)', 'has(object.metadata.nope)', 'has(object.nope.deeper)',
    'has(object.status.observedGeneration)', 'object.status.observedGeneration', 'object.status.observedGeneration == null', 'object.?metadata.?labels.?nope.orValue("none")', 'object.?nope.deeper.orValue(1)', 'object[?"kind"].value()', 'object.?nope.hasValue()',
    'object.numbers[0]', 'object.numbers[-1]', 'object.numbers[9]', 'object.numbers[?9].orValue(0)', 'object.numbers["a"]', 'object.mixed[1]', 'object.none.size()', '"app" in object.metadata.labels', '"nope" in object.metadata.labels', '2 in object.numbers', '2.0 in object.numbers',
    'object.spec.template.spec.containers[0].ports[1]', 'object.kind.size()', 'object.spec.replicas.size()', 'object.metadata.generation.nope',
  ],
  arithmetic: [
    '1 + 2', '7 / 2', '-7 / 2', '7 % 3', '-7 % 3', '1 / 0', '1 % 0', '1.0 / 0.0', '-1.0 / 0.0', '0.0 / 0.0', '9223372036854775807 + 1', '-9223372036854775808', '-9223372036854775808 - 1', '9223372036854775807 * 2', '2 * 3.0', 'object.spec.replicas + 1', 'object.spec.replicas + 1.0',
    'object.spec.ratio + 1', 'object.spec.ratio * 2.0', 'object.spec.replicas / 2', 'object.spec.replicas % 2', '-object.spec.replicas', '-object.spec.ratio', '1u + 2u', '1u - 2u', '3u / 2u', '1u + 1', '0x1F', '1e3', '1.', '-0.0', '0.1 + 0.2',
  ],
  comparison: [
    '1 == 1.0', '1 < 1.5', '1u < 2', 'object.spec.replicas == 3', 'object.spec.replicas == 3.0', 'object.spec.replicas >= 3', 'object.spec.ratio > 2', '"a" < "b"', '"ä" < "b"', '"😀" < "\uffff"', 'true < false', 'false < true', 'null == null', 'object.metadata.name == 1', 'object.metadata.name != "web"',
    '[1, 2] == [1, 2]', '[1, 2] == [2, 1]', '[1] == [1.0]', '{"a": 1} == {"a": 1}', '{"a": 1} == {"a": 2}', 'object.numbers == [3, 1, 2]', 'object.none == {}', 'object.empty == []', 'type(1) == int', 'type("a") == string', 'type(object.numbers) == list', 'type(object.spec) == map', 'type(object.spec.replicas) == int', 'type(object.spec.ratio) == double', 'type(null) == null_type', 'b"a" == b"a"', 'b"a" < b"b"', 'object.numbers < object.numbers', '1 < "a"',
  ],
  logic: [
    'true && false', 'true || object.nope', 'object.nope || true', 'false && object.nope', 'object.nope && false', 'object.nope || false', 'true && object.nope', '!true', '!object.spec.paused', '!object.metadata.name', 'object.spec.paused ? 1 : 2', 'true ? 1 : object.nope', 'object.metadata.name ? 1 : 2', 'object.spec.paused || object.spec.replicas > 2', '1 && true',
  ],
  loops: [
    'object.numbers.map(x, x * 2)', 'object.numbers.map(x, x > 1, x * 2)', 'object.numbers.filter(x, x > 1)', 'object.numbers.all(x, x > 0)', 'object.numbers.exists(x, x == 2)', 'object.numbers.exists_one(x, x > 1)', 'object.metadata.labels.map(k, k).sort()', 'object.metadata.labels.all(k, k.startsWith("app"))', 'object.metadata.labels.filter(k, k.contains("/"))', 'object.empty.map(x, x)', 'object.empty.all(x, false)', 'object.empty.exists(x, true)',
    'object.spec.template.spec.containers.map(c, c.name)', 'object.spec.template.spec.containers.map(c, c.ports)', 'object.spec.template.spec.containers.filter(c, has(c.ports)).map(c, c.name)', 'object.spec.template.spec.containers.exists(c, c.ports[0] == 80)', 'object.spec.template.spec.containers.all(c, c.ports[0] == 80)', 'object.status.conditions.filter(c, c.type == "Ready")[0].status', 'object.status.conditions.exists(c, c.type == "Ready" && c.status == "True")',
    '[[1, 2], [3]].map(l, l.map(x, x + 1))', 'object.nested.map(l, l.size())', '{"a": 1, "b": 2}.map(k, k).sort()', '{"b": 1, "a": 2}.exists(k, k == "a")', '"abc".map(x, x)', 'object.spec.replicas.map(x, x)', 'object.numbers.map(x, {"n": x})', 'object.numbers.filter(x, x)',
  ],
  conversion: [
    'int("12")', 'int("-12")', 'int("+12")', 'int("1.5")', 'int("x")', 'int(" 1")', 'int("")', 'int(2.9)', 'int(-2.9)', 'int(1e300)', 'int(3u)', 'int("9223372036854775808")', 'uint("3")', 'uint(-1)', 'uint(3.7)', 'uint("x")', 'double("1.5")', 'double("x")', 'double(3)', 'double("1e3")', 'double("")', 'string(1)', 'string(1.5)', 'string(1.0)', 'string(1e21)', 'string(1.5e20)', 'string(1e-5)', 'string(0.0001)', 'string(123456789.0)', 'string(true)', 'string(b"abc")', 'string("a")', 'string(3u)', 'string(null)',
    'bool("true")', 'bool("TRUE")', 'bool("yes")', 'bool("1")', 'bytes("abc")', 'bytes("ä")', 'dyn(1) + 1', 'type(1)', 'string(object.spec.replicas)', 'string(object.spec.ratio)', 'string(object.numbers)', 'int(object.metadata.name)', 'int(timestamp("1970-01-01T00:01:00Z"))', 'string(duration("90m"))', 'string(timestamp("2026-01-31T12:30:45Z"))', 'string(timestamp("2026-01-31T12:30:45.25Z"))',
  ],
  time: [
    'timestamp(object.metadata.creationTimestamp).getFullYear()', 'timestamp(object.metadata.creationTimestamp).getMonth()', 'timestamp(object.metadata.creationTimestamp).getDate()', 'timestamp(object.metadata.creationTimestamp).getDayOfMonth()', 'timestamp(object.metadata.creationTimestamp).getDayOfWeek()', 'timestamp(object.metadata.creationTimestamp).getDayOfYear()', 'timestamp(object.metadata.creationTimestamp).getHours()', 'timestamp(object.metadata.creationTimestamp).getMinutes()', 'timestamp(object.metadata.creationTimestamp).getSeconds()', 'timestamp(object.metadata.creationTimestamp).getMilliseconds()',
    'timestamp(object.metadata.creationTimestamp).getHours("Europe/Berlin")', 'timestamp(object.metadata.creationTimestamp).getHours("+02:00")', 'timestamp(object.metadata.creationTimestamp).getHours("nowhere")', 'timestamp("2026-01-31T12:30:45+02:00")', 'timestamp("yesterday")', 'timestamp("2026-01-31")', 'timestamp(0)', 'timestamp(object.metadata.creationTimestamp) + duration("1h")', 'timestamp(object.metadata.creationTimestamp) - duration("36h")', 'timestamp(object.metadata.creationTimestamp) - timestamp("2026-01-31T12:00:00Z")', 'timestamp(object.metadata.creationTimestamp) > timestamp("2026-01-01T00:00:00Z")', 'timestamp(object.metadata.creationTimestamp) == timestamp("2026-01-31T12:30:45Z")',
    'duration("90m")', 'duration("1h30m").getHours()', 'duration("1h30m").getMinutes()', 'duration("1.5s").getMilliseconds()', 'duration("1500ms").getSeconds()', 'duration("-1h")', 'duration("1d")', 'duration("")', 'duration("1h") + duration("30m")', 'duration("1h") - duration("90m")', 'duration("1h") > duration("59m")', 'duration("60m") == duration("1h")', 'duration("1us")', 'duration("0")',
  ],
  strings: [
    '"a" + "b"', 'object.text.size()', 'object.text.charAt(0)', 'object.text.charAt(6)', 'object.text.charAt(7)', 'object.text.charAt(99)', '"abc".charAt(3)', '"abc".charAt(4)', '"abc".charAt(-1)', 'object.text.indexOf("World")', '"abcabc".indexOf("c")', '"abcabc".indexOf("c", 3)', '"abcabc".indexOf("x")', '"abc".indexOf("")', '"abc".indexOf("", 2)', '"abc".indexOf("a", 9)', '"abcabc".lastIndexOf("c")', '"abcabc".lastIndexOf("c", 4)', '"abc".lastIndexOf("")', 'object.text.lastIndexOf("l")',
    'object.text.substring(6)', 'object.text.substring(6, 7)', '"abc".substring(1)', '"abc".substring(3)', '"abc".substring(4)', '"abc".substring(2, 1)', '"abc".substring(-1)', '"aXbXc".replace("X", "-")', '"aXbXc".replace("X", "-", 1)', '"aXbXc".replace("X", "-", 0)', '"aXbXc".replace("X", "-", -1)', '"abc".replace("", "-")', '"abc".replace("", "-", 2)', '"a$b".replace("$", "$&")', '"a,b,c".split(",")', '"a,b,c".split(",", 2)', '"a,b,c".split(",", 0)', '"a,b,c".split(",", 1)', '"a,b,c".split(",", -1)', '"abc".split("")', 'object.text.split("")', '"".split(",")', '"".split("")', '"abc".split("", 2)',
    '["a", "b"].join()', '["a", "b"].join("-")', 'object.words.join(",")', '[].join("-")', 'object.numbers.join("-")', '"  a b ".trim()', '"\\u00a0a\\u2003".trim()', '"ÄbC".lowerAscii()', '"äbC".upperAscii()', '"abc".contains("b")', '"abc".contains("")', '"abc".startsWith("ab")', '"abc".endsWith("bc")', '"abc".startsWith("")', '"abc".matches("^a.c$")', '"abc".matches("(?i)ABC")', '"abc".matches("[")', '"abc".matches("b")', 'matches("abc", "b")', '"a\\nb".matches("a.b")', '"aaa".matches("^(a+)+$")', '"abc".matches("(?<x>b)")', '"abc".matches("a(?=b)")',
    'object.metadata.name.matches("^[a-z]+$")', 'size("äö")', '"abc".size()', '"abc"[0]', 'strings.quote("a\\"b\\n\\\\")', 'strings.quote("ä😀")',
  ],
  format: [
    '"%s is %d".format(["a", 1])', '"%s".format([1.5])', '"%s".format([1.0])', '"%s".format([true])', '"%s".format([null])', '"%s".format([[1, 2]])', '"%s".format([["a", "b"]])', '"%s".format([{"a": 1}])', '"%s".format([{"b": "x", "a": [1]}])', '"%s".format([duration("90m")])', '"%s".format([timestamp("2026-01-31T12:30:45Z")])', '"%s".format([b"abc"])', '"%s".format([3u])', '"%d".format([3u])', '"%d".format([-3])', '"%d".format(["a"])', '"%d".format([1.5])',
    '"%f".format([1.5])', '"%.2f".format([1.236])', '"%.0f".format([2.5])', '"%f".format([1])', '"%.3f".format([1234567.891])', '"%x".format([255])', '"%X".format([255])', '"%x".format(["ab"])', '"%X".format([b"az"])', '"%x".format([-255])', '"%b".format([5])', '"%b".format([true])', '"%b".format([-5])', '"%o".format([8])', '"%%".format([])', '"%s".format([])', '"a".format([1])', '"%".format([1])', '"%z".format([1])', '"%s %s".format(["a"])', '"%s".format([type(1)])', '"%s".format([object.spec.ratio])', '"%s".format([object.numbers])', '"%s".format([object.metadata.labels])',
  ],
  lists: [
    '[1, 2, 3].sum()', '[1.5, 2.5].sum()', '[].sum()', 'object.numbers.sum()', 'object.mixed.sum()', 'object.empty.sum()', '["a"].sum()', 'object.words.sum()', '[duration("1h"), duration("1m")].sum()', '[9223372036854775807, 1].sum()', '[3, 1, 2].min()', '[3, 1, 2].max()', '["b", "a"].min()', '[].min()', 'object.empty.max()', 'object.numbers.min()', 'object.mixed.max()', 'object.words.max()', '[true, false].min()', '[timestamp("2026-01-01T00:00:00Z"), timestamp("2025-01-01T00:00:00Z")].min()', '[1, 2].isSorted()', '[2, 1].isSorted()', '[].isSorted()', 'object.words.isSorted()', 'object.numbers.isSorted()', 'object.mixed.isSorted()', '["a", "b"].isSorted()',
    '[1, 2, 1].indexOf(1)', '[1, 2, 1].lastIndexOf(1)', '[1].indexOf(5)', 'object.numbers.indexOf(2)', 'object.words.indexOf("a")', 'object.words.lastIndexOf("z")', '[[1], [2]].indexOf([2])', 'object.numbers.indexOf(2.0)', '[3, 1, 2].sort()', '["b", "a"].sort()', 'object.numbers.sort()', 'object.words.sort()', '[].sort()', 'object.mixed.sort()', '[1, 2, 1, 3].distinct()', '["a", "a"].distinct()', '[[1], [1]].distinct()', 'object.numbers.distinct()', '[[1, 2], [3]].flatten()', 'object.nested.flatten()', '[[1]].flatten(-1)', '[1, 2, 3].reverse()', 'object.words.reverse()', '[1, 2, 3, 4].slice(1, 3)', '[1, 2].slice(0, 5)', '[1, 2].slice(-1, 1)', '[1, 2].slice(2, 1)', '[1, 2].slice(1, 1)',
    'lists.range(3)', 'lists.range(0)', 'lists.range(-1)', '[1, 2].first().value()', '[].first().hasValue()', '[1, 2].last().value()', 'object.empty.last().orValue(7)', 'object.numbers.first()', '[1] + [2]', 'object.numbers + [4]', '[1, 2].size()', 'size(object.numbers)', '[1, 2][5]', '[optional.of(1), optional.none()].unwrapOpt()',
  ],
  'loops over keys and values': [
    '[1, 2].all(i, v, i < v)', 'object.numbers.all(i, v, v > i)', 'object.numbers.exists(i, v, i == 2 && v == 2)', 'object.numbers.existsOne(i, v, v > 1)', 'object.numbers.exists_one(i, v, v == 3)',
    'object.metadata.labels.all(k, v, k.size() > v.size())', 'object.metadata.labels.exists(k, v, v == "shop")', 'object.metadata.labels.existsOne(k, v, k == "app")', 'object.empty.all(i, v, false)', 'object.none.exists(k, v, true)',
    '{"a": 1, "b": 2}.all(k, v, v > 0)', 'object.numbers.all(i, v, v.nope || true)', 'object.mixed.exists(i, v, v.nope || i == 1)', 'object.status.conditions.exists(i, c, c.type == "Synced" && i == 1)', 'object.numbers.all(i, v, v)', '[1].all(i, v, v)', 'object.numbers.all(i, i, true)', 'object.numbers.all(1, v, true)', 'object.spec.replicas.all(i, v, true)', '"abc".all(i, v, true)',
    'object.numbers.transformList(i, v, i * v)', 'object.numbers.transformList(i, v, i > 0, v)', 'object.metadata.labels.transformList(k, v, k + "=" + v).sort()', 'object.metadata.labels.transformMap(k, v, v.size())', 'object.metadata.labels.transformMap(k, v, k == "app", v + "!")', 'object.none.transformMap(k, v, v)', '{"a": 1}.transformMap(k, v, v + 1)', 'object.metadata.labels.transformMapEntry(k, v, {v: k})', 'object.metadata.labels.transformMapEntry(k, v, k == "app", {v: k})', 'object.metadata.labels.transformMapEntry(k, v, {"same": k})', 'object.words.transformMapEntry(i, v, {v: i})', 'object.words.transformMapEntry(i, v, v)', 'object.words.transformMapEntry(i, v, {})',
    'object.numbers.transformList(i, v, v.nope)', '[[1, 2], [3]].transformList(i, l, l.transformList(j, x, i + j + x))', 'object.numbers.transformList(i, v, i, v)', 'object.numbers.transformMap(i, v, v).size()', '[1, 2].transformMap(i, v, v)[1]', 'object.spec.template.spec.containers.transformMapEntry(i, c, {c.name: c.image})',
  ],
  'sorting by a key': [
    'object.numbers.sortBy(x, -x)', 'object.words.sortBy(w, w)', 'object.status.conditions.sortBy(c, c.type).map(c, c.type)', 'object.status.conditions.sortBy(c, c.status).map(c, c.type)', 'object.empty.sortBy(x, x)', '[].sortBy(x, x)', 'object.mixed.sortBy(x, x)', 'object.nested.sortBy(l, l.size())', 'object.nested.sortBy(l, l)', 'object.numbers.sortBy(x, x.nope)', '["bb", "a"].sortBy(s, s.size())', '[duration("2h"), duration("1m")].sortBy(d, d)', '[timestamp("2026-01-02T00:00:00Z"), timestamp("2026-01-01T00:00:00Z")].sortBy(t, t)', '[true, false].sortBy(b, b)', 'object.metadata.labels.sortBy(k, k)', 'object.numbers.sortBy(1, 2)', '[1u, 0u].sortBy(x, x)', '[1.5, 0.5].sortBy(x, x)', '[b"b", b"a"].sortBy(x, x)', '[1].sortBy(x, null)', '[1, 2].sortBy(x, x == 1 ? dyn("a") : dyn(1))',
  ],
  'named formats': [
    ...Object.entries({
      dns1123Label: ['a', 'A', 'a-', '-a', 'a.b', '', 'x'.repeat(63), 'x'.repeat(64)],
      dns1123Subdomain: ['a.b', 'a..b', 'a.', 'A', 'x'.repeat(253), 'x'.repeat(254)],
      dns1035Label: ['a1', '1a', 'a-'],
      qualifiedName: ['a', 'a/b', 'a/b/c', '/b', 'a/', 'A_b.c', 'ex.com/A', 'Ex.com/a'],
      dns1123LabelPrefix: ['a-', '-', 'A-', 'a'],
      dns1123SubdomainPrefix: ['a.-', 'a.b-'],
      dns1035LabelPrefix: ['a-', '1-'],
      labelValue: ['', 'A_b', '-a', 'a b', 'x'.repeat(64)],
      uri: ['https://a/b', '/a', 'a', ''],
      uuid: ['123e4567-e89b-12d3-a456-426614174000', '123E4567E89B12D3A456426614174000', '123'],
      byte: ['YQ==', 'YQ', 'a b=', 'YWJj', ''],
      date: ['2026-01-31', '2026-02-30', '2026-1-1', 'x'],
      datetime: ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.5+02:00', '2026-01-31', '2026-01-31T25:00:00Z', '2026-01-31t12:00:00z', '2026-01-31 12:00:00Z'],
    }).flatMap(([name, texts]) => texts.map((text) => `format.${name}().validate("${text}").hasValue()`)),
    'format.named("uuid").hasValue()', 'format.named("nope").hasValue()', 'format.named("date").value().validate("2026-01-31").hasValue()', 'format.dns1123Label() == format.dns1123Label()', 'format.dns1123Label() == format.uuid()', 'format.dns1123Label().validate(1)', 'format.nope()', 'format.dns1123Label()', '"%d".format([1])', 'object.metadata.labels.all(k, v, !format.qualifiedName().validate(k).hasValue())', 'object.words.filter(w, !format.dns1123Label().validate(w).hasValue())',
  ],
  regex: [
    '"abc 123 def 456".find("[0-9]+")', '"abc".find("[0-9]+")', '"abc 123 def 456".findAll("[0-9]+")', '"abc 123 def 456".findAll("[0-9]+", 1)', '"abc 123".findAll("[0-9]+", 0)', '"abc 123".findAll("[0-9]+", -1)', '"abc".findAll("x")', '"aaa".findAll("a*?")', '"abc".findAll("")', '"a1b22".findAll("[a-z]([0-9]+)")', '"abc".find("(")', 'object.text.find("H.llo")', 'object.text.findAll("[^ ]+")', '"foobar".find("foo|foobar")', '"xay".find("(?i)A")',
    'object.spec.template.spec.containers[0].image.find("[0-9]+[.][0-9]+")', '"aXbX".find("X$")', '"😀a😀".findAll(".")',
  ],
  sets: [
    'sets.contains([1, 2], [1])', 'sets.contains([1], [1, 2])', 'sets.contains([], [])', 'sets.contains([1, 2, 3], [3, 3, 1])', 'sets.equivalent([1, 2], [2, 1, 1])', 'sets.equivalent([1], [1, 2])', 'sets.intersects([1, 2], [2, 3])', 'sets.intersects([1], [2])', 'sets.intersects([], [1])', 'sets.contains(object.words, ["a"])', 'sets.contains([[1], [2]], [[2]])',
  ],
  quantities: [
    ...['0', '1', '-1', '+1', '1k', '1Ki', '1.5Gi', '500m', '1500m', '1000m', '0.5', '.5', '5.', '1e3', '1E3', '1E', '1e-3', '100u', '1n', '0.5n', '1Ei', '16Ei', '9E', '10E', '1K', 'Ki', '', ' 1', '1 ', '1x', '--1', '1.2.3', '1e', '1Mi2', '12345678901234567890', '0.0000000001', '1M', '2T', '3P', '0x10', '1e1000', '1_000'].flatMap((text) => [
      `isQuantity("${text}")`, `quantity("${text}").isInteger()`, `quantity("${text}").asInteger()`, `quantity("${text}").asApproximateFloat()`,
    ]),
    'sign(quantity("-5"))', 'sign(quantity("0"))', 'sign(quantity("1m"))', 'quantity("1Gi").isGreaterThan(quantity("1G"))', 'quantity("1Gi").isLessThan(quantity("1G"))', 'quantity("1000m").compareTo(quantity("1"))', 'quantity("1") == quantity("1000m")', 'quantity("1") == quantity("2")', 'quantity("1") != quantity("1.0")', 'quantity("50k").add(quantity("20k")) == quantity("70k")', 'quantity("50k").add(20).asInteger()', 'quantity("50k").sub(quantity("20k")).asInteger()', 'quantity("50k").sub(20000).asInteger()', 'quantity("1").sub(quantity("1500m")).asApproximateFloat()',
    'quantity(object.spec.template.spec.containers[1].resources.limits.memory).asInteger()', 'quantity(object.spec.template.spec.containers[1].resources.limits.cpu).asApproximateFloat()', 'quantity(object.spec.replicas)', 'isQuantity(object.metadata.name)', 'quantity("1")', 'quantity("1") < quantity("2")', 'quantity("1").nope()', '[quantity("1")].size()', 'type(quantity("1"))',
  ],
  urls: [
    ...['https://example.com/path?q=1&q=2&r=a%20b#frag', 'http://user:pass@example.com:8080/a/b', 'https://[::1]:80/x', 'https://[::1', '/absolute/path?x=1', 'relative/path', '', 'https://', 'http://exa mple.com', 'http://example.com:port/', 'mailto:a@b.c', 'https://example.com/%zz', 'https://example.com/a%2Fb/ä', 'HTTP://EXAMPLE.com', '//example.com/x', '../a', '*', ':', 'http://a:b:c/', 'http://example.com?x', 'https://example.com/a b', 'ftp://h/p;x=1', 'http://h/?a=1;b=2&c=3', 'http://h/?a=%zz&b=2', 'http://h/?=x&y', 'http://%41.com/', 'http://h:/', 'a:b', '1a:b'].flatMap((text) => [
      `isURL("${text}")`, `url("${text}").getScheme()`, `url("${text}").getHost()`, `url("${text}").getHostname()`, `url("${text}").getPort()`, `url("${text}").getEscapedPath()`, `url("${text}").getQuery()`,
    ]),
    'url("https://a.b/c") == url("https://a.b/c")', 'url("https://a.b/c") == url("https://a.b/d")', 'url(object.metadata.name)', 'isURL(object.spec.replicas)',
  ],
  networks: [
    ...['127.0.0.1', '10.0.0.1', '255.255.255.255', '256.0.0.1', '1.2.3', '01.2.3.4', '0.0.0.0', '224.0.0.1', '224.0.1.1', '169.254.1.1', '::', '::1', 'fe80::1', 'fe80::1%eth0', 'ff02::1', 'ff05::1', '2001:db8::1', '2001:DB8::1', '2001:db8:0:0:0:0:0:1', '::ffff:1.2.3.4', '64:ff9b::1.2.3.4', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7', ':::', '1::2::3', '', 'a', '1.2.3.4.5', '::1.2.3.4', '1:0:0:2:0:0:0:3', '1:0:2:0:3:0:4:0', 'fd00::1', '10.0.0.1 '].flatMap((text) => [
      `isIP("${text}")`, `string(ip("${text}"))`, `ip("${text}").family()`, `ip.isCanonical("${text}")`, `ip("${text}").isLoopback()`, `ip("${text}").isUnspecified()`, `ip("${text}").isLinkLocalMulticast()`, `ip("${text}").isLinkLocalUnicast()`, `ip("${text}").isGlobalUnicast()`,
    ]),
    ...['10.0.0.0/8', '10.1.2.3/8', '192.168.0.0/33', '::/0', '2001:db8::/32', '10.0.0.0', '10.0.0.0/08', '/8', '10.0.0.0/', '::ffff:1.2.3.4/100', 'fe80::1%eth0/64', '10.0.0.0/-1', '0.0.0.0/0', '1.2.3.4/32'].flatMap((text) => [
      `isCIDR("${text}")`, `string(cidr("${text}"))`, `string(cidr("${text}").masked())`, `cidr("${text}").prefixLength()`, `string(cidr("${text}").ip())`, `cidr("${text}").containsIP("10.1.1.1")`, `cidr("${text}").containsIP(ip("2001:db8::5"))`, `cidr("${text}").containsCIDR("10.1.0.0/16")`, `cidr("${text}").containsCIDR(cidr("0.0.0.0/0"))`,
    ]),
    'ip("10.0.0.1") == ip("10.0.0.1")', 'ip("10.0.0.1") == ip("10.0.0.2")', 'ip("::1") == ip("0:0::1")', 'cidr("10.0.0.0/8") == cidr("10.0.0.0/8")', 'cidr("10.0.0.0/8") == cidr("10.0.0.1/8")', 'ip(object.metadata.name)', 'cidr("10.0.0.0/8").containsIP("nope")',
  ],
  versions: [
    ...['1.2.3', '0.0.0', '1.2', 'v1.2.3', '1.2.3-alpha.1', '1.2.3-alpha..1', '1.2.3+build', '01.2.3', '1.2.3-01', '', '1.2.3.4', '1', 'v1', 'v01.02.3', '1.2.3-rc.1+b.5', '1.2.-3', '99999999999999999999.0.0', '1.2.3 ', '1.2-rc1', '00.0.0'].flatMap((text) => [
      `isSemver("${text}")`, `isSemver("${text}", true)`, `semver("${text}").major()`, `semver("${text}", true).minor()`, `semver("${text}", true).patch()`,
    ]),
    'semver("1.2.3").isLessThan(semver("1.10.0"))', 'semver("1.2.3").isGreaterThan(semver("1.2.3-rc.1"))', 'semver("1.0.0-alpha").compareTo(semver("1.0.0-alpha.1"))', 'semver("1.0.0-alpha.1").compareTo(semver("1.0.0-alpha.beta"))', 'semver("1.0.0-beta.2").compareTo(semver("1.0.0-beta.11"))', 'semver("1.0.0+a").compareTo(semver("1.0.0+b"))', 'semver("1.2.3") == semver("1.2.3")', 'semver("1.2.3") == semver("1.2.4")', 'semver(object.spec.template.spec.containers[0].image.find("[0-9.]+$")).minor()',
  ],
  optionals: [
    'optional.of(1).value()', 'optional.none().hasValue()', 'optional.none().value()', 'optional.of(1).or(optional.of(2)).value()', 'optional.none().or(optional.of(2)).value()', 'optional.none().orValue(3)', 'optional.of(null).hasValue()', 'optional.ofNonZeroValue(0).hasValue()', 'optional.ofNonZeroValue("a").value()', 'optional.of(1).optMap(x, x + 1).value()', 'optional.none().optMap(x, x + 1).hasValue()', 'optional.of(1).optFlatMap(x, optional.of(x + 1)).value()', 'object.?spec.?replicas', '[?object.?nope, 1]', 'object.?spec.replicas.optMap(r, r * 2).orValue(0)',
  ],
  results: ['[null]', 'null', '{"a": {"b": 1}}', 'object.numbers', 'object.metadata.labels', 'b"\\xff"', '1u', '18446744073709551615u', '[]', '{}', 'int', 'optional.none()', 'optional.of([1])', '9007199254740993', '"\\u0000"'],
  'precise times': [
    'timestamp("2026-01-01T00:00:00,5Z")', 'timestamp("2026-01-01T1:00:00Z")', 'timestamp("2026-01-01t00:00:00z")', 'timestamp("2026-01-01T00:00:00.1234567891Z")', 'timestamp("2026-01-01T00:00:00.123456789+02:00")', 'timestamp("2026-01-01T00:00:00.Z")', 'timestamp("2026-01-01T24:00:00Z")', 'timestamp("2026-01-01T00:00:00+24:00")', 'timestamp("2026-01-01T00:00:00+23:60")', 'timestamp("2026-01-01T00:00:00-00:00")', 'timestamp("2026-01-01T00:00:00+0200")', 'timestamp("2026-01-01 00:00:00Z")',
    'timestamp("2026-1-01T00:00:00Z")', 'timestamp("02026-01-01T00:00:00Z")', 'timestamp("2024-02-29T00:00:00Z")', 'timestamp("2023-02-29T00:00:00Z")', 'timestamp("0001-01-01T00:00:00+01:00")', 'timestamp("9999-12-31T23:59:59-01:00")', 'timestamp("2026-01-01T00:00:00.999999999Z") + duration("1ns")', 'timestamp("0001-01-01T00:00:00Z") - duration("1ns")', 'timestamp("2026-01-01T00:00:00.000000001Z") - timestamp("2026-01-01T00:00:00Z")', 'timestamp("2026-01-01T00:00:00.000000001Z") > timestamp("2026-01-01T00:00:00Z")', 'timestamp("9999-12-31T23:59:59Z") - timestamp("0001-01-01T00:00:00Z")', 'timestamp("1960-01-01T00:00:00.000000001Z")',
    'int(timestamp("1960-01-01T00:00:00.000000001Z"))', '[timestamp("2026-01-01T00:00:00.000000001Z")] == [timestamp("2026-01-01T00:00:00Z")]', 'timestamp("2026-01-01T00:00:00.000000001Z") in [timestamp("2026-01-01T00:00:00Z")]', '[timestamp("2026-01-01T00:00:00.000000002Z"), timestamp("2026-01-01T00:00:00.000000001Z")].sort()', '[timestamp("2026-01-01T00:00:00.000000002Z"), timestamp("2026-01-01T00:00:00.000000001Z")].min()', '[timestamp("2026-01-01T00:00:00.000000002Z"), timestamp("2026-01-01T00:00:00.000000001Z")].distinct().size()', 'timestamp(object.precise)', 'timestamp(object.precise).getMilliseconds()', '"%s".format([timestamp(object.precise)])', 'timestamp("2026-01-01T00:00:00Z").getHours("+02:00")', 'timestamp("2026-01-01T00:00:00Z").getDate("-1:30")', 'timestamp("2026-01-01T00:00:00Z").getFullYear("-01:00")',
    'timestamp("2026-01-01T00:00:00Z").getDayOfYear("-01:00")', 'timestamp("2026-01-01T00:00:00Z").getDayOfYear("")', 'timestamp("2026-01-01T00:00:00Z").getDayOfWeek("00:00")', 'timestamp("2026-01-01T00:00:00Z").getMinutes("+5:5")', 'timestamp("2026-01-01T00:00:00Z").getMinutes("+05:61")', 'timestamp("2026-01-01T00:00:00Z").getHours("+99:00")', 'timestamp("2026-01-01T00:00:00Z").getHours("5")', 'timestamp("2026-01-01T00:00:00Z").getHours("+05")', 'timestamp("2026-01-01T00:00:00Z").getHours("a:b")', 'timestamp("2026-01-01T00:00:00Z").getHours(" 1:00")', 'timestamp(253402300800)', 'duration("1h") - duration("2h")',
    '-duration("1h")', 'timestamp("2026-01-01T00:00:00Z") - timestamp("2026-01-01T00:00:00.5Z")', '(timestamp("2026-01-01T00:00:00Z") - timestamp("2026-01-01T00:00:00.5Z")).getSeconds()', 'duration("-1.5s").getMilliseconds()', 'timestamp("2026-01-01T00:00:00Z") + duration("-1.5s")', 'timestamp("2026-01-01T00:00:00Z") - duration("1ms") - duration("-1ns")', 'type(timestamp(object.precise))', 'timestamp(object.precise) == timestamp(object.precise)', 'timestamp(object.precise) <= timestamp(object.precise)', 'timestamp(timestamp(object.precise))', '1 + timestamp(object.precise)', 'timestamp(object.precise) + 1',
    'timestamp(object.precise).getHours("Europe/Berlin")', 'timestamp("2026-07-01T00:00:00Z").getDayOfYear("Europe/Berlin")', 'duration("1h").getHours()', 'timestamp("2026-02-30T00:00:00Z")', 'timestamp("2026-02-29T12:00:00Z")', 'timestamp("9999-12-31T23:59:59Z") + duration("1s")', 'timestamp("9999-12-31T23:59:59.999999999Z")', 'timestamp("2026-01-01T00:00:00.123456789Z") == timestamp("2026-01-01T00:00:00.123456788Z")', 'timestamp("2026-01-01T00:00:00Z").getHours("")', 'timestamp("2026-01-01T00:00:00Z").getHours("+2:00")', 'timestamp("2026-01-01T00:00:00Z").getHours("02:00")', 'timestamp("2026-01-01T00:00:00Z").getHours("+0200")',
  ],
  'keys that are no text': [
    'object.keyed[1]', 'object.keyed[?1].hasValue()', 'object.keyed[1.0]', 'object.keyed[true]', 'object.keyed["1"]', '1 in object.keyed', '1u in object.keyed', '"1" in object.keyed', '{1: "a"}[1]', '1 in {1: "a"}', 'dyn({1: "a"})[1]', '1 in dyn({1: "a"})',
    '[{1: "a"}].map(m, m[1])', 'object.numbers.transformMap(i, v, v)[1]', 'object.keyed.?x[?1].hasValue()', 'object.?keyed[1].hasValue()', 'object.?keyed[?1].hasValue()', 'dyn(object.keyed)[1]', '1u in [1]', '[1] == [1.0]', 'object.numbers.transformMapEntry(i, v, {v: i})[1]', '{1: {2: "a"}}[1][2]', '(true ? {1: "a"} : {2: "b"})[1]', '[{1: "a"}, {"b": 2}][0][1]',
    'object.words[1.0]', 'object.numbers[?1].value()', 'object.metadata.labels["app"]', 'object.metadata.labels[object.numbers[0]]', 'optional.of({1: "a"})[1].value()',
  ],
  'limits of numbers': [
    'uint(-0.0)', '-(-9223372036854775808)', '-object.spec.replicas', '-9223372036854775808', '-9223372036854775809', '9223372036854775807', '18446744073709551616u', '-1u', '-9223372036854775808 / -1', 'int(18446744073709551615u)', 'int(9223372036854775808u)', 'uint(-0.5)',
    'uint(1e300)', '9223372036854775808',
  ],
  'equality of what holds values': [
    '1 in object.numbers.transformMap(i, v, v)', 'optional.of(1) == optional.none()', 'optional.of(1) != optional.of(2)', 'optional.of(1) == optional.of(1.0)', 'object.?kind == optional.of("Deployment")', 'object.?kind == "Deployment"', 'optional.unwrap([optional.of(1), optional.none()])', '[optional.of(1)] == [optional.of(1)]', '[double("NaN")] == [double("NaN")]', 'double("NaN") in [double("NaN")]', '[double("NaN")].distinct().size()', '[1u] == [1]',
    '{"a": null} == {"a": null}', '[null] == [1]', 'dyn([1]) == dyn(["a"])', 'dyn([1]) == dyn({"a": 1})', 'dyn({"a": 1}) != dyn({"a": 1.0})', '{"a": [1, 2]} in [{"a": [1, 2]}]', '[] == object.empty', 'quantity("1") in [quantity("1000m")]', '[quantity("1")] == [quantity("1000m")]', '{1: "a"} == {1: "a"}', 'object.numbers.map(i, {i: 1})[0][3]', 'object.?numbers[0].value()',
    'object.?m == object.?n', 'optional.none() == optional.none()',
  ],
  'texts of values': [
    '"%s".format([[1e20]])', '"%s".format([[0.1]])', '"%s".format([{"a": 1.25}])', '"%s".format([[double("NaN")]])', '"%s".format([optional.of(1)])', '"%s".format([[quantity("1")]])', '"%s".format([dyn(quantity("1"))])', 'string(b"\\xef\\xbb\\xbfa")', '"x\\u0085".trim()', '"\\ufeffx".trim()', '"\\u2028 x\\u3000\\v".trim()', '"%s".format([[1.5e300]])',
    '"%s".format([[0.1, -0.0, 1e-9]])', '"%s".format([[double("NaN"), double("Infinity"), double("-Infinity")]])', '"%s".format([1.5])', '"%s".format([double("NaN")])', '"%s".format([double("Infinity")])', 'object.words.map(w, w.trim())', 'string(b"\\xc3\\xa4")', 'string(object.nope)', 'trim("a")', 'string(b"\\xff")', '"%s".format([quantity("1Gi")])',
  ],
  mistakes: ['', '1 +', 'object..a', 'nope', 'nope(1)', 'object.nope()', '"a" + 1', '1 + "a"', '[1, 2', '{"a" 1}', 'has(1)', 'has(object)', 'object.map(x)', '"unclosed', "'\\q'", 'size()', 'size(1)', '1.size()', 'true + true', '-"a"', '!1', '[1].all(x)', '// comment', '1 // comment', 'a ? b : c', 'in', 'object in', 'package', '1 == ', 'x.y.z', 'timestamp(1, 2)', 'int()'],
};

/** Where we differ on purpose or by the limits of the parser, and say so in the documentation. */
export const celDifferences: Readonly<Record<string, readonly string[]>> = {
  'lists and maps may hold values of several types': ['[1, "a"].size()', '{"a": [1, 2.5, "x", true, null]}', '[[1, [2, [3]]]].flatten(2)', 'sets.contains([1], [1.0])', '[1, "a"][1]', 'object.metadata.labels == {"a": 1, "b": "c"}'],
  'keys of maps in results become text': ['{1: "a"}', '{true: 1}'],
  'numbers need a digit before the point': ['.5'],
  'texts of doubles are decimal': ['double("0x1p3")', 'double("1_0")'],
  'an int and a double are compared exactly': ['9223372036854775807 < 9223372036854775808.0'],
  'keys of map literals are found by their text': ['{1: "a"}[1.0]', '{1u: "a"}[1]', '{"a": 1, 2: 3}[2]', '"%s".format([{1: 2}])'],
  'types of elements are compared when the expression runs': ['[1, 2].indexOf(1.0)', 'sets.contains(["a"], [1])'],
  'has() takes fields of variables and fields alone': ['has(object.status.conditions[0].type)', 'has([{"a": 1}][0].a)'],
  'loops over an empty list literal are checked': ['[].map(x, x.y)', '[].all(x, x)'],
  'optional elements of list literals are not parsed': ['[?optional.of(1), 2]', '[,]'],
  'names of time zones': ['timestamp(0).getHours("europe/berlin")', 'timestamp(0).getHours("Local")'],
  'oddities of format()': ['"%f".format(["NaN"])', '"%.3e".format([0.0])', '"%e".format([double("Infinity")])', '"%.100f".format([1.0])'],
  'Unicode classes of regular expressions': ['"abc".matches("\\\\pL+")'],
  'optional entries of map literals are not parsed': ['{?"a": object.?nope}', '{?"a": object.?kind}'],
  'named formats explain themselves in other words': ['format.dns1123Label().validate("A").value()', 'format.uuid().validate("x")'],
  'cel.bind() is there': ['cel.bind(x, 1, x + 1)'],
};
