/** The event stream of an upload, followed from beside: every record that was told, in order. */
import assert from "node:assert/strict";

/** How long a test waits for something that must come; a machine may be slow. */
const PATIENCE = 60_000;
const ENDS = ["processing", "done", "error"];
/** Which states may follow each; what is too short to be told is passed over. */
const NEXT = {
  starting: ["uploading", "interrupted", ...ENDS],
  uploading: ["interrupted", ...ENDS],
  interrupted: ["uploading", ...ENDS],
  processing: ENDS,
};

/** More than the heads of a few requests, less than anything that a test waits for. */
export const HEADS = 20_000;

/** How far an upload that goes on is let go at first. */
const STEP = 500_000;

/** Follows `id` at `server`, from the first record on, which is here when this resolves. */
export async function follow(t, server, id) {
  const stream = await open(t, `${server.url}uploads/${id}`, id);
  await stream.until(() => true, "the first record");
  return stream;
}

/** Follows the upload that a client is about to begin under that name of its own; `cookie` is the browser's, if it has one. */
export function followNamed(t, server, name, cookie = "") {
  return open(t, `${server.url}uploads?X-Progress-ID=${encodeURIComponent(name)}`, name, { cookie });
}

async function open(t, url, id, headers = {}) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const answer = await fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: stop.signal });
  assert.equal(answer.status, 200);
  const stream = new Stream(id);
  stream.read(answer.body);
  return stream;
}

/** Follows each upload that a client is about to send bytes for, from before the first of them. */
export function followers(t, server) {
  const streams = new Map();
  return {
    /** To be awaited before a request goes to the upload at `url`. */
    before(url) {
      const id = idOf(url);
      if (!streams.has(id)) streams.set(id, follow(t, server, id));
      return streams.get(id);
    },
    /** The streams followed, once there are so many. */
    async first(count = 1) {
      await patiently(() => streams.size >= count, () => `only ${streams.size} uploads of ${count} have begun`);
      return Promise.all(streams.values());
    },
    count: () => streams.size,
  };
}

/** The name at the end of an upload's URL. */
export function idOf(url) {
  return new URL(url, "http://localhost").pathname.split("/").at(-1);
}

class Stream {
  records = [];
  #over = null;
  #waiting = new Set();

  constructor(id) {
    this.id = id;
  }

  get last() {
    return this.records.at(-1);
  }

  /** Takes in events until the stream ends. */
  async read(body) {
    let text = "";
    try {
      for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
        const events = (text + chunk).split("\n\n");
        text = events.pop();
        for (const event of events) this.#take(event);
      }
      this.#over = "the stream ended";
    } catch (error) {
      this.#over = `the stream broke off: ${error.message}`;
    }
    this.#wake();
  }

  #take(event) {
    const fields = new Map(event.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
    if (fields.has("event")) this.#over = `the upload is ${fields.get("event")}`;
    else if (fields.has("data")) this.records.push(JSON.parse(fields.get("data")));
    this.#wake();
  }

  #wake() {
    for (const look of this.#waiting) look();
  }

  /** Waits for the newest record to please, and gives it. */
  until(pleases, wish) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle(value);
      };
      const fail = (why) => end(reject, new Error(`${wish}: ${why}, and last told was ${JSON.stringify(this.last)}`));
      const look = () => {
        if (this.last && pleases(this.last)) end(resolve, this.last);
        else if (this.#over) fail(this.#over);
      };
      const timer = setTimeout(() => fail("did not come"), PATIENCE);
      this.#waiting.add(look);
      look();
    });
  }

  /** Waits for a state. */
  becomes(state) {
    return this.until((record) => record.state === state, state);
  }

  /** Waits until so many bytes are here. */
  receives(bytes) {
    return this.until(({ received }) => received >= bytes, `${bytes} bytes received`);
  }

  /** Waits until so many bytes are kept. */
  keeps(bytes) {
    return this.until(({ offset }) => offset >= bytes, `${bytes} bytes kept`);
  }

  /** Lets `line` carry on what was broken off, far enough to be seen to; `go` is what makes the client go on. */
  async goesOn(line, go = () => {}) {
    const { offset } = this.last;
    // Over each connection: what an older one still sends takes nothing from the one that goes on.
    line.each(HEADS + STEP);
    await go();
    await this.until(({ state, received }) => state === "uploading" && received > offset, "to go on");
  }

  /** The states in their order, each named once; `processing` is too short to be seen every time. */
  states() {
    const states = this.records.map(({ state }) => state).filter((state) => state !== "processing");
    return states.filter((state, i) => state !== states[i - 1]);
  }
}

/**
 * What no stream may break: states follow each other as they must; what is kept never falls and is never more than what
 * has come; what has come falls only where a break lost it, and never below what is kept.
 */
export function assertHonest(records) {
  let [state, offset, received, broken] = [null, 0, 0, false];
  for (const record of records) {
    const told = `${JSON.stringify(record)} after ${state} with ${received} received and ${offset} kept`;
    assert.ok(state === null || state === record.state || NEXT[state]?.includes(record.state), told);
    broken ||= record.state === "interrupted";
    assert.ok(record.received >= received || broken, `fell: ${told}`);
    assert.ok(record.offset === null || record.offset >= offset, `lost: ${told}`);
    assert.ok(record.received >= (record.offset ?? offset), `kept before it came: ${told}`);
    if (record.state === "uploading" && record.received >= received) broken = false;
    [state, offset, received] = [record.state, record.offset ?? offset, record.received];
  }
}

/** A stream that was followed to its end: honest all along, and at the end all bytes are here, and kept. */
export function assertDone(records, length, way = "tus") {
  assertHonest(records);
  const { state, protocol, ...last } = records.at(-1);
  assert.deepEqual([state, protocol, last.length, last.received, last.offset], ["done", way, length, length, length]);
}

/** The same of a form with so many bytes in its files: what stands around them counts too. */
export function assertFormDone(records, bytes, way = "form") {
  const { length } = records.at(-1);
  assert.ok(length > bytes && length < bytes + HEADS, `a form of ${length} bytes for ${bytes}`);
  assertDone(records, length, way);
}

/** Asks until it is so. */
export async function patiently(ask, complaint) {
  const end = Date.now() + PATIENCE;
  while (!(await ask())) {
    if (Date.now() > end) assert.fail(complaint());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Requests as `METHOD status`. The page may know of an answer before the browser tells us, so those that are not answered yet
 * are waited for; one that is still under way has none.
 */
export async function wireOf(requests) {
  const all = Promise.all(requests().map(({ answered }) => answered));
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 3000))]);
  return requests().map(({ method, status }) => `${method} ${status}`);
}
