// Ten common questions, each answered from the page that opens after a login with no more clicks than docs/web.md states.
import { readFileSync } from "node:fs";
import type { Locator, Page } from "@playwright/test";
import { expect, test } from "./support/test";

/** Clicks, choices from lists, and inputs, which Enter ends. */
class Hands {
  uses = 0;

  constructor(readonly page: Page) {}

  async click(what: Locator): Promise<void> {
    this.uses += 1;
    await what.click();
  }

  async open(name: string): Promise<void> {
    await this.click(this.page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }));
  }

  async press(name: string): Promise<void> {
    await this.click(this.page.getByRole("button", { name, exact: true }));
  }

  async choose(label: string, value: string): Promise<void> {
    this.uses += 1;
    await this.page.getByRole("combobox", { name: label }).selectOption(value);
  }

  async type(label: string, text: string): Promise<void> {
    this.uses += 1;
    const field = this.page.getByLabel(label, { exact: true });
    await field.fill(text);
    await field.press("Enter");
  }
}

/** By question, what the documentation states. */
const stated = new Map(
  readFileSync("../docs/web.md", "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, question = "", , uses] = line.split("|").map((cell) => cell.trim());
      return /^\d+$/.test(uses ?? "") ? [[question, Number(uses)] as const] : [];
    }),
);

interface Question {
  question: string;
  answer: (
    hands: Hands,
    sent: { bytes: (direction: "in" | "out", name?: string) => string; began: number },
  ) => Promise<void>;
}

const total = (page: Page, direction: "in" | "out") =>
  expect(page.locator(`.answer[aria-busy=false] [data-row="total"] [data-total="${direction}"]`));
const row = (page: Page, value: string) => page.locator(`.answer[aria-busy=false] tbody [data-row="${value}"]`);
const typed = (time: number) =>
  new Intl.DateTimeFormat("sv", { timeZone: "Europe/Berlin", dateStyle: "short", timeStyle: "short" }).format(time);

const QUESTIONS: Question[] = [
  {
    question: "How much traffic is there now, in and out?",
    answer: async ({ page }) => {
      const hour = page.getByRole("region", { name: "The last hour of all networks" });
      await expect(hour.locator(".headline-value").first()).toContainText("bit/s");
    },
  },
  {
    question: "Which router loses datagrams, or is silent?",
    answer: async ({ page }) => {
      await expect(page.locator('[data-router="127.0.0.1"] [data-lost]')).toHaveText(/%|–/);
      await expect(page.locator('[data-router="127.0.0.2"]')).toContainText("never");
    },
  },
  {
    question: "Who exchanges most with us today?",
    answer: async (hands, sent) => {
      await hands.open("Traffic");
      await total(hands.page, "in").toHaveAttribute("data-exact", sent.bytes("in"));
      await expect(hands.page.locator("tbody [data-row]").first()).toBeVisible();
    },
  },
  {
    question: "Which AS in the last hour?",
    answer: async (hands) => {
      await hands.open("Traffic");
      await hands.choose("Split by", "remote-as");
      await hands.press("1h");
      // Whole minutes only: what was just sent may be in none yet.
      await expect(hands.page).toHaveURL(/last=1h/);
      await expect(hands.page.locator('.answer[aria-busy=false] [data-row="total"]')).toBeVisible();
      await expect(hands.page.getByRole("columnheader", { name: "Remote AS" })).toBeVisible();
    },
  },
  {
    question: "How much at a certain time?",
    answer: async (hands, { began, bytes }) => {
      await hands.open("Traffic");
      await hands.page.getByLabel("From, in Europe/Berlin").fill(typed(began - 120_000));
      hands.uses += 1;
      await hands.type("To, in Europe/Berlin", typed(began + 180_000));
      await expect(hands.page).toHaveURL(/from=/);
      await total(hands.page, "out").toHaveAttribute("data-exact", bytes("out"));
    },
  },
  {
    question: "More than the day before?",
    answer: async (hands) => {
      await hands.open("Traffic");
      await hands.click(hands.page.getByLabel("Previous period"));
      await expect(hands.page.getByText("dotted: the previous period")).toBeVisible();
    },
  },
  {
    question: "Who uses UDP, and for what?",
    answer: async (hands, sent) => {
      await hands.open("Traffic");
      await hands.choose("Split by", "proto");
      await hands.press("17");
      await expect(hands.page).toHaveURL(/only=17/);
      await expect(row(hands.page, "17").locator('[data-total="in"]')).toHaveAttribute(
        "data-exact",
        sent.bytes("in", "proto:17"),
      );
      await hands.click(hands.page.getByRole("link", { name: "Its flows" }));
      await expect(hands.page.locator('[data-row="total"] [data-sum="bytes"]')).toBeVisible();
    },
  },
  {
    question: "How full is an interface?",
    answer: async (hands) => {
      await hands.open("Traffic");
      await hands.choose("Router", "127.0.0.1");
      await hands.choose("Split by", "inif");
      await hands.press("% of speed");
      await expect(hands.page.locator("tbody tr", { hasText: "1.00 Gbit/s" }).first()).toBeVisible();
    },
  },
  {
    question: "From which AS to which of our addresses?",
    answer: async (hands) => {
      await hands.open("Flows");
      await hands.type("Group by columns", "dstas,dstip");
      await hands.press("ways");
      await expect(hands.page.locator(".ways-link").first()).toBeVisible();
    },
  },
  {
    question: "What does a prefix use this month, with its 95th percentile?",
    answer: async (hands, sent) => {
      await hands.open("Billing");
      await expect(hands.page.locator('[data-direction="in"] [data-bytes]')).toHaveAttribute(
        "data-bytes",
        sent.bytes("in"),
      );
    },
  },
];

test("the documentation states the clicks of these questions", () => {
  expect([...stated.keys()]).toEqual(QUESTIONS.map(({ question }) => question));
});

for (const { question, answer } of QUESTIONS) {
  test(question, async ({ user, collector }) => {
    const hands = new Hands(user);
    const begun = Date.now();
    await answer(hands, {
      bytes: (direction, name) => String(collector.total(direction, name).bytes),
      began: collector.began,
    });
    test.info().annotations.push({ type: "seconds", description: String((Date.now() - begun) / 1000) });
    expect(hands.uses).toBe(stated.get(question));
  });
}
