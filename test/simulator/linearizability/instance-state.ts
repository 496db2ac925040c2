/** Stands for the content of one write each that nobody read: it is like no other, and none of them matters. */
export const unreadContent = 0;

/** Whether two writes have the same content. */
export function isSameContent(one: number, other: number): boolean {
  return one === other && one !== unreadContent;
}

/** What an instance that is there is known to be. */
export interface PresentInstance {
  /** 0: not known yet, since the answer to its registration was lost. It is above the floor then. */
  readonly incarnation: number;
  readonly content: number;
  /**
   * none: it stays. live: it is there, or its lease has ended and it is gone; nothing that was seen tells which.
   * ended: its lease has ended, and it is gone or about to be removed.
   */
  readonly lease: 'none' | 'live' | 'ended';
  /** '' where it is no session's. */
  readonly session: string;
  /** What the incarnation is not, above the floor and while it is not known. Ascending. */
  readonly excluded: readonly number[];
}

/** One key of the registry. */
export interface InstanceState {
  /** The highest incarnation known to have been given out. */
  readonly floor: number;
  /** Sessions that held it and lost it to somebody else. Ascending. */
  readonly lostBy: readonly string[];
  readonly present: PresentInstance | undefined;
}

export const emptyInstance: InstanceState = { floor: 0, lostBy: [], present: undefined };

/** The state where this is the incarnation of what is there; undefined where it cannot be. */
export function bound(
  state: InstanceState,
  present: PresentInstance,
  incarnation: number,
): (InstanceState & { readonly present: PresentInstance }) | undefined {
  if (incarnation === 0) return undefined;
  if (present.incarnation === incarnation) return { ...state, present };
  if (present.incarnation !== 0 || incarnation <= state.floor || present.excluded.includes(incarnation))
    return undefined;
  return { ...state, floor: incarnation, present: { ...present, incarnation, excluded: [] } };
}

/** The state where this is not the incarnation of what is there; undefined where it is. */
export function excluding(
  state: InstanceState,
  present: PresentInstance,
  incarnation: number,
): InstanceState | undefined {
  if (present.incarnation === incarnation) return undefined;
  if (present.incarnation !== 0 || incarnation <= state.floor || present.excluded.includes(incarnation)) return state;
  const excluded = [...present.excluded, incarnation].sort((one, other) => one - other);
  return { ...state, present: { ...present, excluded } };
}

/** Whether what was there may be gone by itself. */
export function mayBeGone({ present }: InstanceState): boolean {
  return present === undefined || present.lease !== 'none';
}

/** The state where nothing is there (any more); undefined where something must be. */
export function gone(state: InstanceState): InstanceState | undefined {
  if (!mayBeGone(state)) return undefined;
  return { floor: state.floor, lostBy: state.lostBy, present: undefined };
}

/** The state after somebody took it over, for a new session or none, or removed it. */
export function lost(state: InstanceState, by: string | undefined): readonly string[] {
  const session = state.present?.session ?? '';
  if (session === '' || session === by || state.lostBy.includes(session)) return state.lostBy;
  return [...state.lostBy, session].sort();
}

export function identify({ floor, lostBy, present }: InstanceState): string {
  const names = lostBy.length === 0 ? '' : JSON.stringify(lostBy);
  if (present === undefined) return `${floor}${names}`;
  const { incarnation, content, lease, session, excluded } = present;
  return `${floor}/${incarnation}/${content}/${lease}/${excluded.join()}/${JSON.stringify(session)}${names}`;
}

export function describeState({ floor, present }: InstanceState): string {
  if (present === undefined) return `absent, and the incarnations up to ${floor} are given out`;
  const { incarnation, content, lease, session } = present;
  const which = incarnation === 0 ? `an incarnation above ${floor}, not known` : `incarnation ${incarnation}`;
  const holder = session === '' ? '' : `, of session ${session}`;
  const may = { none: '', live: ', on a lease that may have ended', ended: ', on a lease that has ended' }[lease];
  const what = content === unreadContent ? 'a content that nobody read' : `content ${content}`;
  return `${which} with ${what}${holder}${may}`;
}
