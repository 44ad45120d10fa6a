import { expect, test } from "vitest";
import { sign } from "./session";

test("a login is signed as RFC 4231 has it", () => {
  // Test case 2 of the RFC.
  expect(sign("Jefe", "what do ya want for nothing?")).toBe(
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});
