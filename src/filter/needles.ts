// Texts looked for in encoded messages, compared as the bytes they are there.

/** A text as UTF-8. */
export type Needle = Uint8Array;

export function needleOf(text: string): Needle {
  return new TextEncoder().encode(text);
}

/** Whether the bytes of `view` in [start, end) are the needle. */
export function isAt(needle: Needle, view: Uint8Array, start: number, end: number): boolean {
  if (end - start !== needle.length) return false;
  // From the end: names that differ mostly begin alike.
  for (let i = needle.length - 1; i >= 0; i--) {
    if (needle[i] !== view[start + i]) return false;
  }
  return true;
}

/** Whether one of the needles is there. */
export function isAnyAt(needles: readonly Needle[], view: Uint8Array, start: number, end: number): boolean {
  for (const needle of needles) if (isAt(needle, view, start, end)) return true;
  return false;
}
