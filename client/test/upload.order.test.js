/** `upload` through whatever comes, in any order: cuts, pauses, reloads, a server that dies. What was sent arrives once, and whole. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, slow } from "./support.js";
import { dish, send, stage } from "./support/module.js";

const WALKS = Number(process.env.WALKS ?? 1);
const STEPS = 14;

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** Small numbers in an order that the seed alone decides (a linear congruential generator). */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** What may happen; each leaves the upload so that it can go on. */
const EVENTS = {
  async cut({ stand }) { stand.line.cut(); stand.line.flow(); },
  async refuse({ stand, wait }) { stand.line.refuse(); await wait(); stand.line.flow(); },
  async pause({ upload, wait }) { await upload.pause(); await wait(); await upload.resume(); },
  async twice({ upload }) { await upload.pause(); await upload.resume(); await upload.pause(); await upload.resume(); },
  async reload(walk) { await walk.stand.page.reload(); await walk.choose(); },
  async offline({ stand, wait }) { stand.line.cut(); await stand.page.evaluate(() => dispatchEvent(new Event("offline"))); await wait(); stand.line.flow(); await stand.page.evaluate(() => dispatchEvent(new Event("online"))); },
  async restart({ stand }) { await stand.server.kill(); stand.line.lead((stand.server = await stand.server.again())); },
  /** Another tab takes it up; then one of the two is closed. */
  async tab(walk) {
    const [first, second] = [walk.stand.page, await walk.stand.page.context().newPage()];
    await second.goto(walk.stand.line.url);
    await slow(second, 1 * MB);
    const before = walk.upload;
    walk.stand.page = second;
    await walk.choose();
    await walk.wait();
    if (walk.roll(2)) return first.close();
    [walk.stand.page, walk.upload] = [first, before];
    await second.close();
  },
  async nothing({ wait }) { await wait(); },
};

/** One walk; gives what happened. */
async function walk(t, seed) {
  const stand = await stage(t, chrome, { flags: ["--checkpoint-time", "100ms"] });
  await slow(stand.page, 1 * MB);
  // It is too large to end by the way: who chooses it once more then means another upload.
  const [roll, sent, happened] = [dice(seed), dish(stand, "paella.bin", 32 * MB), []];
  const here = { stand, roll, wait: () => stand.page.waitForTimeout(roll(600)) };
  here.choose = async () => {
    await stand.page.waitForFunction(() => window.dw);
    here.upload = await send(stand, sent);
  };
  await here.choose();
  for (let step = 0; step < STEPS; step += 1) {
    await here.wait();
    const name = Object.keys(EVENTS)[roll(Object.keys(EVENTS).length)];
    happened.push(name);
    await EVENTS[name](here);
  }
  await slow(stand.page, 100 * MB);
  const end = await here.upload.done();
  const told = `seed ${seed}: ${happened.join(" ")}`;
  assert.equal(end.state, "done", `${told}: ${end}`);
  assert.deepEqual(stand.server.stored(), ["paella.bin"], told);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes), told);
}

for (let nth = 0; nth < WALKS; nth += 1) {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32)) + nth;
  test(`whatever comes on the way, in any order, a file arrives once and whole (SEED=${seed})`, { timeout: 120_000 }, (t) => walk(t, seed));
}
