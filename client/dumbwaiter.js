/**
 * The browser's side of Dumbwaiter: sends files, and tells what the server says of each.
 *
 *     file → Uploads → XMLHttpRequest → server → one EventSource → Upload → whoever draws it
 *
 * An ES module without dependencies that the browser runs as written. It draws nothing: the page does that in
 * `page.js`. Sending is XMLHttpRequest's, since `fetch` tells no upload progress (whatwg/fetch#607).
 */

// ---- What there is ---------------------------------------------------------------------------------------------

/**
 * What a caller may choose; `DEFAULTS` holds what holds otherwise. URLs are relative to the page.
 * @typedef {object} Options
 * @property {string} uploadUrl where a file is posted
 * @property {string} watchUrl where the records of several uploads come as one event stream
 * @property {string} field the form field that carries a file
 * @property {number} atOnce how many files go up at once. A browser opens six connections to a host over HTTP/1.1, and
 *   the event stream takes one of them.
 * @property {number} watchDelay milliseconds that new uploads are gathered before the event stream is opened anew;
 *   what ends sooner needs no stream
 * @property {(file: File) => {code: string, message: string} | null} refuse why a file need not be sent, because it is
 *   known that the server will not take it
 */

/** @type {Readonly<Options>} */
export const DEFAULTS = Object.freeze({
  uploadUrl: "upload",
  watchUrl: "uploads",
  field: "file",
  atOnce: 3,
  watchDelay: 100,
  refuse: () => null,
});

/** @typedef {{code: string, message: string, status: number}} RecordError */

/**
 * The server's record of an upload, as far as this module reads it. Bytes are integers, `rate` is bytes per second,
 * `eta` seconds; what is unknown is `null`.
 * @typedef {object} UploadRecord
 * @property {string | null} progress_id
 * @property {"starting" | "uploading" | "interrupted" | "processing" | "done" | "error"} state
 * @property {number | null} length body bytes in all
 * @property {number} received body bytes off the wire
 * @property {number | null} offset body bytes that are kept, where an upload can resume; at the end all of them
 * @property {number | null} rate
 * @property {number | null} eta
 * @property {{name: string, url: string | null}[]} [files]
 * @property {string | null} [url]
 * @property {RecordError | null} error
 */

/** @typedef {"waiting" | "uploading" | "interrupted" | "processing" | "done" | "error" | "cancelled"} State */

/** An upload that ended badly. `code` is stable, `message` is one line for people; the rest is for whoever asks why. */
export class UploadError extends Error {
  /**
   * @param {string} code the server's code, or `connection_lost`, `file_unreadable`, `foreign_answer`, `http_STATUS`
   * @param {string} message
   * @param {object} about
   * @param {{method: string, url: string} | null} about.request `null` when nothing was sent
   * @param {{status: number, body: unknown} | null} about.reply
   * @param {Upload} about.upload
   */
  constructor(code, message, { request, reply, upload }) {
    super(message);
    this.name = "UploadError";
    this.code = code;
    this.request = request;
    this.reply = reply;
    this.upload = upload;
  }

  /** Whether it was known before anything was sent. */
  get early() {
    return this.request === null;
  }
}

// ---- One file --------------------------------------------------------------------------------------------------

/** After so long without a byte a line is silent. A slow one lets some through in that time. */
const SILENT_MS = 5000;

/** One file on its way, a form of its own with a random progress id. Made by `Uploads.add`. */
export class Upload {
  /** @type {State} */
  state = "waiting";
  /** Body bytes that the browser has handed to the network, and the body's length as the browser counts it. */
  sent = 0;
  sentOf = 0;
  /** What the server said last; `null` until it speaks. @type {UploadRecord | null} */
  record = null;
  /** Whether the event stream tells of it; if not, only `sent` is known. */
  watched = false;
  /** The server's answer to a finished upload. @type {UploadRecord | null} */
  answer = null;
  /** @type {UploadError | null} */
  error = null;
  /** Whether it began again by itself, because the connection broke. */
  restarted = false;
  /** When a byte of it was last known to move, in the milliseconds of `performance.now()`. */
  #moved = 0;
  /** Whether the server was not there when its turn came: then it waits once more, but only once. */
  unreached = false;
  /** Whether the connection was gone during this try. */
  #held = false;
  /** @type {XMLHttpRequest | null} */
  #xhr = null;
  /** The name under which the server tells of it; each try has its own. */
  progressId = randomId();
  #options;
  #changed;

  /**
   * @param {File} file
   * @param {Options} options
   * @param {(upload: Upload) => void} changed called after each change
   */
  constructor(file, options, changed) {
    this.file = file;
    this.#options = options;
    this.#changed = changed;
  }

  /** Whether a request for it is open. */
  get running() {
    return this.state === "uploading" || this.state === "processing";
  }

  /** Whether nothing will happen to it any more. */
  get ended() {
    return this.state === "done" || this.state === "error" || this.state === "cancelled";
  }

  /** The part that the server has, from 0 to 1. */
  get kept() {
    if (this.state === "done") return 1;
    const { length = null, offset = null, received = 0 } = this.record ?? {};
    return length ? Math.min(1, (offset ?? received) / length) : 0;
  }

  /** The part that the browser has sent, from 0 to 1; never less than what the server has. */
  get gone() {
    return Math.max(this.kept, this.sentOf ? this.sent / this.sentOf : 0);
  }

  /** Whether all of it has been handed to the network: then only the server knows whether it has it. */
  get whole() {
    return this.sentOf > 0 && this.sent === this.sentOf;
  }

  /** Whether no byte of it has moved for a while, though bytes are left. */
  get silent() {
    const left = this.watched ? this.kept < 1 : !this.whole;
    return this.state === "uploading" && left && performance.now() - this.#moved >= SILENT_MS;
  }

  /** Whole percent of what the server has (of what was sent, where no stream tells), at most 99 until done. */
  get percent() {
    if (this.state === "done") return 100;
    return Math.min(99, Math.floor(100 * (this.watched || this.ended ? this.kept : this.gone)));
  }

  get #url() {
    return `${this.#options.uploadUrl}?X-Progress-ID=${this.progressId}`;
  }

  /** Begins to send. */
  start() {
    const xhr = new XMLHttpRequest();
    this.#xhr = xhr;
    this.state = "uploading";
    this.#moved = performance.now();
    xhr.open("POST", this.#url);
    xhr.responseType = "json";
    xhr.setRequestHeader("Accept", "application/json");
    xhr.upload.onprogress = (event) => this.#progress(event);
    xhr.onload = () => this.#answered(xhr);
    xhr.onerror = () => this.#broken();
    const form = new FormData();
    form.append(this.#options.field, this.file);
    xhr.send(form);
    this.#changed(this);
  }

  /** Gives it up. What the server has of it is thrown away there, unless it has it whole by then. */
  cancel() {
    if (!this.ended) this.#end("cancelled");
  }

  /** Gives it up before anything was sent. @param {string} code @param {string} message */
  refuse(code, message) {
    this.error = new UploadError(code, message, { request: null, reply: null, upload: this });
    this.#end("error");
  }

  /** Makes one that has failed or was cancelled wait for its turn once more, from its first byte on. */
  again(restarted = false, unreached = false) {
    this.restarted = restarted;
    this.unreached = unreached;
    this.progressId = randomId();
    this.sent = this.sentOf = 0;
    this.record = this.answer = this.error = null;
    this.watched = this.#held = false;
    this.#end("waiting");
  }

  /** Says that the connection is gone. A short break may be survived, so nothing is given up yet. */
  hold() {
    if (!this.running) return;
    this.#held = true;
    this.state = "interrupted";
    this.#changed(this);
  }

  /** Says that the connection is back. */
  goOn() {
    if (this.state !== "interrupted") return;
    if (this.#xhr === null) return this.again(true);
    this.state = "uploading";
    this.#changed(this);
  }

  /** Whether the last that is known of it is that the connection broke. */
  get lost() {
    return this.error?.code === "connection_lost" || (this.state === "waiting" && this.unreached);
  }

  /** Whether its request is over, so that it will have to begin again. */
  get cut() {
    return this.#xhr === null;
  }

  /** Takes what the event stream says. @param {UploadRecord} record */
  told(record) {
    if (this.cut || record.progress_id !== this.progressId) return;
    // Browsers send a request again by themselves when a connection that they have used before breaks.
    this.restarted ||= record.received < (this.record?.received ?? 0);
    if (record.received !== this.record?.received) this.#moved = performance.now();
    this.record = record;
    this.watched = true;
    if (record.error) return this.#fail(record.error.code, record.error.message, null);
    if (record.state === "processing") this.state = "processing";
    this.#changed(this);
  }

  /** Says that nobody tells of it any more. */
  untold() {
    this.watched = false;
    this.#changed(this);
  }

  /** @param {ProgressEvent} event */
  #progress({ loaded, total }) {
    if (this.ended) return;
    // Buffers on the way take in what goes nowhere: where the server tells, its word counts.
    if (loaded !== this.sent && !this.watched) this.#moved = performance.now();
    this.sent = loaded;
    this.sentOf = total;
    this.#changed(this);
  }

  /** @param {XMLHttpRequest} xhr */
  #answered(xhr) {
    const { status, response } = xhr;
    const reply = { status, body: response };
    if (status >= 200 && status < 300) {
      // A network's login page, or a proxy's, answers 200 to everything, and has nothing of the file.
      const ours = [response?.state, this.record?.state].includes("done");
      if (!ours) return this.#fail("foreign_answer", "the answer is not this server's", reply);
      this.answer = response;
      return this.#end("done");
    }
    if (typeof response?.code === "string") this.#fail(response.code, response.detail ?? response.title, reply);
    else this.#fail(`http_${status}`, `the server answered ${status} ${xhr.statusText}`, reply);
  }

  /** The request failed without an answer, which browsers report alike for a cut line and for an unreadable file. */
  async #broken() {
    const tried = this.progressId;
    const readable = await this.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
    if (this.cut || tried !== this.progressId) return;
    if (!readable) this.#fail("file_unreadable", "the file changed or cannot be read", null);
    else if (this.record?.state === "done") this.#end("done");
    else if (this.state === "interrupted") this.#end("interrupted");
    else if (this.#held) this.again(true);
    else if (!this.unreached && this.sent === 0 && this.record === null) this.again(false, true);
    else this.#fail("connection_lost", "the connection to the server broke", null);
  }

  /** @param {string} code @param {string} message @param {UploadError["reply"]} reply */
  #fail(code, message, reply) {
    const request = { method: "POST", url: this.#url };
    this.error = new UploadError(code, message, { request, reply, upload: this });
    this.#end("error");
  }

  /** @param {State} state */
  #end(state) {
    this.state = state;
    this.#xhr?.abort();
    this.#xhr = null;
    this.#changed(this);
  }
}

/** 128 random bits in hex. (`crypto.randomUUID` is missing on plain http.) */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- All of them -----------------------------------------------------------------------------------------------

/** A server on this machine is there without any network. */
const LOOPBACK = /^(localhost|.*\.localhost|127\.[\d.]+|\[::1\])$/;

/** Sends files, some at once and the rest in turn, and watches all that run through one event stream. */
export class Uploads {
  /** In the order in which they were added. @type {Upload[]} */
  list = [];
  #options;
  #changed;
  #watch;
  #absence;

  /**
   * @param {Partial<Options>} options
   * @param {(upload: Upload) => void} changed called after each change of an upload
   */
  constructor(options, changed) {
    this.#options = { ...DEFAULTS, ...options };
    this.#changed = changed;
    this.#watch = new Watch(this.#options);
    this.#absence = new Absence(this.#options.uploadUrl, () => this.#asked());
    // A browser that knows it has no network would fail each waiting file in turn.
    addEventListener("offline", () => this.#connected());
    addEventListener("online", () => this.#connected());
  }

  /** Whether the browser knows that it cannot reach the server. */
  get offline() {
    const { hostname } = new URL(this.#options.uploadUrl, document.baseURI);
    return !navigator.onLine && !LOOPBACK.test(hostname);
  }

  /** Whether files wait because the server does not answer. */
  get unreachable() {
    return this.#absence.sure && this.list.some((upload) => upload.state === "waiting");
  }

  /** The server was asked whether it is there. */
  #asked() {
    this.#next();
    for (const upload of this.list) if (upload.state === "waiting") this.#changed(upload);
  }

  #connected() {
    this.#absence.end();
    const offline = this.offline;
    for (const upload of this.list) offline ? upload.hold() : upload.goOn();
    this.#next();
  }

  /** Takes files in; they start as soon as there is room. What is refused at once comes back ended. @param {Iterable<File>} files @returns {Upload[]} */
  add(files) {
    const added = Array.from(files, (file) => new Upload(file, this.#options, (upload) => this.#onChange(upload)));
    // Before they are in the list: one that ends there lets the next one start, which may be one to refuse.
    for (const upload of added) {
      const reason = this.#options.refuse(upload.file);
      if (reason) upload.refuse(reason.code, reason.message);
    }
    this.list.push(...added);
    // The caller gets to know them before the first change of one that runs is told.
    queueMicrotask(() => this.#next());
    return added;
  }

  /** Tries these once more; the server has the last word on what was refused before it was sent. @param {Upload[]} uploads */
  retry(uploads) {
    this.#absence.end();
    for (const upload of uploads) upload.again();
  }

  /** Forgets an upload that has ended. @param {Upload} upload */
  remove(upload) {
    this.list = this.list.filter((one) => one !== upload);
  }

  /** @param {Upload} upload */
  #onChange(upload) {
    if (upload.lost) this.#absence.begin();
    this.#changed(upload);
    if (upload.ended || upload.state === "waiting") this.#next();
  }

  #next() {
    const running = this.list.filter((upload) => upload.running);
    // Those that wait would fail one after the other.
    if (this.list.every((upload) => upload.ended)) this.#absence.end();
    const room = this.offline || this.#absence.lasts ? 0 : Math.max(0, this.#options.atOnce - running.length);
    const starting = this.list.filter((upload) => upload.state === "waiting").slice(0, room);
    this.#watch.follow([...running, ...starting]);
    for (const upload of starting) upload.start();
  }
}

/** How long after a connection broke the server is asked whether it is there; each time it is not, twice as long passes … */
const ASK_FIRST_MS = 500;
/** … but no more than this. */
const ASK_SELDOMEST_MS = 30_000;
/** No answer for so long is none. */
const ASK_LASTS_MS = 10_000;

/** The time in which the server may be gone: it is asked, ever more seldom, until it answers. */
class Absence {
  /** Whether it was asked in vain. */
  sure = false;
  /** @type {number | undefined} */
  #timer;
  #url;
  #asked;

  /** @param {string} url @param {() => void} asked called after each time that it was asked */
  constructor(url, asked) {
    this.#url = url;
    this.#asked = asked;
  }

  get lasts() {
    return this.#timer !== undefined;
  }

  begin(after = ASK_FIRST_MS) {
    this.#timer ??= setTimeout(() => this.#ask(after), after);
  }

  end() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.sure = false;
  }

  /** @param {number} waited */
  async #ask(waited) {
    const timer = this.#timer;
    const there = await answers(this.#url).catch(() => false);
    if (timer !== this.#timer) return;
    this.end();
    this.sure = !there;
    if (!there) this.begin(Math.min(2 * waited, ASK_SELDOMEST_MS));
    this.#asked();
  }
}

/** Whether a server answers, and not another one for it. @param {string} url */
async function answers(url) {
  const { status } = await fetch(url, { method: "HEAD", mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(ASK_LASTS_MS) });
  return status < 500;
}

/** One event stream for all that run. It is opened anew when an upload joins, and closed when none is left. */
class Watch {
  /** @type {EventSource | null} */
  #source = null;
  /** @type {Map<string, Upload>} */
  #asked = new Map();
  /** @type {Map<string, Upload>} */
  #wanted = new Map();
  /** @type {number | undefined} */
  #timer;
  #options;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
  }

  /** Makes the stream tell of these. @param {Upload[]} uploads */
  follow(uploads) {
    this.#wanted = new Map(uploads.map((upload) => [upload.progressId, upload]));
    if (uploads.length === 0) return this.#close();
    if (uploads.every((upload) => this.#asked.has(upload.progressId))) return;
    this.#timer ??= setTimeout(() => this.#open(), this.#options.watchDelay);
  }

  #open() {
    this.#close();
    this.#asked = this.#wanted;
    const ids = Array.from(this.#asked.keys(), (id) => `X-Progress-ID=${id}`);
    const source = new EventSource(`${this.#options.watchUrl}?${ids.join("&")}`);
    source.onmessage = ({ data }) => {
      const record = /** @type {UploadRecord} */ (JSON.parse(data));
      this.#asked.get(record.progress_id ?? "")?.told(record);
    };
    // Most errors are a line cut, and the browser comes back by itself; a refusal closes for good.
    source.onerror = () => source.readyState === EventSource.CLOSED && this.#lost();
    this.#source = source;
  }

  #lost() {
    for (const upload of this.#asked.values()) if (upload.running) upload.untold();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#source?.close();
    this.#source = null;
    this.#asked = new Map();
  }
}
