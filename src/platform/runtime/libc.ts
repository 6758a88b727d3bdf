import { dlopen } from "bun:ffi";

const declarations = {
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  dup3: { args: ["i32", "i32", "i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  inet_ntop: { args: ["i32", "ptr", "ptr", "u32"], returns: "ptr" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  setenv: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  sched_yield: { args: [], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
} as const;

export type Libc = ReturnType<typeof dlopen<typeof declarations>>["symbols"];

/** GNU's and musl's. */
const names = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

let opened: { readonly libc: Libc | undefined } | undefined;

/** What Bun has no name for and Linux has; `undefined` elsewhere. */
export function openLibc(): Libc | undefined {
  opened ??= { libc: process.platform === "linux" ? firstOf(names) : undefined };
  return opened.libc;
}

function firstOf(candidates: readonly string[]): Libc | undefined {
  for (const name of candidates) {
    try {
      return dlopen(name, declarations).symbols;
    } catch {
      // The next one may be there.
    }
  }
  return undefined;
}
