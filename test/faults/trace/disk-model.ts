import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import type { DiskEvent } from "./parse-trace.ts";

/** What a power loss leaves of what was not yet synced. */
export type Survives =
  /** Nothing at all. */
  | "nothing"
  /** Every name, and no byte: what a file system does that keeps a journal of names alone. */
  | "names"
  /** Every byte, and no name that came, changed or went. */
  | "bytes"
  /** Everything, but of the last write to each file only a part. */
  | "torn"
  /** This and that, by a seed. */
  | { readonly seed: number };

interface Change<T> {
  /** When the call ended: a sync makes durable what had ended before it began. */
  readonly at: number;
  readonly apply: (state: T) => T;
  /** What is left of it where the power goes in the middle of it. */
  readonly tear?: (state: T) => T;
}

/** Something with a durable state, and changes since then that only the memory knows. */
interface Node<T> {
  durable: T;
  pending: Change<T>[];
}

type FileNode = { readonly kind: "file" } & Node<Buffer>;
type Names = ReadonlyMap<string, FileNode | FolderNode>;
type FolderNode = { readonly kind: "folder" } & Node<Names>;

export interface Disk {
  /** Takes one more event; they come in the order in which the calls ended. */
  play(event: DiskEvent): void;
  /** Counts what a power loss right now would find different. */
  version(): number;
  /** Writes what a power loss right now would leave into `target`. */
  writeImage(target: string, survives: Survives): Promise<void>;
}

const newFile = (): FileNode => ({ kind: "file", durable: Buffer.alloc(0), pending: [] });
const newFolder = (): FolderNode => ({ kind: "folder", durable: new Map(), pending: [] });
const current = <T>({ durable, pending }: Node<T>): T => pending.reduce((state, { apply }) => apply(state), durable);

/** A disk whose folder `root` is empty and durable. Files are durable by their own sync, names by their folder's. */
export function emptyDisk(root: string): Disk {
  const top = newFolder();
  const positions = new Map<number, number>();
  let version = 0;

  const find = (path: string): FileNode | FolderNode | undefined => {
    let node: FileNode | FolderNode | undefined = top;
    for (const name of relative(root, path).split("/").filter(Boolean)) {
      node = node?.kind === "folder" ? current(node).get(name) : undefined;
    }
    return node;
  };
  const folderOf = (path: string): FolderNode => {
    const node = find(dirname(path));
    if (node?.kind !== "folder") throw new Error(`${path} is in no folder that the trace knows`);
    return node;
  };
  const name = (path: string, at: number, node: FileNode | FolderNode | undefined): void => {
    const change = (names: Names): Names => {
      const next = new Map(names);
      if (node === undefined) next.delete(basename(path));
      else next.set(basename(path), node);
      return next;
    };
    folderOf(path).pending.push({ at, apply: change });
  };

  return {
    version: () => version,
    play(event) {
      const at = event.ended;
      switch (event.kind) {
        case "open": {
          const known = find(event.path);
          if (known === undefined && event.creates) name(event.path, at, newFile());
          if (known?.kind === "file" && event.truncates) known.pending.push({ at, apply: () => Buffer.alloc(0) });
          positions.set(event.fd, 0);
          return;
        }
        case "write": {
          const file = find(event.path);
          if (file?.kind !== "file") return;
          const offset = event.offset ?? positions.get(event.fd) ?? 0;
          if (event.offset === undefined) positions.set(event.fd, offset + event.bytes.length);
          const { bytes } = event;
          const part = bytes.subarray(0, Math.floor(bytes.length / 2));
          file.pending.push({
            at,
            apply: (content) => overwrite(content, bytes, offset),
            tear: (content) => overwrite(content, part, offset),
          });
          return;
        }
        case "cut": {
          const file = find(event.path);
          if (file?.kind === "file") file.pending.push({ at, apply: (content) => resize(content, event.sizeBytes) });
          return;
        }
        case "sync": {
          const node = find(event.path);
          if (node !== undefined && sync<Buffer | Names>(node as Node<Buffer | Names>, event.began)) version++;
          return;
        }
        case "rename":
        case "link": {
          const node = find(event.from);
          name(event.to, at, node);
          if (event.kind === "rename") name(event.from, at, undefined);
          return;
        }
        case "remove":
          return name(event.path, at, undefined);
        case "folder":
          return name(event.path, at, newFolder());
        case "answer":
          return;
        default:
          return event satisfies never;
      }
    },
    writeImage: (target, survives) => writeFolder(top, target, survivor(survives)),
  };
}

/** Whether that changed anything. */
function sync<T>(node: Node<T>, began: number): boolean {
  const done = node.pending.filter(({ at }) => at < began);
  node.durable = current({ durable: node.durable, pending: done });
  node.pending = node.pending.filter(({ at }) => at >= began);
  return done.length > 0;
}

function overwrite(content: Buffer, bytes: Buffer, offset: number): Buffer {
  const next = resize(content, Math.max(content.length, offset + bytes.length));
  bytes.copy(next, offset);
  return next;
}

function resize(content: Buffer, sizeBytes: number): Buffer {
  const next = Buffer.alloc(sizeBytes);
  content.copy(next);
  return next;
}

type Survivor = (node: FileNode | FolderNode) => Buffer | Names;

function survivor(survives: Survives): Survivor {
  if (survives === "nothing") return (node) => node.durable;
  if (survives === "names") return (node) => (node.kind === "folder" ? current<Names>(node) : node.durable);
  if (survives === "bytes") return (node) => (node.kind === "folder" ? node.durable : current<Buffer>(node));
  if (survives === "torn") return (node) => (node.kind === "folder" ? current<Names>(node) : torn(node));
  let state = survives.seed;
  const isKept = (): boolean => {
    // The usual linear congruence: the same seed loses the same writes.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 31 === 1;
  };
  return (node) => {
    const { durable, pending } = node as Node<Buffer | Names>;
    return current({ durable, pending: pending.filter(isKept) });
  };
}

function torn({ durable, pending }: Node<Buffer>): Buffer {
  const last = pending.at(-1);
  const before = current({ durable, pending: pending.slice(0, -1) });
  return last === undefined ? before : (last.tear ?? last.apply)(before);
}

async function writeFolder(node: FolderNode, target: string, survive: Survivor): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o750 });
  for (const [name, child] of survive(node) as Names) {
    const path = join(target, name);
    if (child.kind === "folder") await writeFolder(child, path, survive);
    else await writeFile(path, survive(child) as Buffer, { mode: 0o600 });
  }
}
