import commands from 'mongodb/lib/cmap/commands.js';
import utils from 'mongodb/lib/utils.js';

interface BufferPool {
  /** Length of the message that is coming in; null while it is not known. */
  getInt32(): number | null;
}

interface Answer {
  data: Buffer;
  parse(): unknown;
}

/** A message begins with 16 bytes, and servers take and send none of more than 48,000,000. */
const messageBytes = { least: 16, most: 48_000_000 } as const;

/** No document is smaller. */
const documentBytes = 5;

const isGuarded = Symbol('guarded');

/**
 * Mends what the client does not do well, once in a process. It keeps what comes until a message is whole, however long it is said to be, and reads messages and documents of
 * no length for ever: such lengths are refused.
 */
export function guardClient(): void {
  const { prototype } = (utils as { BufferPool: { prototype: BufferPool & { [isGuarded]?: true } } }).BufferPool;
  if (prototype[isGuarded]) return;
  prototype[isGuarded] = true;
  const lengthOf = prototype.getInt32;
  prototype.getInt32 = function () {
    const length = lengthOf.call(this);
    // The client refuses negative ones itself.
    return length === null || (length >= messageBytes.least && length <= messageBytes.most) ? length : -1;
  };
  const answers = commands as Record<'OpMsgResponse' | 'OpReply', { prototype: Answer }>;
  refuse(answers.OpMsgResponse.prototype, hasEmptyDocument);
  // How many documents it holds; those that the client asks for with it hold one.
  refuse(answers.OpReply.prototype, (data) => data.length < 20 || data.readInt32LE(16) > 1);
}

function refuse(answer: Answer, isStrange: (data: Buffer) => boolean): void {
  const parse = answer.parse;
  answer.parse = function () {
    if (isStrange(this.data)) throw new Error('the answer is not understood');
    return parse.call(this);
  };
}

/** Flags, and sections: a byte that is 0, and a document with its length. Others the client refuses. */
function hasEmptyDocument(data: Buffer): boolean {
  for (let at = 4; at < data.length; ) {
    if (data[at++] !== 0) continue;
    const length = at + 4 <= data.length ? data.readInt32LE(at) : 0;
    if (length < documentBytes) return true;
    at += length;
  }
  return false;
}
