/** Who this directory is. Kept outside LevelDB; see identity-file.ts. */
export interface InitialMember {
  readonly id: string;
  readonly peerAddress: string;
}

export interface Identity {
  readonly format: 1;
  readonly memberId: string;
  /** Random, drawn when the directory was made: 32 hex digits. */
  readonly directoryId: string;
  /** '' until known. 32 hex digits. */
  readonly clusterId: string;
  /** empty: no cluster id yet. forming: cluster id synced, not yet known that all have it. formed: may vote. */
  readonly phase: 'empty' | 'forming' | 'formed';
  /** The list this directory was first started with, sorted by id. */
  readonly initialMembers: readonly InitialMember[];
}

export interface IdentityFile {
  /** undefined in a directory that was never used. */
  readonly current: Identity | undefined;
  /** Durable (temporary file, sync, rename, directory sync) when it resolves. */
  write(identity: Identity): Promise<void>;
}
