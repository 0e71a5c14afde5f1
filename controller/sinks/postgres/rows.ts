import type { ExportRow } from '../contract.ts';
import { storablePayload } from '../runtime/rows.ts';

/** No object of Kubernetes is a tenth of it. The database would take up to 1 GB in one message, and this process would hold it three times. */
export const maxRowBytes = 32 * 1024 * 1024;

/** One JSON array for `json_to_recordset`: `t` target, `u` uid, `n` namespace, `p` payload, `h` hash. */
export function recordset(rows: readonly ExportRow[], inventoryNamespace: string): string {
  let text = '[';
  for (const row of rows) {
    const namespace = JSON.stringify(row.namespace || inventoryNamespace);
    text += `${text === '[' ? '' : ','}{"t":${JSON.stringify(row.targetName)},"u":${JSON.stringify(row.uid)},"n":${namespace},"p":${storablePayload(row.payload)},"h":"\\\\x${hex(row.hash)}"}`;
  }
  return `${text}]`;
}

/** Lines in the text format of COPY: target, uid, namespace, payload, hash. */
export function copyLines(rows: readonly ExportRow[], inventoryNamespace: string): string {
  let text = '';
  for (const row of rows) {
    const namespace = row.namespace || inventoryNamespace;
    text += `${copyText(row.targetName)}\t${copyText(row.uid)}\t${copyText(namespace)}\t${copyText(storablePayload(row.payload))}\t\\\\x${hex(row.hash)}\n`;
  }
  return text;
}

function copyText(value: string): string {
  return /[\\\t\n\r]/.test(value) ? value.replace(/[\\\t\n\r]/g, (character) => copyEscapes[character] ?? character) : value;
}

const copyEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function hex(hash: string): string {
  return Buffer.from(hash, 'latin1').toString('hex');
}
