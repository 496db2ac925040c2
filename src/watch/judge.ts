import type { ViewMatcher } from '../filter/types.ts';
import type { ChangeEvent } from '../state-machine/types.ts';

/** What a change is to those who see only what a filter matches. */
export type EventKind = 'put' | 'delete' | 'leaves';

/** Undefined: nothing that they see has changed. */
export function judge(event: ChangeEvent, matcher: ViewMatcher): EventKind | undefined {
  if (matcher.key === '') return event.kind;
  if (event.kind === 'put' && matcher.matches(event.view)) return 'put';
  if (event.before === undefined || !matcher.matches(event.before)) return undefined;
  return event.kind === 'put' ? 'leaves' : 'delete';
}
