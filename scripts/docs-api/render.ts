import { reasonCodes } from '../../src/base/errors.ts';
import type { EnumText, FieldText, Interface, MessageText, MethodText, TypeText } from './interface.ts';
import { anyCall, type MethodErrors, methodErrors } from './method-errors.ts';
import { layOut } from './sections.ts';

const sharedTitle = 'Shared types';
const anyCallTitle = 'Errors of any call';

const opening = [
  '# The interface, call by call',
  '',
  'Made from the comments of the proto files by `npm run docs:api`: change those, not this page.',
  '',
  '- All names are of the package `rollcall.v1`. A field that is left out has the zero of its type: 0, `""`, false, ' +
    'no elements, the first value of an enum. Of one marked *optional* it is known whether it was there.',
  '- A `uint64` of Rollcall never exceeds 2^53 - 1: a language whose numbers are doubles loses nothing.',
  '- Times and durations are milliseconds.',
  '- A field or enum value that a client does not know comes from a newer member: pass over it.',
].join('\n');

/** The page as Markdown. Throws where a method has no list of errors or a list no method, or two headings collide. */
export function renderPage(all: Interface): string {
  const methods = all.services.flatMap((service) => service.methods);
  const names = new Set(methods.map((method) => method.name));
  const stray = Object.keys(methodErrors).filter((name) => !names.has(name));
  if (stray.length > 0) throw new Error(`scripts/docs-api/method-errors.ts: no such method: ${stray.join(', ')}`);
  const sections = layOut(all);
  const page = new Page(new Set(all.types.map((type) => type.name)));
  const parts = [opening, `From ${all.files.map((file) => `[\`${file}\`](../../${file})`).join(', ')}.`];
  const body: string[] = [];
  for (const service of all.services) {
    body.push(page.heading(2, service.name), page.prose(service.comment));
    for (const method of service.methods) body.push(...page.method(method, sections.ofMethod.get(method.name) ?? []));
  }
  body.push(page.heading(2, sharedTitle), 'What several methods take or answer.');
  for (const type of sections.shared) body.push(...page.type(3, type));
  body.push(page.heading(2, anyCallTitle));
  body.push(
    `${reasonLinks(anyCall)}. Retry those that come with \`RetryInfo\`, after the time that it names. ` +
      'A method lists what it may give besides.',
  );
  parts.push(page.contents(), ...body);
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

class Page {
  readonly #types: ReadonlySet<string>;
  readonly #headings: { readonly level: number; readonly title: string; readonly anchor: string }[] = [];

  constructor(types: ReadonlySet<string>) {
    this.#types = types;
  }

  heading(level: number, title: string): string {
    const anchor = anchorOf(title);
    if (this.#headings.some((other) => other.anchor === anchor)) throw new Error(`two headings give #${anchor}`);
    this.#headings.push({ level, title, anchor });
    return `${'#'.repeat(level)} ${title}`;
  }

  /** A line for each service, method and shared type; the types of one method stand in its line. */
  contents(): string {
    let text = '';
    for (const { level, title, anchor } of this.#headings) {
      const link = `[${title.slice(title.indexOf('.') + 1)}](#${anchor})`;
      text += level === 4 ? ` · ${link}` : `\n${level === 3 ? '  ' : ''}- ${link}`;
    }
    return text.trimStart();
  }

  method(method: MethodText, types: readonly TypeText[]): string[] {
    const { name, path, comment, request, requestStream, response, responseStream } = method;
    const taken = `${requestStream ? 'a stream of ' : ''}${this.#typeLink(request)}`;
    const given = `${responseStream ? 'a stream of ' : ''}${this.#typeLink(response)}`;
    const errors = methodErrors[name];
    if (errors === undefined) throw new Error(`scripts/docs-api/method-errors.ts says nothing of ${name}`);
    return [
      this.heading(3, name),
      this.prose(comment),
      `\`${path}\` takes ${taken} and answers with ${given}. ${kindOf(method)}`,
      errorsOf(errors),
      ...types.flatMap((type) => this.type(4, type)),
    ];
  }

  type(level: number, type: TypeText): string[] {
    const head = [this.heading(level, type.name), this.prose(type.comment)];
    return type.kind === 'enum' ? [...head, enumTable(type)] : [...head, this.#fieldTable(type), ...choices(type)];
  }

  prose(comment: string): string {
    return markdown(comment);
  }

  #fieldTable(message: MessageText): string {
    if (message.fields.length === 0) return 'No fields.';
    return table(
      ['no.', 'field', 'type', 'meaning'],
      message.fields.map((field) => [
        `${field.number}`,
        `\`${field.name}\``,
        this.#fieldType(field),
        markdown(field.comment),
      ]),
    );
  }

  #fieldType(field: FieldText): string {
    const type = this.#typeLink(field.type);
    const of = field.choice === '' ? '' : `, of \`${field.choice}\``;
    switch (field.label) {
      case 'single':
        return `${type}${of}`;
      case 'map':
        return `map of ${field.keyType} to ${type}`;
      case 'optional':
      case 'repeated':
        return `${field.label} ${type}`;
    }
  }

  #typeLink(type: string): string {
    return this.#types.has(type) ? `[${type}](#${anchorOf(type)})` : type;
  }
}

function kindOf({ requestStream, responseStream }: MethodText): string {
  if (requestStream && responseStream) return 'Both sides stream, at the same time.';
  if (responseStream) return 'The member streams.';
  return requestStream ? 'The client streams.' : 'One request, one answer.';
}

function errorsOf({ reasons, note }: MethodErrors): string {
  const any = `those of [any call](#${anchorOf(anyCallTitle)})`;
  const list = reasons.length === 0 ? `**Errors**: ${any}.` : `**Errors**: ${reasonLinks(reasons)}, and ${any}.`;
  return note === undefined ? list : `${list} ${markdown(note)}`;
}

function reasonLinks(reasons: readonly string[]): string {
  return reasons.map(reasonLink).join(', ');
}

/** To its row: each has an anchor in docs/reference/errors.md. */
function reasonLink(reason: string): string {
  return `[${reason}](errors.md#${reason.toLowerCase()})`;
}

function choices(message: MessageText): string[] {
  return message.choices.map(({ name, comment, fields }) => {
    const names = fields.map((field) => `\`${field}\``).join(', ');
    return `\`${name}\` is one of ${names}. ${markdown(comment)}`.trimEnd();
  });
}

function enumTable(type: EnumText): string {
  const rows = type.values.map(({ name, number, comment }) => [`${number}`, `\`${name}\``, markdown(comment)]);
  return table(['no.', 'value', 'meaning'], rows);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)].join('\n');
}

/** A comment as Markdown that shows it as it is; reasons of errors become links. */
function markdown(comment: string): string {
  const parts = comment.split(/(`[^`]*`)/);
  return parts.map((part, i) => (i % 2 === 1 ? part : plain(part))).join('');
}

function plain(text: string): string {
  return text.replace(/[*<>~[\]]/g, '\\$&').replace(/\b[a-zA-Z]+(?:_[a-zA-Z]+)*\b/g, (word) => {
    if (Object.hasOwn(reasonCodes, word)) return reasonLink(word);
    return word.includes('_') ? `\`${word}\`` : word;
  });
}

/** As the sites that show Markdown make them of headings. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
