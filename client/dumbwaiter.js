/**
 * The browser's side of Dumbwaiter: sends files, follows uploads, and gives any form a bar that tells the truth.
 *
 *     form → enhance ┐
 *     file → upload ─┴→ Upload → XMLHttpRequest → server → one event stream → Progress → <dumbwaiter-progress>
 *                                                  watch ──────────┘
 *
 * One ES module without dependencies that the browser runs as written. Sending is XMLHttpRequest's, since `fetch` tells no
 * upload progress (whatwg/fetch#607). No inline style or script is made, so the strictest policy lets it run.
 */

// ---- What there is ---------------------------------------------------------------------------------------------

/**
 * What a caller may choose for an upload; `defaults` holds what holds otherwise.
 * @typedef {object} Options
 * @property {string} server where Dumbwaiter stands, with a slash at the end; unless said, the folder of this module
 * @property {string} field the form field that carries a file sent by form
 * @property {Record<string, string>} fields what else is said of the file: form fields, or metadata of tus
 * @property {Record<string, string>} headers header fields of every request, the event stream's too
 * @property {string | (() => string | Promise<string>) | null} ticket the right to this upload, asked for before each try
 * @property {boolean} credentials whether cookies go along to a server of another origin
 * @property {number} resumable bytes from which a file is sent so that it can be resumed; below it goes as a form
 * @property {number} atOnce how many files go up at once. A browser opens six connections to a host over HTTP/1.1, and
 *   the event stream takes one of them.
 * @property {number} retryFor milliseconds without a new byte after which an interrupted upload is given up
 * @property {boolean} checksum whether each request says the SHA-256 of its bytes, where the platform can make one
 * @property {boolean} remember whether the upload can go on after a reload of the page, or from another tab
 * @property {(file: File) => {code: string, message: string} | null} refuse why a file need not be sent, because it is
 *   known that the server will not take it
 */

/** What holds where a caller says nothing else; to be changed once, before the first upload. @type {Options} */
export const defaults = {
  server: new URL(".", import.meta.url).href,
  field: "file",
  fields: {},
  headers: {},
  ticket: null,
  credentials: false,
  resumable: 1_000_000,
  atOnce: 3,
  retryFor: 3_600_000,
  checksum: false,
  remember: true,
  refuse: () => null,
};

/**
 * The server's record of an upload (docs/progress.md). Bytes are integers, `rate` is bytes per second, `eta` seconds; what
 * is unknown is `null`, and what one may not see is not there.
 * @typedef {object} UploadRecord
 * @property {string} [id]
 * @property {string} [watch]
 * @property {string | null} progress_id
 * @property {"starting" | "uploading" | "interrupted" | "processing" | "done" | "error"} state
 * @property {number | null} length body bytes in all
 * @property {number} received body bytes off the wire
 * @property {number | null} offset body bytes that are kept, where an upload can resume; at the end all of them
 * @property {number | null} rate
 * @property {number | null} eta
 * @property {{name: string, url: string | null}[]} [files]
 * @property {string | null} [url]
 * @property {{name: string | null, done: number | null, total: number | null} | null} phase
 * @property {{code: string, message?: string, status: number} | null} error
 */

/** @typedef {"waiting" | "uploading" | "interrupted" | "paused" | "processing" | "done" | "error" | "cancelled"} State */

/** By form, by the IETF's protocol or by tus. @typedef {"form" | "ietf" | "tus"} Way */

/** The server's answer to a request. `body` is parsed where it is JSON, else text. @typedef {{status: number, body: any, url: string, redirected: boolean, field: (name: string) => string | null}} Reply */

/** An upload that ended badly, or cannot go on. `code` is stable, `message` is one line for people; the rest is for whoever asks why. */
export class UploadError extends Error {
  /**
   * @param {string} code the server's code, or `connection_lost`, `file_unreadable`, `foreign_answer`, `cancelled`, `http_STATUS`
   * @param {string} message
   * @param {{method: string, url: string} | null} request `null` when nothing was sent
   * @param {Reply | null} reply
   */
  constructor(code, message, request = null, reply = null) {
    super(message);
    this.name = "UploadError";
    this.code = code;
    this.request = request;
    this.reply = reply;
  }

  /** Whether it was known before anything was sent. */
  get early() {
    return this.request === null && this.reply === null;
  }
}

// ---- How far an upload has come --------------------------------------------------------------------------------

/** One upload, as far as it is known: sent from here, or watched. Says `change` after each change. */
export class Progress extends EventTarget {
  /** @type {State} */
  state = "waiting";
  /** What the server said last; `null` until it speaks. @type {UploadRecord | null} */
  record = null;
  /** Whether the server tells of it now; if not, its numbers are as old as the last word. */
  live = false;
  /** @type {UploadError | null} */
  error = null;
  /** When the server told last, in the milliseconds of `Date.now()`. */
  toldAt = 0;
  /** Why it does not move, or fell back, as a code: `offline`, `connection_lost`, `restarted`, `elsewhere`; empty if it runs. */
  reason = "";

  /** Bytes of the body in all. @returns {number | null} */
  get length() {
    return this.record?.length ?? null;
  }

  /** What people call it. */
  get name() {
    return this.record?.files?.[0]?.name ?? "";
  }

  /** Bytes as people count them. @returns {number | null} */
  get size() {
    return this.length;
  }

  /** Whether no byte of it has moved for a while, though bytes are left. */
  get silent() {
    return false;
  }

  /** Whether nobody tells how far it is, so that only what was sent is known. */
  get blind() {
    return false;
  }

  /** Whether all of it was sent, so that only the server knows whether it has it. */
  get whole() {
    return false;
  }

  /** Whether what the server has stays there while it rests. */
  get resumable() {
    return (this.record?.offset ?? null) !== null;
  }

  /** The part that the server has, from 0 to 1. */
  get kept() {
    if (this.state === "done") return 1;
    const { offset = null, received = 0 } = this.record ?? {};
    return this.length ? Math.min(1, (offset ?? received) / this.length) : 0;
  }

  /** The part that is on its way or there, from 0 to 1; never less than `kept`. */
  get gone() {
    return Math.max(this.kept, this.length ? Math.min(1, (this.record?.received ?? 0) / this.length) : 0);
  }

  /** Whole percent of what the server has, at most 99 until done. */
  get percent() {
    return this.state === "done" ? 100 : Math.min(99, Math.floor(100 * this.kept));
  }

  /** Whether bytes move, or the server works. */
  get running() {
    return this.state === "uploading" || this.state === "processing";
  }

  /** Whether nothing will happen to it by itself any more. */
  get ended() {
    return this.state === "done" || this.state === "error" || this.state === "cancelled";
  }

  /** Whether what is known may be old, since nobody tells. */
  get stale() {
    return !this.live && !this.ended;
  }

  /** Takes what the server says. @param {UploadRecord | null} record `null` when it knows nothing of it any more @param {boolean} [live] */
  told(record, live = true) {
    if (!record) {
      this.error = new UploadError("gone", "nothing is known of this upload");
      return this.set(this.ended ? this.state : "error");
    }
    const { error, state, received } = record;
    if (state === "uploading" && received < (this.record?.received ?? 0)) this.reason = "restarted";
    else if (state !== "uploading") this.reason = "";
    this.know(record, live);
    if (error) this.error = new UploadError(error.code, error.message ?? error.code, { method: "GET", url: "" });
    this.set(error?.code === "cancelled" ? "cancelled" : state === "starting" ? "waiting" : state);
  }

  /** @param {UploadRecord | null} record @param {boolean} live @protected */
  know(record, live) {
    this.record = record;
    this.live = live;
    if (live) this.toldAt = Date.now();
  }

  /** @param {State} state @protected */
  set(state, reason = this.reason) {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("change"));
  }
}

// ---- Sending ---------------------------------------------------------------------------------------------------

/** The first wait before an interrupted upload tries again; each further one is twice as long … */
const WAIT_FIRST_MS = 500;
/** … but no longer than this. */
const WAIT_MOST_MS = 30_000;
/** So long without a byte on its way a line counts as dead, and another try is made. */
const DEAD_MS = 60_000;
/** Bytes in a request that says their checksum: they are read into memory, and none is kept of one that is cut. */
const CHECKED_BYTES = 4 << 20;
/** An answer should follow its record's end so soon; then the record stands for it. */
const ANSWER_MS = 3000;
/** After so long without a byte a line is silent. A slow one lets some through in that time. */
const SILENT_MS = 5000;
/** How often an upload begins anew that the server forgot. */
const LOST_MOST = 3;
/** Codes that say that nothing was kept because the line broke, or that it is to begin anew. */
const BROKEN = ["client_gone", "stalled", "truncated_form", "offset_mismatch", "restarted"];
/** The answers after which the same may succeed later (RFC 9110, 15.5 and 15.6; RFC 6585, 4). */
const PASSING = [408, 425, 429, 502, 503, 504];
/** A server on this machine is there without any network. */
const LOOPBACK = /^(localhost|.*\.localhost|127\.[\d.]+|\[::1\])$/;

/** A file or a whole form on its way up. Made by `upload`. */
export class Upload extends Progress {
  /** The name under which the server tells of it before it has an id; each try by form has its own. */
  progressId = randomId();
  /** Bytes of the body that the browser has handed to the network, or that were kept before. */
  sent = 0;
  /** The server's answer to the last request. @type {Reply | null} */
  answer = null;
  /** What is sent, and where to. @type {Parcel} */
  #parcel;
  /** How it is sent; `null` until the server has said what it can. @type {Way | null} */
  #way = null;
  /** Where it can be resumed. @type {string | null} */
  #url = null;
  /** Whether it was begun just now, so that nothing of it can be there. */
  #fresh = false;
  /** How often it began anew because the server knew nothing of it any more. */
  #lost = 0;
  /** Bytes that answers said are kept. */
  #offset = 0;
  /** Most bytes of one request that goes on with it. */
  #most = Infinity;
  /** Stops all that is under way. @type {AbortController | null} */
  #turn = null;
  /** Ends the wait before the next try. */
  #hurry = () => {};
  /** Gives the present request up. */
  #cut = () => {};
  #unfollow = () => {};
  #outcome = deferred();
  /** The end as the server tells of it, which may be known before the answer is there. */
  #word = deferred();
  /** When a byte was last known to move. */
  #moved = 0;
  /** Under which name it is noted for other pages of this origin, if it is. @type {string | null} */
  #note = null;

  /** @param {File | FormData} what @param {Partial<Options> & {action?: string}} options */
  constructor(what, options = {}) {
    super();
    /** @type {Options & {action?: string}} */
    this.options = { ...defaults, ...options };
    this.what = what;
    this.files = what instanceof File ? [what] : filesOf(what);
    this.#parcel = parcelOf(what, this.options);
    if (what instanceof File && this.#parcel.resumable && this.options.remember) this.#note = noteOf(what, this.options);
    const reason = what instanceof File ? this.options.refuse(what) : null;
    if (reason) this.#fail(new UploadError(reason.code, reason.message));
    else this.resume();
  }

  get name() {
    const [first, ...more] = this.files;
    return `${first?.name ?? ""}${more.length ? ` +${more.length}` : ""}`;
  }

  get size() {
    return this.files.reduce((size, file) => size + file.size, 0);
  }

  get length() {
    return this.#parcel.body.size;
  }

  get kept() {
    return this.state === "done" ? 1 : Math.max(super.kept, this.length ? this.#offset / this.length : 0);
  }

  get gone() {
    return Math.max(this.kept, this.length ? this.sent / this.length : 0);
  }

  get blind() {
    return !this.live && this.state === "uploading" && this.#way === "form";
  }

  get stale() {
    return false;
  }

  get silent() {
    return this.state === "uploading" && !(this.whole && this.blind) && performance.now() - this.#moved >= SILENT_MS;
  }

  get whole() {
    return this.sent >= this.length;
  }

  get resumable() {
    return this.#url !== null;
  }

  /** The record at its end; rejected with an `UploadError` when it fails or is cancelled. Each `resume` after that makes a new one. */
  get done() {
    return this.#outcome.promise;
  }

  /** Rests, and keeps what the server can keep. What it has whole can no longer be stopped. */
  pause() {
    if (this.ended || this.state === "processing" || this.state === "paused") return;
    this.#stop();
    if (this.#note) notes.change(this.#note, { paused: true, at: 0 });
    this.set("paused", "");
  }

  /** Goes on where it stood: after `pause`, after it failed or was cancelled; at once while it waits to try again. */
  resume() {
    if (this.#turn) return this.#hurry();
    if (this.state === "done") return;
    if (this.ended) this.#outcome = deferred();
    this.error = this.answer = null;
    if (this.#note) notes.change(this.#note, { paused: false });
    this.#turn = new AbortController();
    this.set("waiting", "");
    this.#run(this.#turn.signal);
  }

  /** Gives it up. What the server has of it is thrown away there, unless it has it whole by then. */
  cancel() {
    if (this.ended || this.state === "processing") return;
    this.#stop();
    this.#outcome.reject(new UploadError("cancelled", "the upload was cancelled"));
    this.set("cancelled", "");
    this.#remove();
  }

  /** @param {UploadRecord | null} record @param {boolean} [live] */
  told(record, live = true) {
    if (!this.#turn || !record) return;
    const { state, error, received } = record;
    if (received !== this.record?.received) this.#moved = performance.now();
    this.know(record, live);
    if (state === "done" || error) this.#word.resolve(record);
    // All of it is on its way, and the server has given up waiting: the line is dead.
    if (state === "interrupted" && this.whole) this.#cut();
    this.set(state === "processing" && this.running ? state : this.state);
  }

  /** Tries until it is there, refused, or nothing has moved for too long. @param {AbortSignal} signal */
  async #run(signal) {
    const leave = await enter(this, signal);
    for (let [failed, since, kept] = [0, Date.now(), 0]; !signal.aborted; failed += 1) {
      try {
        this.#moved = performance.now();
        this.set("uploading", this.reason === "restarted" ? this.reason : "");
        const record = await this.#attempt(signal);
        if (!signal.aborted) this.#succeed(record);
        break;
      } catch (fault) {
        if (signal.aborted) break;
        if (this.#offset > kept) [failed, since, kept] = [0, Date.now(), this.#offset];
        const error = await this.#errorOf(fault);
        if (!this.#passes(error) || Date.now() - since > this.options.retryFor) {
          this.#fail(error);
          break;
        }
        this.live = false;
        this.set("interrupted", this.#offline ? "offline" : error.code);
        await this.#rest(failed, error, signal);
      }
    }
    leave();
  }

  /** @param {AbortSignal} signal @returns {Promise<UploadRecord>} */
  async #attempt(signal) {
    if (!this.#url && this.#way !== "form") await this.#begin(signal);
    if (this.#way === "form") return this.#post(signal);
    return (await this.#elsewhere(signal)) ?? this.#append(signal);
  }

  /** Sends all of it in one request. @param {AbortSignal} signal */
  async #post(signal) {
    if (this.sent > 0) [this.progressId, this.reason] = [randomId(), "restarted"];
    const { url, body, type, ours } = this.#parcel;
    const target = new URL(url);
    target.searchParams.set("X-Progress-ID", this.progressId);
    this.#offset = this.sent = 0;
    this.know(null, false);
    this.#follow();
    const reply = await this.#carry("POST", target.href, { "Content-Type": type }, body, signal).catch((fault) => {
      // The answer may be lost, and not what was sent.
      if (fault instanceof UploadError || !this.whole) throw fault;
      return this.#look().then((record) => (record ? null : Promise.reject(fault)));
    });
    if (!reply || !ours) return this.#recordOf(reply);
    // A network's login page, or a proxy's, answers 200 to everything, and has nothing of the file.
    if (!["done", "processing"].includes(reply.body?.state)) throw new UploadError("foreign_answer", "the answer is not this server's", null, reply);
    return this.#settled(reply.body);
  }

  /** Begins an upload that can be resumed, goes on with an earlier one, or finds out that this server has none. @param {AbortSignal} signal */
  async #begin(signal) {
    const { url, body, type, resumable, metadata } = this.#parcel;
    const noted = notes.get(this.#note);
    if (!resumable) return void (this.#way = "form");
    if (noted) return void ([this.#url, this.#way] = [noted.url, noted.way]);
    const about = { "Upload-Length": `${body.size}`, ...(metadata ? { "Upload-Metadata": metadata } : {}), "X-Progress-ID": this.progressId };
    // Not called back: what is begun on the server has to be known here, to be ended there.
    const begin = (/** @type {Record<string, string>} */ fields) => this.#ask("POST", url, { ...about, ...fields });
    let reply = await begin({ "Upload-Complete": "?0", "Content-Type": type });
    this.#way = "ietf";
    if (reply.status === 412 || reply.field("Tus-Resumable")) {
      this.#way = "tus";
      reply = await begin(TUS);
    }
    const location = reply.field("Location");
    if (reply.status === 201 && location) {
      this.#url = new URL(location, reply.url).href;
      this.#most = Number(/max-append-size=(\d+)/.exec(reply.field("Upload-Limit") ?? "")?.[1] ?? Infinity);
      this.#offset = this.sent = 0;
      this.#fresh = true;
      if (signal.aborted && this.state === "cancelled") this.#remove();
      else this.#hold();
    } else if ([404, 405, 501].includes(reply.status)) {
      this.#way = "form";
      this.#parcel = parcelOf(this.what, { ...this.options, resumable: Infinity });
    } else throw refusal(reply, "POST", url);
  }

  /** Sends what is missing. @param {AbortSignal} signal */
  async #append(signal) {
    const url = /** @type {string} */ (this.#url);
    const { body } = this.#parcel;
    this.#follow();
    let complete = !this.#fresh && (await this.#where(url, signal));
    this.#fresh = false;
    const beat = setInterval(() => this.#hold(), BEAT_MS);
    /** @type {Reply | null} */
    let reply = null;
    try {
      while (!complete) {
        const end = Math.min(body.size, this.#offset + Math.min(this.#most, this.options.checksum ? CHECKED_BYTES : Infinity));
        const ietf = { "Content-Type": "application/partial-upload", "Upload-Complete": end === body.size ? "?1" : "?0" };
        const how = this.#way === "tus" ? { "Content-Type": "application/offset+octet-stream", ...TUS } : ietf;
        reply = await this.#carry("PATCH", url, { "Upload-Offset": `${this.#offset}`, ...how }, body.slice(this.#offset, end), signal);
        complete = !reply || end === body.size;
        this.#offset = end;
      }
    } finally {
      clearInterval(beat);
    }
    return this.#recordOf(reply);
  }

  /** Asks how much is kept, and whether that is all. @param {string} url @param {AbortSignal} signal */
  async #where(url, signal) {
    const reply = await this.#ask("HEAD", url, this.#way === "tus" ? TUS : {}, null, signal);
    const offset = reply.field("Upload-Offset");
    if ([404, 410].includes(reply.status)) await this.#unknown(reply);
    if (reply.status >= 300 || offset === null) throw refusal(reply, "HEAD", url);
    this.#offset = this.sent = Number(offset);
    this.#hold();
    return this.#way === "tus" ? this.#offset === this.length : reply.field("Upload-Complete") === "?1";
  }

  /** The server knows nothing of it any more: it begins anew, unless its record says how it ended. @param {Reply} reply */
  async #unknown(reply) {
    const record = await this.#look();
    this.#url = this.#way = null;
    this.#forget();
    if (record?.error) await this.#settled(record);
    this.know(null, false);
    this.#lost += 1;
    if (this.#offset > 0 || this.#lost > 1) this.reason = "restarted";
    this.#offset = this.sent = 0;
    if (this.#lost < LOST_MOST) throw new UploadError("restarted", "the server knows nothing of the upload any more", null, reply);
  }

  /** Follows an upload that another tab sends, until that one is gone; the record if it came to its end. @param {AbortSignal} signal */
  async #elsewhere(signal) {
    for (let first = true; !signal.aborted; first = false) {
      const noted = notes.get(this.#note);
      const sent = noted && noted.holder !== this.progressId && Date.now() - noted.at < LEASE_MS;
      if (noted && !sent && noted.paused && !first) this.pause();
      if (!sent && first) return null;
      if (!sent) {
        const record = await this.#look();
        return record && (record.error || record.state === "done") ? this.#settled(record) : null;
      }
      if (first) this.#follow();
      this.set("uploading", "elsewhere");
      await Promise.race([sleep(BEAT_MS), this.#word.promise]);
    }
    return null;
  }

  /** Says to other tabs that this one sends it. */
  #hold() {
    if (!this.#note || !this.#url || !this.#way) return;
    const { name, size, lastModified } = /** @type {File} */ (this.what);
    const { server } = this.options;
    notes.set(this.#note, { url: this.#url, way: this.#way, server, name, size, lastModified, kept: this.#offset, at: Date.now(), holder: this.progressId, paused: false });
  }

  #forget() {
    if (this.#note) notes.set(this.#note, null);
  }

  /** Ends it on the server too. */
  #remove() {
    this.#forget();
    if (this.#url) this.#ask("DELETE", this.#url, this.#way === "tus" ? TUS : {}).catch(() => {});
    this.#url = this.#way = null;
    this.#offset = 0;
  }

  /** What the server knows of it. @returns {Promise<UploadRecord | null>} */
  async #look() {
    const reply = await this.#ask("GET", `${this.options.server}uploads?${this.#watched}`, {}).catch(() => null);
    return reply?.body?.[0]?.state ? reply.body[0] : null;
  }

  /** The name under which the server tells of it. */
  get #watched() {
    return this.#url ? `id=${this.#url.split("/").pop()}` : `X-Progress-ID=${this.progressId}`;
  }

  /** The record behind a last answer, which may be the app's own. @param {Reply | null} reply @returns {Promise<UploadRecord>} */
  async #recordOf(reply) {
    const own = reply?.body?.state && "received" in reply.body ? reply.body : await this.#look();
    return own || this.record ? this.#settled(own ?? this.record) : bare(this.length, this.files);
  }

  /** The record once the server is done with the upload. @param {UploadRecord} record @returns {Promise<UploadRecord>} */
  async #settled(record) {
    this.told(record);
    const last = record.state === "done" || record.error ? record : await this.#word.promise;
    if (last.error) throw new UploadError(last.error.code, last.error.message ?? "", { method: "GET", url: this.#parcel.url });
    return last;
  }

  /**
   * Sends bytes, and tells how many are gone. `null` when the server's record has ended and no answer comes.
   * @param {string} method @param {string} url @param {Record<string, string>} fields @param {Blob} body @param {AbortSignal} signal
   */
  async #carry(method, url, fields, body, signal) {
    const stop = new AbortController();
    const cut = (this.#cut = () => stop.abort());
    const from = this.#offset;
    const onprogress = (/** @type {{loaded: number}} */ { loaded }) => {
      clearTimeout(dead);
      if (loaded < body.size) dead = setTimeout(cut, DEAD_MS);
      if (!this.live) this.#moved = performance.now();
      this.sent = from + Math.min(loaded, body.size);
      this.set(this.state);
    };
    let dead = setTimeout(cut, DEAD_MS);
    let told = false;
    this.#word.promise.then(() => sleep(ANSWER_MS)).then(() => (told = true) && cut());
    signal.addEventListener("abort", cut);
    try {
      const digest = this.options.checksum ? await digestOf(body, this.#way === "tus") : {};
      const reply = await this.#ask(method, url, { ...fields, ...digest }, body, stop.signal, onprogress);
      if (reply.status >= 300) throw refusal(reply, method, url);
      return (this.answer = reply);
    } catch (fault) {
      if (told) return null;
      throw fault;
    } finally {
      clearTimeout(dead);
      signal.removeEventListener("abort", cut);
    }
  }

  /** One request. @param {string} method @param {string} url @param {Record<string, string>} fields @param {Blob | null} [body] @param {AbortSignal} [signal] @param {(event: ProgressEvent) => void} [onprogress] */
  async #ask(method, url, fields, body = null, signal, onprogress) {
    const rights = await rightsOf(this.options);
    return request(method, url, { Accept: ACCEPT, ...rights, ...fields }, { body, signal, onprogress, credentials: this.options.credentials });
  }

  /** @param {unknown} fault */
  async #errorOf(fault) {
    if (fault instanceof UploadError) return fault;
    const readable = await Promise.all(this.files.map((file) => file.slice(0, 1).arrayBuffer())).then(() => true, () => false);
    const request = { method: "POST", url: this.#parcel.url };
    if (!readable) return new UploadError("file_unreadable", "the file changed or cannot be read", request);
    return new UploadError("connection_lost", "the connection to the server broke", request);
  }

  /** Whether another try may help, and can do no harm. @param {UploadError} error */
  #passes({ code, reply }) {
    if (BROKEN.includes(code) || (code === "superseded" && this.#note)) return true;
    if (reply ? !PASSING.includes(reply.status) : code !== "connection_lost") return false;
    // Of a form that was sent whole nobody knows whether it was taken; 429 and 503 say that it was not.
    return this.#way !== "form" || !this.whole || reply?.status === 429 || reply?.status === 503;
  }

  get #offline() {
    return !navigator.onLine && !LOOPBACK.test(new URL(this.#parcel.url).hostname);
  }

  /** Waits for the next try. @param {number} failed @param {UploadError} error @param {AbortSignal} signal */
  #rest(failed, { code, reply }, signal) {
    const asked = 1000 * Number(reply?.field("Retry-After") ?? 0) || 0;
    const wait = code === "restarted" ? 0 : Math.min(WAIT_MOST_MS, Math.max(asked, WAIT_FIRST_MS * 2 ** failed)) * (1 + Math.random() / 4);
    return new Promise((resolve) => {
      this.#hurry = () => resolve(undefined);
      if (!this.#offline) setTimeout(resolve, wait);
      addEventListener("online", this.#hurry, { once: true });
      signal.addEventListener("abort", this.#hurry);
    });
  }

  #follow() {
    this.#unfollow();
    this.#word = deferred();
    this.#unfollow = watch(this.#watched, (record, { live }) => this.told(record, live), this.options);
  }

  /** @param {UploadRecord} record */
  #succeed(record) {
    this.#stop();
    this.#forget();
    this.know(record, false);
    this.#outcome.resolve(record);
    this.set("done", "");
  }

  /** @param {UploadError} error */
  #fail(error) {
    this.#stop();
    this.error = error;
    this.#outcome.reject(error);
    this.set("error", "");
  }

  #stop() {
    this.#turn?.abort();
    this.#turn = null;
    this.#unfollow();
    this.live = false;
  }
}

/** Sends a file, or a whole form; it begins when its turn comes. @param {File | FormData} what @param {Partial<Options> & {action?: string}} [options] */
export function upload(what, options) {
  return new Upload(what, options);
}

const ACCEPT = "application/json, text/html;q=0.9, */*;q=0.8";
const TUS = { "Tus-Resumable": "1.0.0" };

/** What is sent: the body's bytes and type, where it goes, whether that is Dumbwaiter itself, and whether it may be resumed there.
 * @typedef {{body: Blob, type: string, url: string, ours: boolean, resumable: boolean, metadata: string}} Parcel */

/** @param {File | FormData} what @param {Options & {action?: string}} options @returns {Parcel} */
function parcelOf(what, { server, field, fields, resumable: from, action }) {
  const at = (/** @type {string} */ path) => new URL(path, document.baseURI).href;
  if (what instanceof File && what.size >= from) {
    const metadata = Object.entries({ filename: what.name, filetype: what.type, ...fields }).filter(([, value]) => value);
    const text = metadata.map(([name, value]) => `${name} ${base64(new TextEncoder().encode(value))}`).join(",");
    return { body: what, type: what.type || "application/octet-stream", url: at(`${server}files/`), ours: true, resumable: true, metadata: text };
  }
  const form = what instanceof File ? formOf(what, field, fields) : what;
  const { body, type } = multipart(form);
  const url = at(action ?? `${server}upload`);
  const ours = url === at(`${server}upload`);
  return { body, type, url, ours, resumable: ours && !(what instanceof File) && body.size >= from, metadata: "" };
}

/** A form's body as browsers write it (HTML, "multipart/form-data encoding algorithm"), of known bytes, so that it can be cut anywhere. @param {FormData} form */
function multipart(form) {
  const boundary = `dumbwaiter-${randomId()}`;
  const quoted = (/** @type {string} */ text) => `"${text.replace(/\r\n|\r|\n/g, "%0D%0A").replace(/"/g, "%22")}"`;
  /** @type {(string | Blob)[]} */
  const parts = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name=${quoted(name)}`;
    if (typeof value === "string") parts.push(`${head}\r\n\r\n${value.replace(/\r\n|\r|\n/g, "\r\n")}\r\n`);
    else parts.push(`${head}; filename=${quoted(value.name)}\r\nContent-Type: ${value.type || "application/octet-stream"}\r\n\r\n`, value, "\r\n");
  }
  return { body: new Blob([...parts, `--${boundary}--\r\n`]), type: `multipart/form-data; boundary=${boundary}` };
}

/** @param {File} file @param {string} field @param {Record<string, string>} fields */
function formOf(file, field, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append(field, file);
  return form;
}

/** @param {FormData} form */
function filesOf(form) {
  return Array.from(form.values()).filter((value) => value instanceof File);
}

/** The SHA-256 of a request's bytes as a field; nothing over plain http, where browsers make none. @param {Blob} body @param {boolean} tus @returns {Promise<Record<string, string>>} */
async function digestOf(body, tus) {
  if (!globalThis.crypto.subtle || body.size > CHECKED_BYTES) return {};
  const digest = base64(new Uint8Array(await crypto.subtle.digest("SHA-256", await body.arrayBuffer())));
  return tus ? { "Upload-Checksum": `sha256 ${digest}` } : { "Content-Digest": `sha-256=:${digest}:` };
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/** 128 random bits in hex. (`crypto.randomUUID` is missing on plain http.) */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is known of an upload to a server that keeps no records. @param {number} length @param {File[]} files @returns {UploadRecord} */
function bare(length, files) {
  const names = files.map(({ name }) => ({ name, url: null }));
  return { progress_id: null, state: "done", length, received: length, offset: length, rate: null, eta: null, files: names, phase: null, error: null };
}

/** A promise with its ends; nobody has to listen to it. @returns {{promise: Promise<any>, resolve: (value: any) => void, reject: (error: Error) => void}} */
function deferred() {
  /** @type {any} */
  const ends = {};
  const promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...ends };
}

/** One request; rejected only when no answer comes. @param {string} method @param {string} url @param {Record<string, string>} fields
 * @param {{body: Blob | null, credentials: boolean, signal?: AbortSignal, onprogress?: (event: ProgressEvent) => void}} how @returns {Promise<Reply>} */
function request(method, url, fields, { body, credentials, signal, onprogress }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.withCredentials = credentials;
    for (const [name, value] of Object.entries(fields)) xhr.setRequestHeader(name, value);
    if (onprogress) xhr.upload.onprogress = onprogress;
    xhr.onload = () => resolve({ status: xhr.status, body: parsed(xhr.responseText), url: xhr.responseURL, redirected: xhr.responseURL !== new URL(url, document.baseURI).href, field: (name) => xhr.getResponseHeader(name) });
    xhr.onerror = xhr.onabort = () => reject(new Error(`no answer to ${method} ${url}`));
    signal?.addEventListener("abort", () => xhr.abort());
    signal?.aborted ? reject(signal.reason) : xhr.send(body);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {Reply} reply @param {string} method @param {string} url */
function refusal(reply, method, url) {
  const { code, detail, title } = Object(reply.body);
  if (typeof code === "string") return new UploadError(code, detail ?? title ?? code, { method, url }, reply);
  return new UploadError(`http_${reply.status}`, `the server answered ${reply.status}`, { method, url }, reply);
}

// ---- In turn ---------------------------------------------------------------------------------------------------

/** Those that are sent or try to be. */
const sending = new Set();
/** Those that wait for their turn, in order. @type {{upload: Upload, start: () => void}[]} */
let waiting = [];

/** Waits for a place; gives what frees it. @param {Upload} upload @param {AbortSignal} signal @returns {Promise<() => void>} */
function enter(upload, signal) {
  return new Promise((resolve) => {
    const leave = () => {
      sending.delete(upload);
      waiting = waiting.filter((one) => one.upload !== upload);
      turn();
    };
    const start = () => resolve(leave);
    signal.addEventListener("abort", () => (leave(), start()));
    waiting.push({ upload, start });
    // The caller gets to know an upload before its first change is told.
    queueMicrotask(turn);
  });
}

/** Lets those begin for which there is room. */
function turn() {
  for (;;) {
    const [first] = waiting;
    if (!first || sending.size >= first.upload.options.atOnce) break;
    waiting.shift();
    sending.add(first.upload);
    first.start();
  }
  removeEventListener("beforeunload", ask);
  if (sending.size + waiting.length > 0) addEventListener("beforeunload", ask);
}

/** Leaving would cut what is under way, so the browser asks. @param {Event} event */
function ask(event) {
  event.preventDefault();
}

// ---- Over reloads and tabs -------------------------------------------------------------------------------------

/** How often the page that sends an upload says so to others … */
const BEAT_MS = 2000;
/** … and how long it is believed. A hidden page's clock may go slower: taking over from it then does no harm. */
const LEASE_MS = 6000;
/** What is noted of an upload is forgotten after so long; servers forget earlier (`--expire-after`). */
const NOTED_MS = 7 * 86_400_000;
const NOTED_MOST = 100;
const NOTE = "dumbwaiter ";

/**
 * An upload that was begun in this browser, and may go on when its file is chosen again. The URL is the right to it, and
 * pages of this origin alone can read it.
 * @typedef {{url: string, way: Way, server: string, name: string, size: number, lastModified: number, kept: number, at: number, holder: string, paused: boolean}} Noted
 */

/** The same file, meant for the same place. @param {File} file @param {Options} options */
function noteOf({ name, size, type, lastModified }, { server, fields }) {
  return NOTE + JSON.stringify([server, name, size, type, lastModified, fields]);
}

/** What is noted in this browser. Where nothing may be stored, nothing is. */
const notes = {
  /** @param {string | null} key @returns {Noted | null} */
  get(key) {
    try {
      const noted = JSON.parse((key && localStorage.getItem(key)) || "null");
      return typeof noted?.url === "string" ? noted : null;
    } catch {
      return null;
    }
  },

  /** @param {string} key @param {Noted | null} noted */
  set(key, noted) {
    try {
      noted ? localStorage.setItem(key, JSON.stringify(noted)) : localStorage.removeItem(key);
    } catch {}
  },

  /** @param {string} key @param {Partial<Noted>} change */
  change(key, change) {
    const noted = this.get(key);
    if (noted) this.set(key, { ...noted, ...change });
  },

  /** All that are not too old, the newest first. @returns {[string, Noted][]} */
  all() {
    /** @type {[string, Noted][]} */
    const found = [];
    try {
      for (const key of Object.keys(localStorage)) {
        const noted = key.startsWith(NOTE) && this.get(key);
        if (noted) found.push([key, noted]);
      }
    } catch {}
    found.sort(([, one], [, other]) => other.at - one.at);
    return found.filter(([key, { at }], place) => (place < NOTED_MOST && Date.now() - at < NOTED_MS) || this.set(key, null));
  },
};

/** Uploads that were begun here and are not sent now: `upload` goes on with one when its file is chosen again. @param {string} [server] */
export function unfinished(server = defaults.server) {
  const rest = notes.all().filter(([, noted]) => noted.server === server && Date.now() - noted.at >= LEASE_MS);
  return rest.map(([key, noted]) => ({ key, ...noted }));
}

/** Gives up an upload of `unfinished`, here and on the server. @param {{key: string, url: string, way: Way}} noted @param {Partial<Options>} [options] */
export async function forget({ key, url, way }, options = {}) {
  notes.set(key, null);
  const all = { ...defaults, ...options };
  await request("DELETE", url, { ...(await rightsOf(all)), ...(way === "tus" ? TUS : {}) }, { body: null, credentials: all.credentials }).catch(() => {});
}

// ---- Watching --------------------------------------------------------------------------------------------------

/** New names are gathered so long before the stream is opened anew. */
const GATHER_MS = 100;
/** A stream says at least a comment every 15 s (`--watch-comment`): one that is silent for so long is dead, or held back by a proxy. */
const DUMB_MS = 20_000;
/** For so long no other stream is tried then. */
const POOR_MS = 60_000;
/** How often is asked where no stream can be had; of a page that nobody sees more seldom. */
const POLL_MS = 1000;
const HIDDEN_MS = 5000;

/** @typedef {{name: string, live: boolean}} About the name that was asked for, and whether the server tells of it now */
/** @typedef {(record: UploadRecord | null, about: About) => void} Listener `null` when the server knows nothing of it any more */
/** @typedef {Partial<Pick<Options, "server" | "headers" | "ticket" | "credentials">>} WatchOptions */

/** What is known under a name, and who wants to know it. @typedef {{value: string, record: UploadRecord | null, listeners: Set<Listener>}} Watched */

/** One event stream for all that are watched at a server with the same rights. */
class Stream {
  /** @type {Map<string, Watched>} */
  #names = new Map();
  #turn = new AbortController();
  #running = false;
  #poorUntil = 0;
  #options;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
  }

  /** @param {string} name @param {Listener} listener */
  add(name, listener) {
    const value = decodeURIComponent(name.slice(name.indexOf("=") + 1));
    const watched = this.#names.get(name) ?? { value, record: null, listeners: new Set() };
    if (!this.#names.has(name)) {
      this.#names.set(name, watched);
      this.anew();
      this.#run();
    } else if (watched.record) queueMicrotask(() => listener(watched.record, { name: value, live: true }));
    watched.listeners.add(listener);
    return () => {
      watched.listeners.delete(listener);
      if (watched.listeners.size === 0) this.#drop(name, watched);
    };
  }

  /** @param {string} name @param {Watched} watched */
  #drop(name, watched) {
    if (this.#names.get(name) === watched) this.#names.delete(name);
    if (this.#names.size === 0) this.#turn.abort();
  }

  /** Asks anew: names have joined, or what was open may be dead. */
  anew() {
    this.#turn.abort();
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    for (let failed = 0; this.#names.size > 0; ) {
      await sleep(GATHER_MS);
      const { signal } = (this.#turn = new AbortController());
      const poor = document.hidden || Date.now() < this.#poorUntil;
      const told = await this.#ask(poor, signal).catch(() => false);
      if (signal.aborted) continue;
      failed = told ? 0 : failed + 1;
      if (!told) for (const { value, record, listeners } of this.#names.values()) if (record) for (const listener of listeners) listener(record, { name: value, live: false });
      await sleep(Math.min(WAIT_MOST_MS, (document.hidden ? HIDDEN_MS : POLL_MS) * 2 ** Math.max(0, failed - 1)), signal);
    }
    this.#running = false;
  }

  /** Whether anything was told. @param {boolean} poor @param {AbortSignal} signal */
  async #ask(poor, signal) {
    const { server, credentials } = this.#options;
    const stop = new AbortController();
    const end = () => stop.abort();
    signal.addEventListener("abort", end);
    let dead = setTimeout(end, DUMB_MS);
    try {
      const answer = await fetch(`${server}uploads?${[...this.#names.keys()].join("&")}`, {
        headers: { ...(await rightsOf(this.#options)), Accept: poor ? "application/json" : "text/event-stream" },
        signal: stop.signal, cache: "no-store", credentials: credentials ? "include" : "same-origin",
      });
      if (poor) return answer.ok && this.#list(await answer.json());
      const reader = answer.headers.get("Content-Type")?.startsWith("text/event-stream") ? answer.body?.getReader() : null;
      if (!reader) return void (this.#poorUntil = Date.now() + POOR_MS);
      const decoder = new TextDecoder();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) return true;
        clearTimeout(dead);
        dead = setTimeout(end, DUMB_MS);
        const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = events.pop() ?? "";
        for (const event of events) this.#event(event);
      }
    } finally {
      clearTimeout(dead);
      if (stop.signal.aborted && !signal.aborted) this.#poorUntil = Date.now() + POOR_MS;
      signal.removeEventListener("abort", end);
    }
  }

  /** @param {string} event */
  #event(event) {
    const data = /^data: ?(.*)$/m.exec(event)?.[1];
    if (!data) return;
    const record = JSON.parse(data);
    const gone = /^event: ?gone$/m.test(event);
    for (const [name, watched] of [...this.#names]) {
      const meant = name.startsWith("id=") ? [record.id, record.watch] : [record.progress_id];
      if (meant.includes(watched.value)) this.#tell(name, watched, gone ? null : record);
    }
  }

  /** @param {(UploadRecord | null)[]} records in the order of the names */
  #list(records) {
    for (const [at, [name, watched]] of [...this.#names].entries()) {
      const record = records[at];
      // One that was never seen may be yet to come.
      if (record || watched.record) this.#tell(name, watched, record ?? null);
    }
    return true;
  }

  /** @param {string} name @param {Watched} watched @param {UploadRecord | null} record */
  #tell(name, watched, record) {
    const { value, listeners } = watched;
    watched.record = record;
    // Nothing more will come.
    if (!record || record.state === "done" || record.error) this.#drop(name, watched);
    for (const listener of [...listeners]) listener(record, { name: value, live: true });
  }
}

/** @type {Map<string, Stream>} */
const streams = new Map();

/** What is open may have died while the page or the machine slept. */
for (const event of ["visibilitychange", "online", "pageshow"]) globalThis.addEventListener?.(event, () => streams.forEach((stream) => stream.anew()), true);

/**
 * Follows uploads, with one event stream for all; the caller's own function gets each record.
 * @param {string | string[]} names ids, watch names, or `X-Progress-ID=…` @param {Listener} listener @param {WatchOptions} [options]
 * @returns {() => void} stops it
 */
export function watch(names, listener, options = {}) {
  const all = { ...defaults, ...options };
  const key = JSON.stringify([all.server, all.headers, all.credentials, typeof all.ticket === "function" ? streams.size : all.ticket]);
  const stream = streams.get(key) ?? new Stream(all);
  streams.set(key, stream);
  const stops = [names].flat().map((name) => stream.add(name.includes("=") ? name : `id=${encodeURIComponent(name)}`, listener));
  return () => stops.forEach((stop) => stop());
}

/** The caller's own fields, and the ticket. @param {Options} options */
async function rightsOf({ headers, ticket }) {
  const text = typeof ticket === "function" ? await ticket() : ticket;
  return text ? { ...headers, Authorization: `Bearer ${text}` } : headers;
}

/** @param {number} ms @param {AbortSignal} [signal] ends it early @returns {Promise<void>} */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => resolve());
  });
}

// ---- Words -----------------------------------------------------------------------------------------------------

/**
 * What is said, in English; other languages are files of their own beside this one, with the same keys. `{0}` and `{1}`
 * stand for what is put in. An error says what happened, and by its second word what to do.
 */
export const english = {
  language: "en",
  waiting: "Waiting",
  interrupted: "Waiting for the connection.",
  offline: "You are offline.",
  elsewhere: "Another tab sends it.",
  restarted: "Started again",
  paused: "Paused.",
  processing: "All received, being stored",
  done: "Arrived",
  renamed: "Arrived as {0}",
  cancelled: "Cancelled.",
  stale: "As of {0}",
  kept: "{0} are kept.",
  none: "Nothing of it is kept.",
  unsure: "All of it was sent, so it may be here all the same.",
  unsent: "Nothing was sent.",
  of: "{0} of {1}",
  sent: "{0} sent",
  few: "a few seconds",
  about: "about {0}",
  left: "{0} left",
  percent: "{0} percent",
  failed: "failed",
  saySending: "Sending {0}.",
  sayPart: "{0} percent of {1}.",
  sayStoring: "Everything is received and being stored.",
  sayGoesOn: "Sending {0} goes on.",
  sayDone: "{0} has arrived.",
  pause: "Pause",
  resume: "Resume",
  retry: "Retry",
  cancel: "Cancel",
  /** @type {Record<string, string>} */
  acts: {
    later: "Try again later.",
    back: "Retry when it is back.",
    again: "Retry.",
    faster: "Retry over a faster connection.",
    smaller: "Choose a smaller one.",
    other: "Choose another file.",
    reload: "Reload this page.",
    ask: "Ask who runs this page.",
    choose: "Choose another file, or ask who runs this page.",
  },
  /** @type {Record<string, [string, string]>} */
  errors: {
    client_gone: ["The connection to the server broke.", "back"],
    connection_lost: ["The connection to the server broke.", "back"],
    disk_full: ["The disk here is full.", "later"],
    expired: ["The upload was not finished in time.", "again"],
    file_too_large: ["The file is larger than this server takes.", "smaller"],
    file_unreadable: ["The file has changed or cannot be read any more.", "other"],
    foreign_answer: ["Something on the way answered in the server's place.", "later"],
    http_413: ["A server on the way takes no file this large.", "smaller"],
    http_502: ["The server behind this page does not answer.", "later"],
    http_503: ["The server has too much to do.", "later"],
    unauthorized: ["The server asks who you are.", "reload"],
  },
};

/** @typedef {typeof english} Words */

/** What is said now. @type {Words} */
let words = english;

/** Says everything in these words from now on. @param {Words} table */
export function setWords(table) {
  words = table;
}

/** @param {string} text @param {(string | number)[]} parts */
function put(text, ...parts) {
  return text.replace(/\{(\d)\}/g, (_, at) => `${parts[at]}`);
}

/** A number with its unit, as the language writes it; nothing breaks the line between the two. @param {number} number @param {string} unit @param {Intl.NumberFormatOptions} [how] */
function measure(number, unit, how) {
  return number.toLocaleString(words.language, { style: "unit", unit, unitDisplay: "short", ...how }).replace(/ /g, "\u00a0");
}

const UNITS = ["kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Bytes in decimal units with two or three digits, rounded: "812 bytes", "8.1 MB", "412 MB". @param {number} bytes */
export function formatBytes(bytes) {
  return inUnits(Math.round(bytes), 0.5);
}

/** A limit in the same words, cut off: it never promises more than is taken. `src/sizes.rs` does the same. @param {number} bytes */
export function formatLimit(bytes) {
  return inUnits(bytes, 0);
}

/** @param {number} bytes @param {number} more the part of a unit that is added before it is cut off */
function inUnits(bytes, more) {
  if (bytes < 1000) return measure(bytes, "byte", { unitDisplay: "long" });
  const cut = (/** @type {number} */ unit) => Math.floor((bytes + more * unit) / unit);
  let [unit, at] = [1000, 0];
  // 999.6 kB would round to 1000 kB.
  while (cut(unit) >= 1000 && at < UNITS.length - 1) [unit, at] = [unit * 1000, at + 1];
  const tenths = cut(unit / 10);
  const digits = tenths < 100 ? 1 : 0;
  return measure(digits ? tenths / 10 : cut(unit), UNITS[at] ?? "", { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
}

/** An estimate that grows has to stay this much higher … */
const GROWTH = 1.2;
/** … for this long before it is shown. */
const GROWTH_HOLDS_MS = 5000;

/** Seconds left in rounded words that do not jump: they shrink at once and grow only when the growth lasts. */
export class EtaWords {
  /** @type {number | null} */
  #shown = null;
  /** @type {number | null} */
  #higherSince = null;

  /** @param {number | null} seconds the newest estimate @param {number} [now] milliseconds on any steady clock */
  of(seconds, now = performance.now()) {
    if (seconds === null) this.#shown = this.#higherSince = null;
    else if (this.#shown === null || seconds <= this.#shown) [this.#shown, this.#higherSince] = [seconds, null];
    else if (seconds < this.#shown * GROWTH) this.#higherSince = null;
    else if (now - (this.#higherSince ??= now) >= GROWTH_HOLDS_MS) [this.#shown, this.#higherSince] = [seconds, null];
    return this.#shown === null ? { seen: "", spoken: "" } : timeWords(this.#shown);
  }
}

/** @param {number} seconds */
function timeWords(seconds) {
  if (seconds < 10) return { seen: words.few.replace(/ /g, "\u00a0"), spoken: put(words.left, words.few) };
  const [number, unit] = seconds < 50 ? [Math.ceil(seconds / 10) * 10, "second"] : seconds < 3420 ? [Math.round(seconds / 60), "minute"] : [Math.round(seconds / 3600), "hour"];
  const seen = put(words.about, measure(number, unit)).replace(/ /g, "\u00a0");
  return { seen, spoken: put(words.left, put(words.about, measure(number, unit, { unitDisplay: "long" }).replace("\u00a0", " "))) };
}

/**
 * What is said of an upload: `text` and numbers for the eye, of which empty ones are left out, and `spoken` for the ear.
 * @param {Progress} progress @param {EtaWords} eta its own, kept from one time to the next
 */
export function statusWords(progress, eta) {
  const { state, size, record, reason } = progress;
  const percent = put(words.percent, progress.percent);
  const left = eta.of(state === "uploading" && progress.live ? (record?.eta ?? null) : null);
  const said = { text: "", size: "", speed: "", left: "", spoken: percent };
  const whole = size === null ? "" : formatBytes(size);
  if (state === "uploading" && !progress.silent) {
    const bytes = formatBytes((size ?? 0) * (progress.blind ? progress.gone : progress.kept));
    const part = size === null ? formatBytes(record?.received ?? 0) : put(words.of, bytes, whole);
    said.size = progress.blind ? put(words.sent, part) : part;
    said.text = reason ? sentenceOf(reason) : "";
    said.speed = record?.rate && progress.live ? `${formatBytes(record.rate)}/s` : "";
    said.left = left.seen;
    if (left.spoken) said.spoken = `${percent}, ${left.spoken}`;
    return said;
  }
  said.text = stateWords(progress);
  if (state === "waiting" || state === "done") said.size = whole;
  said.spoken = state === "error" ? `${percent}, ${words.failed}` : said.text.toLowerCase();
  return said;
}

/** @param {Progress} progress @returns {string} */
function stateWords(progress) {
  const { state, record } = progress;
  if (state === "error") return errorWords(progress);
  if (state === "processing" && record?.phase?.name) return record.phase.name;
  if (state === "cancelled" || state === "paused") return `${words[state]} ${keptWords(progress)}`;
  if (state === "interrupted" || state === "uploading") return `${sentenceOf(progress.reason || "interrupted")} ${keptWords(progress)}`;
  return words[state];
}

/** @param {string} reason a key of the words, or a code */
function sentenceOf(reason) {
  return /** @type {any} */ (words)[reason] ?? words.errors[reason]?.[0] ?? words.interrupted;
}

/** What is kept of an upload that rests or ended early. @param {Progress} progress */
export function keptWords({ state, whole, resumable, kept, size, error }) {
  if (resumable && state !== "cancelled" && kept > 0 && size) return put(words.kept, formatBytes(kept * size));
  return whole && (!error || error.code === "connection_lost") ? words.unsure : words.none;
}

/** What happened, what is kept, what to do. The code stands beside it. @param {Progress} progress one that failed */
export function errorWords(progress) {
  const { error } = progress;
  if (!error) return "";
  const [what, act] = words.errors[error.code] ?? [asSentence(error.message), "choose"];
  return `${error.early ? asSentence(error.message) : what} ${error.early ? words.unsent : keptWords(progress)} ${words.acts[act]}`;
}

/** Whether trying once more makes sense. @param {UploadError} error */
export function canRetry({ code, early }) {
  const act = words.errors[code]?.[1] ?? "";
  return !early && (["later", "back", "again", "faster"].includes(act) || /^http_5/.test(code));
}

/** One line of an error as a sentence. @param {string} line */
function asSentence(line) {
  const text = line.charAt(0).toUpperCase() + line.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The shortest time between two spoken reports of progress. */
const SPEAK_EVERY_MS = 15_000;
/** Storing is worth a word only when it lasts. */
const STORING_LASTS_MS = 1000;

/**
 * What is said to who cannot see the bars: few words, seldom. At the start, at every quarter but at most every 15 s, when
 * everything is being stored, and at the end; errors at once.
 */
export class Voice {
  #busy = false;
  #quarter = 0;
  #spokenAt = 0;
  #storingSince = 0;

  /** @param {{textContent: string | null}} status @param {{textContent: string | null}} alert @param {() => number} now milliseconds on a steady clock */
  constructor(status, alert, now = () => performance.now()) {
    this.status = status;
    this.aloud = alert;
    this.now = now;
  }

  /** Says a sentence when the reader has time for it. @param {string} sentence */
  say(sentence) {
    this.status.textContent = sentence;
    this.#spokenAt = this.now();
  }

  /** Says at once what needs attention. @param {string} sentence */
  alert(sentence) {
    this.aloud.textContent = sentence;
  }

  /** Looks whether there is anything to say. @param {{what: string, percent: number, busy: boolean, storing: boolean, ending: string}} progress */
  follow({ what, percent, busy, storing, ending }) {
    const was = this.#busy;
    this.#busy = busy;
    if (!busy) return void (was && ending && this.say(ending));
    const quarter = Math.floor(percent / 25);
    if (!was) {
      [this.#quarter, this.#storingSince] = [quarter, 0];
      return this.say(put(words.saySending, what));
    }
    if (storing) return this.#stores();
    this.#storingSince = 0;
    if (quarter <= this.#quarter || this.now() - this.#spokenAt < SPEAK_EVERY_MS) return;
    this.#quarter = quarter;
    this.say(put(words.sayPart, percent, what));
  }

  #stores() {
    if (this.#storingSince === 0) this.#storingSince = this.now();
    if (this.now() - this.#storingSince < STORING_LASTS_MS) return;
    this.#storingSince = Infinity;
    this.say(words.sayStoring);
  }
}

// ---- The bar ---------------------------------------------------------------------------------------------------

/** Texts change no more often, so that they can be read. */
const TEXTS_EVERY_MS = 1000;
/** Glyph of each state; colour and words say the same. @type {Record<State, string>} */
const GLYPHS = { waiting: "○", uploading: "", interrupted: "❙❙", paused: "❙❙", processing: "", done: "✓", error: "!", cancelled: "×" };

const STYLE = `
:host{display:block;--fill:var(--dumbwaiter-fill,#8F5310);--track:var(--dumbwaiter-track,#E9E4DA);--trail:var(--dumbwaiter-trail,#D9B98C);--edge:var(--dumbwaiter-edge,#857C6E);--ink:var(--dumbwaiter-ink,#1F1C18);--soft:var(--dumbwaiter-soft,#625B51);--ok:var(--dumbwaiter-ok,#2A6B45);--hold:var(--dumbwaiter-hold,#46586F);--err:var(--dumbwaiter-err,#B3261E);--focus:var(--dumbwaiter-focus,#0B57D0);color:var(--ink);font:16px/24px system-ui,sans-serif}
@media(prefers-color-scheme:dark){:host{--fill:var(--dumbwaiter-fill,#E3A857);--track:var(--dumbwaiter-track,#332E28);--trail:var(--dumbwaiter-trail,#735933);--edge:var(--dumbwaiter-edge,#8A8173);--ink:var(--dumbwaiter-ink,#F2EEE7);--soft:var(--dumbwaiter-soft,#B5ADA1);--ok:var(--dumbwaiter-ok,#7FCF9E);--hold:var(--dumbwaiter-hold,#A8B8CE);--err:var(--dumbwaiter-err,#FF8F85);--focus:var(--dumbwaiter-focus,#8AB4F8)}}
:host([hidden]),[hidden]{display:none!important}
p{display:flex;flex-wrap:wrap;gap:4px 12px;margin:0;align-items:baseline;justify-content:space-between}
[part=name]{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:pre}
[part=percent],[part=status]{font-variant-numeric:tabular-nums}
[part=status]{flex:1 1 12rem;font-size:14px;line-height:20px;color:var(--soft)}
[part=bar]{position:relative;height:8px;margin:6px 0;overflow:hidden;border-radius:4px;background:var(--track);outline:1px solid var(--edge);outline-offset:-1px}
i{position:absolute;inset-block:0;inset-inline-start:0;transition:width .2s linear}
[part=sent]{width:var(--sent,0%);background:repeating-linear-gradient(45deg,var(--trail) 0 3px,var(--track) 3px 6px)}
[part=kept]{width:var(--kept,0%);background:var(--fill)}
button{min-height:32px;padding:3px 12px;border:1px solid var(--edge);border-radius:8px;background:none;color:inherit;font:inherit;font-size:14px;cursor:pointer}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px}
code{font:12px/16px ui-monospace,monospace}
.done{--fill:var(--ok);--soft:var(--ok)}.error{--fill:var(--err);--soft:var(--err)}.interrupted{--fill:var(--hold);--soft:var(--hold)}.paused,.cancelled{--fill:var(--edge)}
.unseen{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media(any-pointer:coarse){button{min-height:44px;min-width:44px}}
@media(prefers-reduced-motion:reduce){i{transition:none}}
@media(forced-colors:active){[part=bar]{forced-color-adjust:none;background:Canvas;outline-color:CanvasText}[part=sent]{background:repeating-linear-gradient(45deg,CanvasText 0 1px,Canvas 1px 5px)}[part=kept]{background:CanvasText}}
`;

/** A page that is made on a server has no elements yet. */
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {}));

/** `<dumbwaiter-progress upload="ID">`: an upload's name, percent, bar, words and, where it is sent from here, its buttons. */
export class DumbwaiterProgress extends Base {
  static observedAttributes = ["upload", "server"];
  /** @type {Progress} */
  #progress = new Progress();
  #stop = () => {};
  #eta = new EtaWords();
  #drawnAt = -Infinity;
  #shown = "";
  /** @type {Record<string, HTMLElement>} */
  #parts = {};
  /** @type {Voice | null} */
  #voice = null;
  #draw = () => this.#paint();

  /** What is shown: an `Upload` sent from here, or whatever else makes progress. */
  get progress() {
    return this.#progress;
  }

  set progress(progress) {
    this.#progress.removeEventListener("change", this.#draw);
    this.#progress = progress;
    progress.addEventListener("change", this.#draw);
    this.#drawnAt = -Infinity;
    this.#paint();
  }

  connectedCallback() {
    this.#build();
    this.#watch();
    this.progress = this.#progress;
  }

  disconnectedCallback() {
    this.#stop();
    this.#progress.removeEventListener("change", this.#draw);
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#watch();
  }

  #watch() {
    this.#stop();
    const id = this.getAttribute("upload");
    if (!id) return;
    const progress = new Progress();
    const server = this.getAttribute("server");
    this.#stop = watch(id, (record, { live }) => progress.told(record, live), server ? { server: new URL(server, document.baseURI).href } : {});
    this.progress = progress;
  }

  #build() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const make = (/** @type {string} */ tag, /** @type {string} */ part, /** @type {HTMLElement[]} */ ...inner) => {
      const element = document.createElement(tag);
      element.setAttribute("part", part);
      element.append(...inner);
      return (this.#parts[part] = element);
    };
    const button = (/** @type {"pause" | "resume" | "cancel"} */ act) => {
      const one = make("button", `button ${act}`);
      one.setAttribute("type", "button");
      one.onclick = () => /** @type {Upload} */ (this.#progress)[act]();
      return one;
    };
    const box = make("div", "box",
      make("p", "line", make("span", "name"), make("span", "percent")),
      make("div", "bar", make("i", "sent"), make("i", "kept")),
      make("p", "line below", make("span", "status"), make("code", "code"), make("span", "acts", button("pause"), button("resume"), button("cancel"))));
    const [status, alert] = ["status", "alert"].map((role) => Object.assign(document.createElement("div"), { className: "unseen", role }));
    root.append(box, /** @type {Node} */ (status), /** @type {Node} */ (alert));
    for (const [name, value] of [["role", "progressbar"], ["aria-valuemin", "0"], ["aria-valuemax", "100"]]) this.#parts.bar?.setAttribute(/** @type {string} */ (name), /** @type {string} */ (value));
    this.#voice = new Voice(/** @type {HTMLElement} */ (status), /** @type {HTMLElement} */ (alert));
  }

  #paint() {
    const { box, bar, name, percent, status, code } = this.#parts;
    if (!box || !bar || !name || !percent || !status || !code) return;
    const progress = this.#progress;
    const { state, error } = progress;
    bar.style.setProperty("--kept", `${100 * progress.kept}%`);
    bar.style.setProperty("--sent", `${100 * (progress.ended ? progress.kept : progress.gone)}%`);
    const shown = `${state} ${progress.reason} ${progress.live}`;
    if (shown === this.#shown && performance.now() - this.#drawnAt < TEXTS_EVERY_MS) return;
    [this.#shown, this.#drawnAt] = [shown, performance.now()];
    box.className = state;
    this.setAttribute("state", state);
    name.textContent = progress.name;
    bar.setAttribute("aria-label", progress.name || "…");
    percent.textContent = state === "waiting" || state === "cancelled" ? "" : `${progress.percent}\u00a0%`;
    const said = statusWords(progress, this.#eta);
    status.textContent = [`${GLYPHS[state]} ${said.text}`.trim(), said.size, said.speed, said.left].filter(Boolean).join(" · ");
    code.textContent = error?.code ?? "";
    bar.setAttribute("aria-valuetext", said.spoken);
    if (state === "processing") bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", `${progress.percent}`);
    this.#offer();
    if (error && state === "error") this.#voice?.alert(`${progress.name}: ${said.text}`);
    this.#voice?.follow({ what: progress.name, percent: progress.percent, busy: !progress.ended, storing: state === "processing", ending: state === "done" ? put(words.sayDone, progress.name) : "" });
  }

  /** Shows the buttons that can do something. */
  #offer() {
    const progress = this.#progress;
    const { state, error } = progress;
    const own = progress instanceof Upload;
    const again = state === "cancelled" || (state === "error" && error !== null && canRetry(error));
    const shown = { pause: state === "uploading" || state === "interrupted", resume: state === "paused" || again, cancel: !progress.ended && state !== "processing" };
    for (const [act, can] of Object.entries(shown)) {
      const button = this.#parts[`button ${act}`];
      if (!button) continue;
      button.hidden = !own || !can;
      button.textContent = words[act === "resume" && again ? "retry" : /** @type {"pause" | "resume" | "cancel"} */ (act)];
      button.setAttribute("aria-label", `${button.textContent} ${progress.name}`);
    }
  }
}

globalThis.customElements?.define("dumbwaiter-progress", DumbwaiterProgress);

// ---- Forms -----------------------------------------------------------------------------------------------------

/** @typedef {Partial<Options> & {progress?: DumbwaiterProgress}} FormOptions `progress` is the bar to use; unless said, one in the form, or a new one at its end */

/**
 * Gives a form a bar: it is sent by script from now on, and then does what it would have done without.
 *
 * On the form, and bubbling from there: `dumbwaiter-start`, `dumbwaiter-done` and `dumbwaiter-error`. Whoever prevents the
 * default of one of the last two does himself what comes after. The same as the attribute `data-dumbwaiter`.
 * @param {HTMLFormElement} form @param {FormOptions} [options] @returns {() => void} undoes it
 */
export function enhance(form, options = {}) {
  const submit = (/** @type {SubmitEvent} */ event) => submitted(event, form, options);
  form.addEventListener("submit", submit);
  return () => form.removeEventListener("submit", submit);
}

/** @param {SubmitEvent} event @param {HTMLFormElement} form @param {FormOptions} options */
function submitted(event, form, options) {
  const { submitter } = event;
  const said = (/** @type {string} */ name) => submitter?.getAttribute(`form${name}`) ?? form.getAttribute(name) ?? "";
  if (event.defaultPrevented || said("method").toLowerCase() !== "post" || !["", "_self"].includes(said("target"))) return;
  event.preventDefault();
  const bar = options.progress ?? form.querySelector("dumbwaiter-progress") ?? form.appendChild(document.createElement("dumbwaiter-progress"));
  if (!(bar instanceof DumbwaiterProgress)) return;
  // Pressed twice.
  if (bar.progress instanceof Upload && !bar.progress.ended) return;
  const data = new FormData(form);
  if (submitter?.getAttribute("name")) data.append(submitter.getAttribute("name") ?? "", submitter.getAttribute("value") ?? "");
  const upload = new Upload(data, { ...options, action: new URL(said("action"), document.baseURI).href });
  bar.progress = upload;
  tell(form, "start", { upload });
  const next = `${data.get("next") ?? ""}`;
  upload.done.then((record) => arrived(form, upload, record, next), (error) => refused(form, upload, error));
}

/** Whether nobody prevented what comes after. @param {HTMLFormElement} form @param {string} what @param {object} detail */
function tell(form, what, detail) {
  return form.dispatchEvent(new CustomEvent(`dumbwaiter-${what}`, { bubbles: true, cancelable: true, detail }));
}

/** What a browser does with an answer. @param {HTMLFormElement} form @param {Upload} upload @param {UploadRecord} record @param {string} next */
function arrived(form, upload, record, next) {
  const { answer } = upload;
  if (!tell(form, "done", { upload, record, answer })) return;
  if (answer?.redirected) location.assign(answer.url);
  else if (answer && isPage(answer)) show(answer.body);
  // As the server itself does for a form without script: only to a path of this origin.
  else if (/^\/(?![/\\])/.test(next)) location.assign(next);
  else form.reset();
}

/** An app shows its form again with what is wrong in it; other refusals are told by the bar. @param {HTMLFormElement} form @param {Upload} upload @param {UploadError} error */
function refused(form, upload, error) {
  const { reply } = error;
  if (tell(form, "error", { upload, error }) && reply && reply.status < 500 && reply.status !== 413 && isPage(reply)) show(reply.body);
}

/** @param {Reply} reply */
function isPage({ body, field }) {
  return typeof body === "string" && /^text\/html/.test(field("Content-Type") ?? "");
}

/** Shows a page in the place of this one. Its scripts do not run; what listens to the document goes on. @param {string} text */
function show(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  document.title = page.title;
  document.body.replaceWith(page.body);
  scrollTo(0, 0);
}

globalThis.document?.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset.dumbwaiter === undefined) return;
  const server = form.dataset.dumbwaiter;
  submitted(event, form, server ? { server: new URL(server, document.baseURI).href } : {});
});
