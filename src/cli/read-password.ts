import { text } from "node:stream/consumers";

const [interrupt, backspace, erase] = ["\u0003", "\b", "\u007f"];

/** The first line of standard input; at a terminal it is asked for, and not shown. */
export async function readPassword(question: string): Promise<string> {
  if (process.stdin.isTTY) return ask(question);
  const [first = ""] = (await text(process.stdin)).split(/\r?\n/, 1);
  return first;
}

async function ask(question: string): Promise<string> {
  process.stderr.write(question);
  process.stdin.setRawMode(true);
  let typed = "";
  try {
    for await (const chunk of process.stdin.setEncoding("utf8")) {
      for (const sign of String(chunk)) {
        if (sign === "\r" || sign === "\n") return typed;
        if (sign === interrupt) process.exit(130);
        typed = sign === backspace || sign === erase ? typed.slice(0, -1) : typed + sign;
      }
    }
    return typed;
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stderr.write("\n");
  }
}
