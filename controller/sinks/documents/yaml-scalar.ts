/**
 * A string as a value, to the end of its last line: text of several lines as such, so that a comparison of two versions shows the lines that differ.
 *
 * @param indent of the key or dash that it belongs to
 */
export function yamlScalar(text: string, indent: string): string {
  return text.includes('\n') && canBeBlock(text) ? block(text, `${indent}  `) : `${yamlString(text)}\n`;
}

/** A string in one line; in quotes unless every parser, of YAML 1.1 too, reads it as a string without them. */
export function yamlString(text: string): string {
  return isPlain(text) ? text : quoted(text);
}

function isPlain(text: string): boolean {
  return plain.test(text) && !/: |:$| #| $/.test(text) && !otherWords.test(text) && !numberLike.test(text);
}

/** Letters of common scripts and what identifiers, images and paths are made of. */
const plain = /^[A-Za-z0-9_/\u00c0-\u024f\u0370-\u1fff\u3040-\ud7ff][\x20-\x7e\u00c0-\u024f\u0370-\u1fff\u3040-\ud7ff]*$/;
const otherWords = /^(?:null|true|false|yes|no|on|off|y|n)$/i;
/** Numbers of any base, with or without a fraction, numbers to the base of sixty, exponents that some parsers take for numbers, and times. */
const numberLike = /^[0-9][0-9_.,:eE+-]*$|^[eE][-+]?[0-9]+$|^0[xobXOB][0-9a-fA-F_]*$|^[0-9]{4}-[0-9]/;

/** JSON but for characters that YAML does not take as they are, or takes for the end of a line. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(special, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const special = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** Neither the first line nor the last hides blanks, and no character needs an escape. */
function canBeBlock(text: string): boolean {
  return !/^[ \t\n]|[ \t]\n*$/.test(text) && !notInBlock.test(text);
}

// oxlint-disable-next-line no-control-regex
const notInBlock = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;

function block(text: string, indent: string): string {
  const end = text.endsWith('\n\n') ? '|+' : text.endsWith('\n') ? '|' : '|-';
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
  return `${end}\n${lines.map((line) => (line === '' ? '\n' : `${indent}${line}\n`)).join('')}`;
}
