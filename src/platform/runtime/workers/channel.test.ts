import { expect, it } from "bun:test";
import { type Answers, type Channel, openChannel } from "./channel.ts";

/** Two ends, with what goes between them written out and read again, as between processes. */
function pair(answers: Answers): { readonly here: Channel; readonly there: Channel } {
  const here: Channel = openChannel(
    (message) => queueMicrotask(() => there.receive(JSON.parse(JSON.stringify(message)))),
    {},
  );
  const there: Channel = openChannel(
    (message) => queueMicrotask(() => here.receive(JSON.parse(JSON.stringify(message)))),
    answers,
  );
  return { here, there };
}

const outcomeOf = async (promise: Promise<unknown>): Promise<unknown> => {
  const [outcome] = await Promise.allSettled([promise]);
  return outcome.status === "fulfilled" ? outcome.value : String(outcome.reason);
};

it("calls the other end, many at once, each with its own answer", async () => {
  const { here } = pair({
    double: async (value: number) => {
      await Bun.sleep(10 - value);
      return value * 2;
    },
  });
  expect(await Promise.all([1, 5, 9].map((value) => here.call<number>("double", value)))).toEqual([2, 10, 18]);
});

it("tells what the other end threw, and that nobody knows a name", async () => {
  const { here } = pair({
    fail() {
      throw new Error("not today");
    },
  });
  expect(await outcomeOf(here.call("fail"))).toContain("not today");
  expect(await outcomeOf(here.call("toString"))).toContain("nobody answers to toString");
});

it("leaves nobody waiting for an end that is no more", async () => {
  const { here } = pair({ never: () => new Promise(() => {}) });
  const call = here.call("never");
  here.close();
  expect(await outcomeOf(call)).toContain("gone");
  expect(await outcomeOf(here.call("never"))).toContain("gone");
});
