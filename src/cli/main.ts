import { Command } from 'commander';
import { packageVersion } from './package-version.ts';

const program = new Command('rollcall')
  .description('A service registry: processes register, clients discover and watch.')
  .version(packageVersion(), '--version', 'print the version');

await program.parseAsync();
