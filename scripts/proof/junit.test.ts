import { expect, it } from "bun:test";
import { parseJunit } from "./junit.ts";

it("reads groups, entities and every kind of outcome", () => {
  const xml = `<?xml version="1.0"?>
    <testsuites tests="5"><testsuite name="a.test.ts" file="a.test.ts">
      <testsuite name="outer &amp; &#39;inner&#x27;" file="a.test.ts" line="2">
        <testcase name="&lt;one&gt;" file="a.test.ts" line="3" />
        <testcase name="two" file="a.test.ts" line="4"><failure message="no"/></testcase>
      </testsuite>
      <testcase name="three" file="a.test.ts" line="5"><skipped /></testcase>
    </testsuite></testsuites>`;
  expect(parseJunit(xml).map(({ name, line, outcome }) => [name, line, outcome])).toEqual([
    ["outer & 'inner' > <one>", 3, "passed"],
    ["outer & 'inner' > two", 4, "failed"],
    ["three", 5, "skipped"],
  ]);
});

it("reads a status, and nothing inside CDATA", () => {
  const xml = `<testsuites><testsuite name="Suite">
      <testcase name="a" status="passed"><system-err><![CDATA[<testcase name="planted"/>]]></system-err></testcase>
      <testcase name="b" status="failure"></testcase>
      <testcase name="c" status="error"></testcase>
      <testcase name="d" status="skipped"></testcase>
    </testsuite></testsuites>`;
  expect(parseJunit(xml).map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
    "a passed",
    "b failed",
    "c failed",
    "d skipped",
  ]);
});
