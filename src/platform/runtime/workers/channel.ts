import { z } from "zod";

/**
 * Answers what the other end calls by a name. Both ends are one program, so each takes what the other sends for what it
 * means to send: JSON, and nothing else.
 */
export type Answers = Readonly<Record<string, (value: never) => unknown>>;

/** Two processes that call each other. */
export interface Channel {
  /** @throws Error the other end's, or its own when the other end goes away before it has answered */
  call<T = unknown>(topic: string, value?: unknown): Promise<T>;
  /** Hands on what the other end has sent. */
  receive(message: unknown): void;
  /** The other end is no more. */
  close(): void;
}

const message = z.union([
  z.object({ call: z.number(), topic: z.string(), value: z.unknown() }),
  z.object({ answer: z.number(), error: z.string() }),
  z.object({ answer: z.number(), value: z.unknown() }),
]);
type Message = z.infer<typeof message>;
type Call = Extract<Message, { readonly call: number }>;

/** @param send hands a message to the other end */
export function openChannel(send: (message: Message) => void, answers: Answers): Channel {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let latest = 0;
  let isClosed = false;
  const answer = async ({ call, topic, value }: Call): Promise<void> => {
    const [outcome] = await Promise.allSettled([answerOf(answers, topic, value)]);
    // Who asked may be gone by now.
    if (isClosed) return;
    if (outcome.status === "fulfilled") send({ answer: call, value: outcome.value ?? null });
    else send({ answer: call, error: String(outcome.reason) });
  };
  return {
    async call<T>(topic: string, value: unknown = null) {
      if (isClosed) throw new Error("the other process is gone");
      const id = ++latest;
      const deferred = Promise.withResolvers<unknown>();
      waiting.set(id, deferred);
      send({ call: id, topic, value });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are one program
      return (await deferred.promise) as T;
    },
    receive(received) {
      const parsed = message.parse(received);
      if ("call" in parsed) {
        void answer(parsed);
        return;
      }
      const deferred = waiting.get(parsed.answer);
      waiting.delete(parsed.answer);
      if ("error" in parsed) deferred?.reject(new Error(parsed.error));
      else deferred?.resolve(parsed.value);
    },
    close() {
      isClosed = true;
      for (const { reject } of waiting.values()) reject(new Error("the other process is gone"));
      waiting.clear();
    },
  };
}

async function answerOf(answers: Answers, topic: string, value: unknown): Promise<unknown> {
  const found = Object.hasOwn(answers, topic) ? answers[topic] : undefined;
  if (found === undefined) throw new Error(`nobody answers to ${topic}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are one program
  return found(value as never);
}
