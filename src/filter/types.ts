/** Which instances are meant: every condition that is set must hold. It judges one instance alone. */
export interface InstanceFilter {
  /** Each must be among the instance's tags. Sorted by code unit, without repeats, like all lists here. */
  readonly tags: readonly string[];
  readonly metadata: readonly MetadataCondition[];
  /** As the client wrote it; '' for any version. Parsed by `parseVersionRange` when it was checked. */
  readonly versionRange: string;
  /** One of these; none: any. */
  readonly zones: readonly string[];
  readonly regions: readonly string[];
  readonly statuses: readonly InstanceStatus[];
}

/** An instance that says nothing of itself is UP. */
export type InstanceStatus = 'STARTING' | 'UP' | 'DRAINING' | 'DOWN';

export type MetadataCondition =
  | { readonly key: string; readonly operator: 'equals' | 'in'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'exists' };

/**
 * A filter made ready: judges encoded InstanceViews without decoding what it does not need. Pure; may be shared by any
 * number of watches.
 */
export interface ViewMatcher {
  /** Equal for filters that mean the same: watches with equal keys share their batches. '' for one that matches all. */
  readonly key: string;
  /** @param view An encoded rollcall.v1.InstanceView that was checked when it came in. */
  matches(view: Uint8Array): boolean;
}
