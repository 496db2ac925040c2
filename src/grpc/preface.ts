/** What a fresh connection has shown of itself: HTTP/2, something else, or not enough yet. */
export type PrefaceVerdict = 'http2' | 'more' | 'tls' | 'http1' | 'garbage';

// RFC 9113 section 3.4: these bytes, then a SETTINGS frame. Section 4.1: its type is the fourth byte of nine.
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const frameHeaderBytes = 9;
const frameTypeAt = preface.length + 3;
const settingsFrame = 4;
/** Nothing is read beyond this before the verdict. */
export const prefaceBytes: number = preface.length + frameHeaderBytes;

const http1Method = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE) /;
const longestMethodBytes = 8;
const tlsHandshake = 0x16;

/** Judges the first bytes of a connection; `bytes` is all that has come so far. */
export function judgePreface(bytes: Buffer): PrefaceVerdict {
  if (bytes.length === 0) return 'more';
  if (bytes[0] === tlsHandshake) return 'tls';
  const compared = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, compared, 0, compared) === 0) {
    if (bytes.length < prefaceBytes) return 'more';
    return bytes[frameTypeAt] === settingsFrame ? 'http2' : 'garbage';
  }
  if (http1Method.test(bytes.toString('latin1', 0, longestMethodBytes))) return 'http1';
  return bytes.length < longestMethodBytes && /^[A-Z]+$/.test(bytes.toString('latin1')) ? 'more' : 'garbage';
}

const http1Text = 'This port speaks gRPC over HTTP/2. Metrics and health answer on the HTTP port.\n';

/** What a browser or curl is told that came to the wrong port. */
export const http1Answer: string = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: text/plain; charset=utf-8',
  `Content-Length: ${Buffer.byteLength(http1Text)}`,
  'Connection: close',
  '',
  http1Text,
].join('\r\n');
