/**
 * A line between a client and the server that does as it is told: it carries so many bytes up and holds the rest, it
 * breaks, goes dead, leads to another server. What a test counts in bytes does not depend on how fast a machine is.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A line to the server at `url`, open at first; `line.url` is what the client is to know. Gone at the test's end. */
export async function line(t, { url }) {
  const line = new Line(url);
  await new Promise((resolve) => line.between.listen(0, "127.0.0.1", resolve));
  line.url = `http://127.0.0.1:${line.between.address().port}/`;
  t.after(() => {
    line.cut();
    line.between.close();
  });
  return line;
}

class Line {
  /** How many bytes may still go up over all connections together, and how many in all over each. */
  #left = Infinity;
  #limit = Infinity;
  /** Where connections lead; none yet is waited for. */
  #port;
  #pairs = new Set();
  #waiting = new Set();
  #refuses = false;
  between = createServer((near) => this.#join(near));

  constructor(url) {
    this.#port = new URL(url).port;
  }

  /** Lets `bytes` more go up, heads counted, over all connections together, and holds the rest. */
  allow(bytes) {
    [this.#left, this.#limit, this.#refuses] = [bytes, Infinity, false];
    this.#wake();
  }

  /** Lets every connection carry up so many bytes in all, and holds the rest. */
  each(bytes) {
    [this.#left, this.#limit, this.#refuses] = [Infinity, bytes, false];
    this.#wake();
  }

  /** Holds nothing any more. */
  flow() {
    this.allow(Infinity);
  }

  /** Resets every connection at both ends. What new ones bring is held until the line is told otherwise. */
  cut() {
    this.allow(0);
    for (const { near, far } of this.#pairs) for (const end of [near, far]) end.resetAndDestroy();
  }

  /** Resets every connection, and each new one at once, until the line is told to carry again. */
  refuse() {
    this.cut();
    this.#refuses = true;
  }

  /** Lets every connection go dead: nothing comes through, and neither end hears of what happens to the other. */
  lose() {
    for (const pair of this.#pairs) {
      pair.dead = true;
      pair.far.unpipe(pair.near);
    }
    this.#wake();
  }

  /** New connections are kept waiting until there is a server at `lead`. */
  block() {
    this.#port = null;
  }

  /** New connections, and those kept waiting, lead to that server. */
  lead({ url }) {
    this.#port = new URL(url).port;
    this.#wake();
  }

  async #join(near) {
    near.on("error", () => {});
    if (this.#refuses) return near.resetAndDestroy();
    while (this.#port === null) await this.#change();
    const far = connect(this.#port, "127.0.0.1");
    const pair = { near, far, held: [], carried: 0, dead: false };
    this.#pairs.add(pair);
    for (const [end, other] of [[near, far], [far, near]]) {
      // One that is reset while it shuts down may keep its handle; none may keep the run from ending.
      end.unref().on("error", () => {}).on("close", () => {
        if (!pair.dead) other.destroy();
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
      });
    }
    // The client may have gone while it was kept waiting.
    if (near.destroyed) return far.destroy();
    // What is held is read all the same: only so is a client seen to go away.
    near.on("data", (chunk) => this.#wake(pair.held.push(chunk)));
    far.pipe(near);
    this.#carry(pair).catch(() => far.destroy());
  }

  /** Carries up what comes, as far as it may. */
  async #carry(pair) {
    for (;;) {
      while (!pair.dead && (pair.held.length === 0 || this.#may(pair) <= 0)) await this.#change();
      if (pair.dead) return;
      const chunk = pair.held.shift();
      const part = chunk.subarray(0, this.#may(pair));
      this.#left -= part.length;
      pair.carried += part.length;
      if (part.length < chunk.length) pair.held.unshift(chunk.subarray(part.length));
      if (!pair.far.write(part)) await once(pair.far, "drain");
    }
  }

  /** How many bytes may go up over this connection now. */
  #may({ carried }) {
    return Math.min(this.#left, this.#limit - carried);
  }

  /** Resolves when something has been told to the line. */
  #change() {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake() {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
