import { builtinModules } from 'node:module';
import { importsOf } from './project.ts';
import type { SourceFile } from './source-text.ts';

/** What package.json says about packages. */
export type Manifest = {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

const exactVersion = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;

/** Packages that the code does not import because something else loads them, by name. */
const loadedByName: ReadonlySet<string> = new Set([
  'pino-pretty',
  'protobufjs',
  '@biomejs/biome',
  '@types/node',
  'oxlint',
  'oxlint-tsgolint',
  'protobufjs-cli',
  'tsx',
  'typescript',
]);

/** The package a specifier names, or undefined for a file or a module of Node. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
  return builtinModules.includes(name) ? undefined : name;
}

/** Complaints about packages: not pinned, not declared, not used, or without a reason in docs/ARCHITECTURE.md. */
export function dependencyFaults(
  files: readonly SourceFile[],
  { dependencies, devDependencies }: Manifest,
  architecture: string,
): string[] {
  const complaints: string[] = [];
  const used = new Set<string>();
  for (const file of files) {
    const declared = file.path.startsWith('src/') ? dependencies : { ...dependencies, ...devDependencies };
    for (const { specifier, line } of importsOf(file)) {
      const name = packageOf(specifier);
      if (name === undefined) continue;
      used.add(name);
      if (declared[name] === undefined)
        complaints.push(`${file.path}:${line}: ${name} is no dependency of package.json`);
    }
  }
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    if (!exactVersion.test(version))
      complaints.push(`package.json: ${name} is "${version}", expected one exact version`);
    if (!used.has(name) && !loadedByName.has(name)) complaints.push(`package.json: nothing imports ${name}`);
    if (!architecture.includes(`| \`${name}\` |`)) {
      complaints.push(`docs/ARCHITECTURE.md: the table of dependencies gives no reason for ${name}`);
    }
  }
  return complaints;
}
