import { expect, it } from "bun:test";
import { storageRefusal } from "./storage-refusal.ts";

const errorWith = (code: unknown): Error => Object.assign(new Error("write failed"), { code });

it("knows what a disk and a database say when they take no more", () => {
  expect(storageRefusal(errorWith("ENOSPC"))).toBe("the storage is full");
  expect(storageRefusal(errorWith("SQLITE_FULL"))).toBe("the storage is full");
  expect(storageRefusal(errorWith("SQLITE_READONLY_DBMOVED"))).toBe("the storage is read-only");
});

it("leaves every other failure what it is", () => {
  for (const code of ["ENOENT", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_FULLER", 28, undefined]) {
    expect(storageRefusal(errorWith(code))).toBeUndefined();
  }
  expect(storageRefusal(new Error("a bug"))).toBeUndefined();
  expect(storageRefusal("ENOSPC")).toBeUndefined();
});
