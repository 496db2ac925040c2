/** Term, vote and boot: two slots, each record written to both, synced one after the other. See hard-state-file.ts. */
export interface HardStateRecord {
  readonly term: number;
  /** '' where no vote was given in this term. */
  readonly vote: string;
  /** Number of this start of the member, raised and synced before anything else leaves it. */
  readonly boot: number;
}

export interface HardStateFile {
  readonly current: HardStateRecord;
  /** Durable in both slots when it resolves. Term never falls; asserted. One at a time. */
  write(record: HardStateRecord): Promise<void>;
  close(): Promise<void>;
}
