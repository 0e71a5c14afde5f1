import type { Duplex } from 'node:stream';
import { KollectError } from '../../../shared/errors.ts';

/** Of all that comes before the login is done: parameters, notices, what SASL needs. Real servers say less than 1 KiB. */
const loginBytes = 2 ** 20;
/** Of one message after that. A row that is read holds a key and numbers; what the server says of a refused row may repeat it. */
const messageBytes = 64 * 2 ** 20;
/** One byte that says what it is, and the length of the rest with itself, as a number of 32 bits. */
const headerBytes = 5;
/** What comes before and during a login. */
const loginTypes = new Set([...'RENSKZAv'].map((type) => type.charCodeAt(0)));
/** Lists of fields. */
const listTypes = new Set([...'EN'].map((type) => type.charCodeAt(0)));

/** The client keeps what comes until a message is whole, however long it is said to be: this ends a connection that says what PostgreSQL does not. */
export class MessageBound {
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  /** Of the message that is coming in. */
  #rest = 0;
  /** Its last two bytes. */
  #end = 0;
  #received = 0;
  #isLoggedIn = false;

  /** Watches a stream that has not told anything yet. What is not admitted, the client never sees; what it cannot read, it throws where nobody catches. */
  watch(stream: Duplex): void {
    const emit = stream.emit.bind(stream) as (event: string | symbol, ...values: unknown[]) => boolean;
    stream.emit = (event: string | symbol, ...values: unknown[]): boolean => {
      if (event !== 'data') return emit(event, ...values);
      try {
        if (this.#admits(values[0] as Buffer)) return emit(event, ...values);
        stream.destroy(strange());
      } catch (error) {
        stream.destroy(strange(error));
      }
      return true;
    };
  }

  loggedIn(): void {
    this.#isLoggedIn = true;
  }

  #admits(bytes: Buffer): boolean {
    if (!this.#isLoggedIn && (this.#received += bytes.length) > loginBytes) return false;
    for (let at = 0; at < bytes.length; ) {
      if (this.#rest > 0) {
        const step = Math.min(this.#rest, bytes.length - at);
        this.#rest -= step;
        at += step;
        this.#end = (((step > 1 ? bytes[at - 2]! : this.#end) << 8) | bytes[at - 1]!) & 0xffff;
        if (this.#rest === 0 && !this.#isEnded()) return false;
        continue;
      }
      this.#header[this.#headerLength++] = bytes[at++]!;
      if (!this.#isLoggedIn && !loginTypes.has(this.#header[0]!)) return false;
      if (this.#headerLength < headerBytes) continue;
      this.#headerLength = 0;
      this.#rest = this.#header.readUInt32BE(1) - 4;
      this.#end = 0;
      if (this.#rest === 0 && !this.#isEnded(true)) return false;
      if (this.#rest < 0 || this.#rest > (this.#isLoggedIn ? messageBytes : loginBytes)) return false;
    }
    return true;
  }

  /** Of errors and notices the client reads fields until one without a name comes, and past the end of the message for ever. */
  #isEnded(isEmpty = false): boolean {
    return !listTypes.has(this.#header[0]!) || (!isEmpty && this.#end === 0);
  }
}

/** What a server says that is none of PostgreSQL, or one whose words are not understood. */
export function strange(cause?: unknown): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the connection to the database failed in a way that is not known: see whether it is PostgreSQL that listens there, and look at its log', { cause });
}
