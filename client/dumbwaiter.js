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
 * @property {string} [protocol]
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

/** The server's answer to a request. `body` is parsed where it is JSON, else text; a page that answers an enhanced form is in `page`. @typedef {{method: string, status: number, body: any, page: Document | null, url: string, redirected: boolean, field: (name: string) => string | null}} Reply */

/** An upload that ended badly, or cannot go on. `code` is stable, `message` is one line for people; the rest is for whoever asks why. */
export class UploadError extends Error {
  /**
   * @param {string} code the server's code, or `connection_lost`, `file_unreadable`, `foreign_answer`, `cancelled`, `http_STATUS`
   * @param {string} [message]
   * @param {Reply | null} reply
   * @param {number} status the answer's, or what the server says it would have been; 0 if there is none
   */
  constructor(code, message = code.replaceAll("_", " "), reply = null, status = reply?.status ?? 0) {
    super(message);
    this.name = "UploadError";
    this.code = code;
    this.reply = reply;
    this.status = status;
    /** Whether it was known before anything was sent. */
    this.early = false;
  }
}

/** @param {{code: string, message?: string, status: number}} error a record's */
function errorOf({ code, message, status }) {
  return new UploadError(code, message, null, status);
}

// ---- How far an upload has come --------------------------------------------------------------------------------

/** Bytes that the server has; what cannot be resumed counts as it comes. @param {UploadRecord | null} record */
function keptOf(record) {
  return record?.offset ?? record?.received ?? 0;
}

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
    return this.length ? Math.min(1, keptOf(this.record) / this.length) : 0;
  }

  /** The part that is on its way or there, from 0 to 1; never less than `kept`. */
  get gone() {
    return Math.max(this.kept, this.length ? Math.min(1, (this.record?.received ?? 0) / this.length) : 0);
  }

  /** How far the app's own step has come, from 0 to 1, where it tells. @returns {number | null} */
  get phase() {
    const { done, total } = (this.state === "processing" && this.record?.phase) || {};
    return total ? Math.min(1, (done ?? 0) / total) : null;
  }

  /** Whole percent of what the server has, or of the app's own step; at most 99 until done. */
  get percent() {
    return this.state === "done" ? 100 : Math.min(99, Math.floor(100 * (this.phase ?? (this.blind ? this.gone : this.kept))));
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
    if (this.ended) return;
    if (!record) {
      this.live = false;
      this.error = new UploadError("gone");
      return this.set("error", "");
    }
    const { error, state } = record;
    const fell = keptOf(record) < keptOf(this.record);
    this.know(record, live);
    if (error) this.error = errorOf(error);
    // What stood in the bar is lost, and is sent again.
    const reason = fell ? "restarted" : state === "starting" || state === "uploading" ? this.reason : "";
    this.set(error?.code === "cancelled" ? "cancelled" : state === "starting" ? "waiting" : state, error ? "" : reason);
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
/** An answer should follow its record's end so soon; then the record stands for it. */
const ANSWER_MS = 3000;
/** After so long without a byte a line is silent. A slow one lets some through in that time. */
const SILENT_MS = 5000;
/** So long the server has to begin to tell; then what was sent is shown in its place. */
const BLIND_MS = 3000;
/** How often an upload begins anew that the server forgot. */
const LOST_MOST = 3;
/** Bytes in a request that says their checksum: they are read into memory, and none is kept of one that is cut. */
const CHECKED_BYTES = 4 << 20;
/** Codes that say that a line broke and nothing was kept, or that it has to be asked anew where to go on. */
const BROKEN = ["client_gone", "stalled", "truncated_form", "digest_mismatch", "restarted"];
/** The answers after which the same may succeed later (RFC 9110, 15.5 and 15.6; RFC 6585, 4). */
const PASSING = [408, 425, 429, 502, 503, 504];
/** Those after which is asked where to go on: gone, at another place, locked by an older request, hurt on the way. */
const ASKING = [404, 409, 410, 423, 460];
/** A server on this machine is there without any network. */
const LOOPBACK = /^((.*\.)?localhost|127\.[\d.]+|\[::1])$/;
/** An app is asked for what a form asks for; of what is equally liked, Dumbwaiter itself gives JSON. */
const ACCEPT = "text/html,application/json,application/problem+json,*/*;q=.8";
/** Asks to be told where the app redirects to (docs/hand-off.md). */
const BROWSED = "Dumbwaiter-Redirect";
const TUS = { "Tus-Resumable": "1.0.0" };

/** A file or a whole form on its way up. Made by `upload`. */
export class Upload extends Progress {
  /** The name under which the server tells of it before it has an id; each try by form has its own. */
  progressId = randomId();
  /** Bytes of the body that the browser has handed to the network, or that were kept before. */
  sent = 0;
  /** The server's answer to the last request. @type {Reply | null} */
  answer = null;
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
  /** Bytes of the body, as far as they are known. */
  #total = 0;
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
  /** Whether the server has seen bytes of this try: what it said before is of an older one. */
  #seen = false;
  /** Whether it was begun, and nobody said how that ended. */
  #doubt = false;
  /** When the present try began. */
  #begun = 0;
  /** Under which name it is noted for other pages of this origin; empty if it is not. */
  #note = "";

  /** @param {File | FormData} what @param {Partial<Options> & {action?: string, browse?: boolean}} options `browse`: the answer is one for the browser to show */
  constructor(what, options = {}) {
    super();
    const all = { ...defaults, ...options };
    /** @type {Options & {action: string, browse?: boolean}} */
    this.options = { ...all, server: absolute(all.server), action: absolute(options.action ?? `${all.server}upload`) };
    this.what = what;
    /** @type {File[]} */
    this.files = what instanceof File ? [what] : [.../** @type {Iterable<any>} */ (what.values())].filter(({ name }) => name);
    const [file] = this.files;
    if (what instanceof File && (all.checksum || what.size >= all.resumable)) {
      this.#total = what.size;
      if (all.remember) this.#note = noteOf(what, this.options);
    } else this.#way = "form";
    const reason = file && what === file && all.refuse(file);
    if (reason) this.#fail(Object.assign(new UploadError(reason.code, reason.message), { early: true }));
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
    return this.#total || super.length;
  }

  get kept() {
    return this.state === "done" ? 1 : Math.max(super.kept, this.#total ? this.#offset / this.#total : 0);
  }

  get gone() {
    // What was on its way when it stopped is not any more.
    return this.running && this.#total ? Math.max(this.kept, this.sent / this.#total) : this.kept;
  }

  get blind() {
    return !this.live && this.state === "uploading" && performance.now() - this.#begun >= BLIND_MS;
  }

  get stale() {
    return false;
  }

  get silent() {
    return this.state === "uploading" && !(this.whole && this.blind) && performance.now() - this.#moved >= SILENT_MS;
  }

  get whole() {
    return this.#total > 0 && this.sent >= this.#total;
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
    if (this.#over || this.state === "paused") return;
    this.#stop();
    this.#release(true);
    this.set("paused", "");
  }

  /** Goes on where it stood: after `pause`, after it failed or was cancelled; at once while it waits to try again. */
  resume() {
    if (this.#turn) return this.#hurry();
    if (this.state === "done") return;
    if (this.ended) {
      this.#outcome = deferred();
      if (!this.#url) {
        this.know(null, false);
        this.#offset = 0;
      }
    }
    // How a form ended is known, so that nobody has to look for it before it is sent again.
    const { error } = this;
    if (error?.status && this.#way === "form") [this.sent, this.progressId] = [0, randomId()];
    this.error = this.answer = null;
    notes.change(this.#note, { paused: false });
    this.#adopt();
    this.#turn = new AbortController();
    this.set("waiting", "");
    this.#run(this.#turn.signal);
  }

  /** Gives it up. What the server has of it is thrown away there, unless it has it whole by then. */
  cancel() {
    if (this.#over) return;
    this.#stop();
    this.#outcome.reject(new UploadError("cancelled"));
    this.set("cancelled", "");
    this.#remove();
  }

  get #over() {
    return this.ended || this.state === "processing";
  }

  /** @param {UploadRecord | null} record @param {boolean} [live] */
  told(record, live = true) {
    if (!this.#turn) return;
    // It was there, and is no more: how it ended is not known.
    if (!record) return void (this.record && this.#word.reject(new UploadError("connection_lost")));
    const { state, error, received } = record;
    if (received !== this.record?.received) this.#moved = performance.now();
    this.know(record, live);
    if (state === "done" || error) this.#word.resolve(record);
    this.#seen ||= state === "uploading";
    // All of it is on its way, and the server has given up waiting: the line is dead.
    if (state === "interrupted" && this.whole && this.#seen) this.#cut();
    this.set(state === "processing" && this.running ? state : this.state);
  }

  /** Tries until it is there, refused, or nothing has moved for too long. @param {AbortSignal} signal */
  async #run(signal) {
    const leave = await enter(this, signal);
    for (let [failed, since, kept] = [0, Date.now(), 0]; !signal.aborted; failed += 1) {
      try {
        this.#seen = false;
        this.#moved = this.#begun = performance.now();
        if (this.#offline) throw new UploadError("connection_lost");
        // After a break it goes on when bytes move, not with each try.
        if (!this.reason) this.set("uploading");
        const record = await this.#attempt(signal);
        if (!signal.aborted) this.#succeed(record);
        break;
      } catch (fault) {
        if (signal.aborted) break;
        // A try of some length has moved bytes: else it had been cut.
        if (this.#offset > kept || performance.now() - this.#begun > 2 * DEAD_MS) [failed, since, kept] = [0, Date.now(), this.#offset];
        const error = fault instanceof UploadError ? fault : await this.#broken();
        if (!this.#passes(error) || Date.now() - since > this.options.retryFor) {
          this.#fail(error);
          break;
        }
        this.live = false;
        this.set(this.#url || this.sent > 0 ? "interrupted" : "waiting", this.#offline ? "offline" : error.code);
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
    if (this.whole) {
      // The answer may be lost, and not what was sent: never twice.
      const record = await this.#find();
      if (!record) throw new UploadError("connection_lost", undefined, null, 404);
      if (!BROKEN.includes(record.error?.code ?? "")) return this.#settled(record);
    }
    if (this.sent > 0) [this.progressId, this.reason] = [randomId(), "restarted"];
    const { server, action, field, fields, browse } = this.options;
    // By hand: `searchParams` would write all of them anew, and what an app has signed would not be valid any more.
    const url = new URL(action);
    const others = url.search.slice(1).split("&").filter((part) => part && !part.startsWith("X-Progress-ID="));
    url.search = [...others, `X-Progress-ID=${this.progressId}`].join("&");
    this.#total = this.sent = 0;
    this.know(null, false);
    this.#follow();
    const form = this.what instanceof File ? formOf({ ...fields, [field]: this.what }) : this.what;
    const reply = await this.#carry("POST", url.href, browse ? { [BROWSED]: "?1" } : {}, form, signal);
    // A network's login page, or a proxy's, answers 200 to everything, and has nothing of the file.
    if (reply && action === `${server}upload` && !reply.body?.state) throw new UploadError("foreign_answer", undefined, reply);
    return this.#recordOf(reply);
  }

  /** Begins an upload that can be resumed, goes on with an earlier one, or finds out that this server has none. @param {AbortSignal} signal */
  async #begin(signal) {
    const { name, type, size } = /** @type {File} */ (this.what);
    if (this.#adopt()) return;
    // The answer that told its name was lost: no second one is begun.
    const begun = this.#doubt ? await this.#find() : null;
    if (begun?.id && !begun.error) return void ([this.#url, this.#way] = [absolute(`${this.options.server}files/${begun.id}`), begun.protocol === "tus" ? "tus" : "ietf"]);
    const said = Object.entries({ filename: name, filetype: type, ...this.options.fields }).filter(([, value]) => value);
    const metadata = said.map(([key, value]) => `${key} ${base64(new TextEncoder().encode(value))}`).join();
    const about = { "Upload-Length": `${size}`, "Upload-Metadata": metadata, "X-Progress-ID": this.progressId };
    // Not called back: what is begun on the server has to be known here, to be ended there.
    const begin = (/** @type {Record<string, string>} */ fields) => this.#ask("POST", `${this.options.server}files/`, { ...about, ...fields });
    let reply = await begin({ "Upload-Complete": "?0", "Content-Type": type || "application/octet-stream" }).catch((fault) => {
      this.#doubt = true;
      throw fault;
    });
    this.#doubt = false;
    this.#way = "ietf";
    if (reply.status === 412 || reply.field("Tus-Resumable")) {
      this.#way = "tus";
      reply = await begin(TUS);
    }
    const location = reply.field("Location");
    if ([404, 405, 501].includes(reply.status)) this.#way = "form";
    else if (reply.status !== 201 || !location) throw refusal(reply);
    else {
      const url = new URL(location, reply.url).href;
      // Stopped meanwhile, or begun by another page too: nothing is in it.
      if (signal.aborted || this.#adopt()) return this.#end(url);
      this.#url = url;
      this.#limit(reply);
      this.#offset = this.sent = 0;
      this.#fresh = true;
      notes.all();
      this.#hold();
    }
  }

  /** Learns how much one request may carry. @param {Reply} reply */
  #limit(reply) {
    this.#most = Number(/max-append-size=(\d+)/.exec(reply.field("Upload-Limit") ?? "")?.[1] ?? Infinity);
  }

  /** Sends what is missing. @param {AbortSignal} signal */
  async #append(signal) {
    const file = /** @type {File} */ (this.what);
    let complete = !this.#fresh && (await this.#where(signal));
    this.#fresh = false;
    this.#follow();
    const beat = setInterval(() => this.#beat(), BEAT_MS);
    /** @type {Reply | null} */
    let reply = null;
    try {
      while (!complete) {
        const end = Math.min(file.size, this.#offset + this.#most, this.#offset + (this.options.checksum ? CHECKED_BYTES : Infinity));
        const ietf = { "Content-Type": "application/partial-upload", "Upload-Complete": end === file.size ? "?1" : "?0" };
        const how = this.#way === "tus" ? { "Content-Type": "application/offset+octet-stream", ...TUS } : ietf;
        reply = await this.#carry("PATCH", this.#url, { "Upload-Offset": `${this.#offset}`, ...how }, file.slice(this.#offset, end), signal);
        // What says nothing of the upload is somebody else's: a network's login page.
        if (reply && !reply.field("Upload-Offset") && !reply.field("Upload-Complete")) throw new UploadError("foreign_answer", undefined, reply);
        // A server may keep less than it was sent, but not always nothing.
        const kept = Number(reply?.field("Upload-Offset") ?? end);
        complete = !reply || kept === file.size;
        if (!complete && !(kept > this.#offset)) throw refusal(/** @type {Reply} */ (reply));
        this.#offset = kept;
      }
    } finally {
      clearInterval(beat);
    }
    return this.#recordOf(reply);
  }

  /** Asks how much is kept, and whether that is all. @param {AbortSignal} signal */
  async #where(signal) {
    const tus = this.#way === "tus";
    const reply = await this.#ask("HEAD", this.#url, tus ? TUS : {}, null, signal);
    const offset = reply.field("Upload-Offset");
    if ((reply.status === 404 || reply.status === 410) && (await this.#unknown(reply))) return true;
    if (offset === null) throw refusal(reply);
    this.#limit(reply);
    this.#offset = this.sent = Number(offset);
    this.#hold();
    return tus ? this.#offset === this.#total : reply.field("Upload-Complete") === "?1";
  }

  /** The server knows nothing of it any more: it begins anew, unless its record says how it ended. Gives whether it is done. @param {Reply} reply */
  async #unknown(reply) {
    const record = await this.#find();
    if (record?.state === "done") return true;
    this.#forget();
    this.#url = this.#way = null;
    // What ended before this page knew of it is no answer to a file that is chosen now.
    if (this.record && record?.error && record.error.code !== "expired") throw errorOf(record.error);
    this.know(null, false);
    this.#lost += 1;
    this.reason = "restarted";
    this.#offset = this.sent = 0;
    throw this.#lost < LOST_MOST ? new UploadError("restarted") : refusal(reply);
  }

  /** Follows an upload that another page sends, until that one lets go of it; the record if it came to its end. @param {AbortSignal} signal */
  async #elsewhere(signal) {
    for (let followed = ""; ; ) {
      const noted = this.#adopt();
      if (followed && noted?.paused) this.pause();
      signal.throwIfAborted();
      if (!isHeld(noted) || noted?.holder === this.progressId) {
        const record = followed ? await this.#find().catch(() => null) : null;
        return record?.error || record?.state === "done" ? this.#settled(record) : null;
      }
      // The other page may have had to begin it anew.
      if (followed !== this.#url) this.#follow();
      followed = /** @type {string} */ (this.#url);
      if (this.state !== "processing") this.set("uploading", "elsewhere");
      const record = await Promise.race([sleep(BEAT_MS, signal), this.#word.promise]);
      if (record) return this.#settled(record);
    }
  }

  /** Takes up what is noted of it. */
  #adopt() {
    const noted = notes.get(this.#note);
    if (noted) [this.#url, this.#way] = [noted.url, noted.way];
    return noted;
  }

  /** Says to other pages that this one sends it, unless one of them has paused it. */
  #beat() {
    const noted = notes.get(this.#note);
    if (noted?.paused) this.pause();
    else if (!noted || Date.now() - noted.at >= BEAT_MS) this.#hold();
  }

  #hold() {
    const { name, size, lastModified } = /** @type {File} */ (this.what);
    const { server } = this.options;
    if (this.#url && this.#way) notes.set(this.#note, { url: this.#url, way: this.#way, server, name, size, lastModified, kept: Math.round(this.kept * this.#total), at: Date.now(), holder: this.progressId, paused: false });
  }

  /** Says that no page sends it now. @param {boolean} paused */
  #release(paused) {
    notes.change(this.#note, { paused, kept: Math.round(this.kept * this.#total), at: Date.now() - LEASE_MS });
  }

  #forget() {
    if (notes.get(this.#note)?.url === this.#url) notes.set(this.#note, null);
  }

  /** Ends it on the server too. */
  #remove() {
    this.#forget();
    if (this.#url) {
      this.#end(this.#url);
      this.#url = this.#way = null;
    }
    this.know(null, false);
    this.#offset = this.sent = 0;
  }

  /** @param {string} url */
  #end(url) {
    this.#ask("DELETE", url, this.#way === "tus" ? TUS : {}).catch(() => {});
  }

  /** What the server knows of it; rejected when it does not answer. @returns {Promise<UploadRecord | null>} */
  async #find() {
    const reply = await this.#ask("GET", `${this.options.server}uploads?${this.#watched}`, {});
    if (PASSING.includes(reply.status)) throw refusal(reply);
    return reply.body?.[0]?.state ? reply.body[0] : null;
  }

  /** The name under which the server tells of it. */
  get #watched() {
    return this.#url ? `id=${this.#url.split("/").pop()}` : `X-Progress-ID=${this.progressId}`;
  }

  /** The record behind a last answer, which may be the app's own; the barest, where a server keeps none. @param {Reply | null} reply */
  async #recordOf(reply) {
    const own = "received" in Object(reply?.body) ? reply?.body : await this.#find().catch(() => null);
    return own || this.record ? this.#settled(own ?? this.record) : { ...NO_RECORD, files: this.files.map(({ name }) => ({ name, url: null })) };
  }

  /** The record once the server is done with the upload. @param {UploadRecord} record @returns {Promise<UploadRecord>} */
  async #settled(record) {
    this.told(record);
    const last = record.state === "done" || record.error ? record : await this.#word.promise;
    if (last.error) throw errorOf(last.error);
    return last;
  }

  /**
   * Sends bytes, and tells how many are gone. `null` when the server's record has ended and no answer comes.
   * @param {string} method @param {string | null} url @param {Record<string, string>} fields @param {Blob | FormData} body @param {AbortSignal} signal
   */
  async #carry(method, url, fields, body, signal) {
    const stop = new AbortController();
    const cut = (this.#cut = () => stop.abort());
    const from = this.#offset;
    const onprogress = (/** @type {ProgressEvent} */ { loaded, total }) => {
      if (signal.aborted) return;
      if (!this.live) this.#moved = performance.now();
      if (this.#way === "form") this.#total = total;
      this.sent = from + loaded;
      // A hidden page's clock may tick once a minute, but its bytes tell in time.
      if (this.#url) this.#beat();
      if (!signal.aborted) this.set(this.state === "processing" ? this.state : "uploading", this.reason === "restarted" ? this.reason : "");
    };
    // Of what is there whole the server tells; where it does not, it is asked, but for a form, which may take its time.
    const dead = setInterval(() => performance.now() - this.#moved > DEAD_MS && !(this.whole && (this.live || !this.#url)) && cut(), 1000);
    this.#word.promise.then(() => sleep(ANSWER_MS)).then(() => stop.abort(2), cut);
    signal.addEventListener("abort", cut);
    // What can go on need not wait until a dead line shows that it is one.
    if (this.#url) addEventListener("offline", () => this.#offline && cut(), stop);
    addEventListener("pagehide", () => this.#release(false), stop);
    try {
      const digest = this.options.checksum && body instanceof Blob ? await digestOf(body, this.#way) : {};
      const reply = await this.#ask(method, url, { ...fields, ...digest }, body, stop.signal, onprogress);
      // What says for sure that nothing was taken.
      if ([429, 503].includes(reply.status)) this.sent = from;
      if (reply.status >= 400) throw refusal(reply);
      return (this.answer = reply);
    } catch (fault) {
      // How it ended is known, though not in the words of the answer.
      if (!(fault instanceof UploadError) && (this.record?.state === "done" || this.record?.error)) return null;
      throw fault;
    } finally {
      clearInterval(dead);
      signal.removeEventListener("abort", cut);
      cut();
    }
  }

  /** One request. @param {string} method @param {string | null} url @param {Record<string, string>} fields @param {Blob | FormData | null} [body] @param {AbortSignal} [signal] @param {(event: ProgressEvent) => void} [onprogress] */
  async #ask(method, url, fields, body, signal, onprogress) {
    return request(method, url ?? "", { ...(await rightsOf(this.options)), ...fields }, this.options.credentials, body, signal, onprogress);
  }

  /** Browsers report a cut line and an unreadable file alike. */
  async #broken() {
    const readable = await Promise.all(this.files.map((file) => file.slice(0, 1).arrayBuffer())).then(() => true, () => false);
    return new UploadError(readable ? "connection_lost" : "file_unreadable");
  }

  /** Whether another try may help, and can do no harm. @param {UploadError} error */
  #passes({ code, status, reply }) {
    if (BROKEN.includes(code) || (code === "superseded" && this.#note)) return true;
    // What the app, or the record, says of all of it is its end.
    if (code === "app_refused" || (status && !reply)) return false;
    if (this.#url && ASKING.includes(status)) return true;
    if (status ? !PASSING.includes(status) : !["connection_lost", "no_ticket"].includes(code)) return false;
    // Of a form that was sent whole the record is asked for; who passed it on may not know.
    return this.#way !== "form" || !this.whole || !status;
  }

  get #offline() {
    return isOffline(this.options.server);
  }

  /** Waits for the next try. @param {number} failed @param {UploadError} error @param {AbortSignal} signal */
  #rest(failed, { code, reply }, signal) {
    // Seconds, or a date (RFC 9110, 10.2.3).
    const after = reply?.field("Retry-After") ?? 0;
    const asked = Math.min(this.options.retryFor, 1000 * Number(after) || Date.parse(`${after}`) - Date.now() || 0);
    const wait = code === "restarted" ? 0 : Math.max(asked, Math.min(WAIT_MOST_MS, (code === "superseded" ? BEAT_MS : WAIT_FIRST_MS) * 2 ** failed) * (1 + Math.random() / 4));
    const turn = new AbortController();
    const end = (this.#hurry = () => turn.abort());
    signal.addEventListener("abort", end, turn);
    return sleep(this.#offline ? WAIT_MOST_MS : wait, turn.signal).then(end);
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
    // What has ended on the server is not gone on with: who sends the file again begins anew.
    if (this.#url && (this.record?.error || error.code === "app_refused")) {
      this.#forget();
      this.#url = this.#way = null;
    }
    this.error = error;
    this.#outcome.reject(error);
    // Another tab, or the app, has given it up.
    this.set(error.code === "cancelled" ? "cancelled" : "error", "");
  }

  #stop() {
    this.#turn?.abort();
    this.#turn = null;
    this.#unfollow();
    this.live = false;
  }
}

/** Whether the browser knows that it cannot reach the server. @param {string} [server] */
export function isOffline(server = defaults.server) {
  return !navigator.onLine && !LOOPBACK.test(new URL(server, document.baseURI).hostname);
}

/** Sends a file, or a whole form; it begins when its turn comes. @param {File | FormData} what @param {Partial<Options> & {action?: string}} [options] `action` is where a form goes */
export function upload(what, options) {
  return new Upload(what, options);
}

/** What is known of an upload to a server that keeps no records. @type {UploadRecord} */
const NO_RECORD = { progress_id: null, state: "done", length: null, received: 0, offset: null, rate: null, eta: null, phase: null, error: null };

/** @param {string} url */
function absolute(url) {
  return new URL(url, document.baseURI).href;
}

/** @param {Record<string, string | File>} fields */
function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

/** The SHA-256 of a request's bytes as a field; nothing over plain http, where browsers make none. @param {Blob} body @param {Way | null} way @returns {Promise<Record<string, string>>} */
async function digestOf(body, way) {
  if (!crypto.subtle) return {};
  const digest = base64(new Uint8Array(await crypto.subtle.digest("SHA-256", await body.arrayBuffer())));
  return way === "tus" ? { "Upload-Checksum": `sha256 ${digest}` } : { "Content-Digest": `sha-256=:${digest}:` };
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/** 128 random bits in hex. (`crypto.randomUUID` is missing on plain http.) */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A promise with its ends; nobody has to listen to it. @returns {{promise: Promise<any>, resolve: (value: any) => void, reject: (error: Error) => void}} */
function deferred() {
  const ends = Promise.withResolvers();
  ends.promise.catch(() => {});
  return ends;
}

/** The caller's own fields, and the ticket. @param {Options} options */
async function rightsOf({ headers, ticket }) {
  const text = typeof ticket === "function" ? await Promise.resolve().then(ticket).catch(noTicket) : ticket;
  return text ? { ...headers, Authorization: `Bearer ${text}` } : headers;
}

/** A page that cannot get a ticket now may later; where not, it throws an `UploadError`. @param {unknown} fault @returns {never} */
function noTicket(fault) {
  throw fault instanceof UploadError ? fault : new UploadError("no_ticket", String(fault));
}

/** One request; rejected only when no answer comes. @param {string} method @param {string} url @param {Record<string, string>} fields @param {boolean} credentials
 * @param {Blob | FormData | null} [body] @param {AbortSignal} [signal] @param {(event: ProgressEvent) => void} [onprogress] @returns {Promise<Reply>} */
function request(method, url, fields, credentials, body, signal, onprogress) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.withCredentials = credentials;
    for (const [name, value] of Object.entries({ Accept: ACCEPT, ...fields })) xhr.setRequestHeader(name, value);
    if (onprogress) xhr.upload.onprogress = onprogress;
    // A page that is to be shown is parsed by the browser, which knows its charset; under Trusted Types no script may.
    xhr.onreadystatechange = () => xhr.readyState === 2 && BROWSED in fields && /^text\/html/i.test(xhr.getResponseHeader("Content-Type") ?? "") && (xhr.responseType = "document");
    xhr.onload = () => resolve({ method, status: xhr.status, body: xhr.responseType ? "" : parsed(xhr.responseText), page: xhr.responseType ? xhr.responseXML : null, url: xhr.responseURL, redirected: xhr.responseURL !== url, field: (name) => xhr.getResponseHeader(name) });
    xhr.onerror = xhr.onabort = xhr.ontimeout = reject;
    if (!body) xhr.timeout = DEAD_MS;
    // Up to the state that the reason names: an answer that has begun may be the page to show. One that has ended would lose its fields.
    const abort = () => xhr.readyState < (+signal?.reason || 4) && xhr.abort();
    signal?.addEventListener("abort", abort);
    xhr.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.aborted ? reject() : xhr.send(body);
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

/** @param {Reply} reply */
function refusal(reply) {
  const whole = reply.field("Upload-Complete") === "?1";
  const { code = whole ? "app_refused" : `http_${reply.status}`, detail } = Object(reply.body);
  return new UploadError(code, detail, reply);
}

// ---- In turn ---------------------------------------------------------------------------------------------------

/** A turn of an upload. @typedef {{upload: Upload, start: () => void}} Turn */

/** Those that are sent or try to be. @type {Set<Turn>} */
const sending = new Set();
/** Those that wait for their turn, in order. @type {Set<Turn>} */
const waiting = new Set();

/** Waits for a place; gives what frees it. @param {Upload} upload @param {AbortSignal} signal @returns {Promise<() => void>} */
function enter(upload, signal) {
  return new Promise((resolve) => {
    const leave = () => {
      sending.delete(own);
      waiting.delete(own);
      turn();
    };
    const own = { upload, start: () => resolve(leave) };
    signal.addEventListener("abort", () => (leave(), own.start()));
    waiting.add(own);
    // The caller gets to know an upload before its first change is told.
    queueMicrotask(turn);
  });
}

/** Lets those begin for which there is room. */
function turn() {
  for (const first of waiting) {
    if (sending.size >= first.upload.options.atOnce) break;
    waiting.delete(first);
    sending.add(first);
    first.start();
  }
  removeEventListener("beforeunload", ask);
  if (sending.size + waiting.size) addEventListener("beforeunload", ask);
}

/** Those that wait to try again do so as soon as there is a network. */
globalThis.addEventListener?.("online", () => sending.forEach(({ upload }) => upload.resume()));

/** Leaving would cut what is under way, so the browser asks. @param {BeforeUnloadEvent} event */
function ask(event) {
  event.preventDefault();
}

// ---- Over reloads and tabs -------------------------------------------------------------------------------------

/** How often the page that sends an upload says so to others … */
const BEAT_MS = 2000;
/** … and how long it is believed. To take over from one that still sends does no harm: it then follows. */
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
  /** @param {string} key empty for none @returns {Noted | null} */
  get(key) {
    try {
      const noted = JSON.parse(localStorage.getItem(key) ?? "");
      return typeof noted?.url === "string" ? noted : null;
    } catch {
      return null;
    }
  },

  /** @param {string} key @param {Noted | null} noted */
  set(key, noted) {
    try {
      key && noted ? localStorage.setItem(key, JSON.stringify(noted)) : localStorage.removeItem(key);
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

/** Whether a page says that it sends it. A clock may have been set back. @param {Noted | null} noted */
function isHeld(noted) {
  return !!noted && Math.abs(Date.now() - noted.at) < LEASE_MS;
}

/** Uploads that were begun here and are not sent now: `upload` goes on with one when its file is chosen again. @param {string} [server] */
export function unfinished(server = defaults.server) {
  const rest = notes.all().filter(([, noted]) => noted.server === absolute(server) && !isHeld(noted));
  return rest.map(([key, noted]) => ({ key, ...noted }));
}

/** Gives up an upload of `unfinished`, here and on the server. @param {{key: string, url: string, way: Way}} noted @param {Partial<Options>} [options] */
export async function forget({ key, url, way }, options = {}) {
  notes.set(key, null);
  const all = { ...defaults, ...options };
  await request("DELETE", url, { ...(await rightsOf(all)), ...(way === "tus" ? TUS : {}) }, all.credentials).catch(() => {});
}

// ---- Watching --------------------------------------------------------------------------------------------------

/** Names that join are gathered so long before the server is asked anew. */
const GATHER_MS = 100;
/** A stream speaks at once: one that says nothing for so long is held back by a proxy … */
const FIRST_MS = 5000;
/** … and then at least every 15 s (`--watch-comment`): after so long it is dead, or the machine has slept. */
const DUMB_MS = 20_000;
/** For so long is polled after a stream that was refused, held back or broken. */
const POOR_MS = 30_000;
/** How often is polled; of a page that nobody sees more seldom. */
const POLL_MS = 1000;
const HIDDEN_MS = 5000;
const POLL_MOST_MS = 10_000;
/** Most names in one request (`--max-watched`). */
const NAMES_MOST = 100;

/** @typedef {{name: string, live: boolean}} About the name as it was asked for, and whether the server tells of it now */
/** @typedef {(record: UploadRecord | null, about: About) => void} Listener `null` when the server knows nothing of it any more */
/** @typedef {Partial<Pick<Options, "server" | "headers" | "ticket" | "credentials">>} WatchOptions */

/** What is known under a name, and who wants to know it. @typedef {{record: UploadRecord | null, since: number, tells: Set<(record: UploadRecord | null, live: boolean) => void>}} Watched */

/** Names that are watched at one server with the same rights. */
class Group {
  /** @type {Map<string, Watched>} */
  names = new Map();
  #turn = new AbortController();
  /** Whether a request has no answer yet: it is not given up for a name that joins, or slow lines would never bring one. */
  #asking = false;
  #joined = false;
  #poorUntil = 0;

  /** @param {Options} options @param {string | symbol} key */
  constructor(options, key) {
    this.options = options;
    this.key = key;
    groups.add(this);
    this.#run();
  }

  /** @param {string} name @param {(record: UploadRecord | null, live: boolean) => void} tell */
  add(name, tell) {
    const watched = this.names.get(name) ?? { record: null, since: Date.now(), tells: new Set() };
    this.names.set(name, watched);
    watched.tells.add(tell);
    this.#joined = true;
    if (!this.#asking) this.anew();
    return () => {
      watched.tells.delete(tell);
      if (!watched.tells.size && this.names.get(name) === watched) this.#drop(name);
    };
  }

  /** @param {string} name */
  #drop(name) {
    this.names.delete(name);
    if (!this.names.size) this.anew();
  }

  /** Asks anew: names have joined, or what was open may be dead. */
  anew() {
    this.#turn.abort();
  }

  async #run() {
    for (let failed = 0; ; ) {
      await sleep(GATHER_MS);
      if (!this.names.size) break;
      const { signal } = (this.#turn = new AbortController());
      this.#joined = !(this.#asking = true);
      const first = [...groups].find(({ options }) => options.server === this.options.server);
      const polls = this !== first || document.hidden || Date.now() < this.#poorUntil;
      const told = await this.#ask(polls, this.#turn).catch(() => false);
      this.#asking = false;
      // Not if it was given up for its silence.
      if (signal.reason) continue;
      if (!polls) this.#poorUntil = Date.now() + POOR_MS;
      failed = told ? 0 : failed + 1;
      if (failed) for (const [name, { record }] of this.names) if (record) this.#tell(name, record, false);
      await sleep(Math.min(POLL_MOST_MS, (document.hidden ? HIDDEN_MS : POLL_MS) * 2 ** failed) * (1 + Math.random() / 4), signal);
    }
    groups.delete(this);
  }

  /** Polls once, or follows the stream to its end. A browser opens six connections to a server of HTTP/1.1: only one group, of a page that is seen, takes one for good. @param {boolean} polls @param {AbortController} turn */
  async #ask(polls, turn) {
    const { server, credentials } = this.options;
    let [heardAt, patience] = [Date.now(), polls ? DUMB_MS : FIRST_MS];
    // By the clock on the wall, which goes on while the machine sleeps.
    const look = setInterval(() => Date.now() - heardAt < patience || turn.abort(0), 1000);
    const asked = [...this.names];
    try {
      const answer = await fetch(`${server}uploads?${asked.map(([name]) => name).join("&")}`, {
        // A ticket may be waited for in vain, too.
        headers: { ...(await Promise.race([rightsOf(this.options), /** @type {Promise<undefined>} */ (sleep(DUMB_MS, turn.signal))])), Accept: polls ? "application/json" : "text/event-stream" },
        signal: turn.signal, cache: "no-store", credentials: credentials ? "include" : "same-origin",
      });
      if (polls) return answer.ok && this.#list(asked, await answer.json());
      const reader = /** @type {ReadableStream<Uint8Array>} */ (/^text\/event-stream/.test(answer.headers.get("Content-Type") ?? "") && answer.body).getReader();
      const decoder = new TextDecoder();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) return true;
        [heardAt, patience, this.#asking] = [Date.now(), DUMB_MS, false];
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.startsWith("data:")) this.#event(asked, JSON.parse(line.slice(5)));
        if (this.#joined) this.anew();
      }
    } finally {
      clearInterval(look);
    }
  }

  /** @param {[string, Watched][]} asked @param {UploadRecord} record of one that is gone there is its name alone */
  #event(asked, record) {
    for (const [name] of asked) {
      const value = decodeURIComponent(name.slice(name.indexOf("=") + 1));
      if ((name.startsWith("id=") ? [record.id, record.watch] : [record.progress_id]).includes(value)) this.#tell(name, record.state ? record : null);
    }
  }

  /** @param {[string, Watched][]} asked @param {(UploadRecord | null)[]} records in the same order */
  #list(asked, records) {
    for (const [at, [name, { record, since }]] of asked.entries()) {
      const told = records[at];
      // One that was never seen may be yet to come, as long as a stream waits for it (`--watch-wait`).
      if (told || (told === null && (record || Date.now() - since > 60_000))) this.#tell(name, told);
    }
    return true;
  }

  /** @param {string} name @param {UploadRecord | null} record */
  #tell(name, record, live = true) {
    const watched = this.names.get(name);
    if (!watched) return;
    watched.record = record;
    // Nothing more will come.
    if (!record || record.state === "done" || record.error) this.#drop(name);
    // Each by itself, so that one that throws stops nobody else's.
    for (const tell of watched.tells) queueMicrotask(() => watched.tells.has(tell) && tell(record, live));
  }
}

/** @type {Set<Group>} */
const groups = new Set();

/** What is open may have died while the page slept, and a page that is hidden gives its stream back. */
for (const event of ["visibilitychange", "online"]) globalThis.addEventListener?.(event, () => groups.forEach((group) => group.anew()), true);

/**
 * Follows uploads, with one event stream for all; the caller's own function gets each record.
 * @param {string | string[]} names ids, watch names, or `X-Progress-ID=…` @param {Listener} listener @param {WatchOptions} [options]
 * @returns {() => void} stops it
 */
export function watch(names, listener, options = {}) {
  const all = { ...defaults, ...options };
  all.server = absolute(all.server);
  // A function may give each its own ticket.
  const key = typeof all.ticket === "function" ? Symbol() : JSON.stringify([all.server, all.headers, all.credentials, all.ticket]);
  const stops = [names].flat().map((name) => {
    const asked = name.includes("=") ? name : `id=${encodeURIComponent(name)}`;
    const group = [...groups].find((one) => one.key === key && (one.names.has(asked) || one.names.size < NAMES_MOST)) ?? new Group(all, key);
    return group.add(asked, (record, live) => listener(record, { name, live }));
  });
  return () => stops.forEach((stop) => stop());
}

/** @param {number} ms @param {AbortSignal} [signal] ends it early @returns {Promise<void>} */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => resolve());
  });
}

// ---- The bar ---------------------------------------------------------------------------------------------------

/** What speaks, in the page's language; until it is there a bar shows how far it is, and says nothing. @type {typeof import("./dumbwaiter.words.js") | undefined} */
let speech;
/** @type {Set<() => void>} */
const bars = new Set();

if (globalThis.document)
  import("./dumbwaiter.words.js").then((file) => {
    speech = file;
    const draw = () => bars.forEach((bar) => bar());
    file.speakers.add(draw);
    draw();
  }, () => {});

/** Texts change no more often, so that they can be read. */
const TEXTS_EVERY_MS = 1000;
/** Glyph of each state that has one; colour and words say the same. @type {Partial<Record<State, string>>} */
const GLYPHS = { waiting: "○", interrupted: "❙❙", paused: "❙❙", done: "✓", error: "!", cancelled: "×" };

/** Each colour, light and dark; the page may set every one of them. */
const COLOURS = "fill8F5310E3A857 trackE9E4DA332E28 trailD9B98C735933 edge857C6E8A8173 soft625B51B5ADA1 ok2A6B457FCF9E hold46586FA8B8CE errB3261EFF8F85 focus0B57D08AB4F8";

/** Light or dark as the page's `color-scheme` says. Names and words stand in a `bdi`, since they may run the other way than the page. */
const STYLE = `:host{display:block;position:relative;font:16px/24px system-ui;${COLOURS.replace(/([a-z]+)(.{6})(.{6}) ?/g, "--$1:var(--dumbwaiter-$1,light-dark(#$2,#$3));")}}
:host([hidden]){display:none}
p{display:flex;align-items:baseline;gap:4px 12px;margin:0;font-variant-numeric:tabular-nums}
[part=title]{flex:1}[part=title],[part=name]{display:flex;min-width:0;white-space:pre}
[part=stem]{overflow:hidden;text-overflow:ellipsis}
div+p{flex-wrap:wrap;font-size:14px;line-height:20px}
[part=words]{flex:1 12rem;color:var(--soft)}
[part=acts]{display:flex;gap:8px}
[part=bar]{position:relative;height:6px;margin:6px 0;overflow:hidden;border-radius:4px;background:var(--track);border:1px solid var(--edge)}
i{position:absolute;inset-block:0;inset-inline-start:0;transition:width .2s linear;width:var(--kept);background:var(--fill)}
[part=sent]{width:var(--sent);background:repeating-linear-gradient(45deg,var(--trail) 0 3px,var(--track) 3px 6px)}
button{padding:5px 12px;border:1px solid var(--edge);border-radius:8px;background:none;color:inherit;font:inherit}
code{font-size:12px}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px}
em{position:absolute;inset:0;overflow:hidden;clip-path:inset(50%)}
:host([state=done]){--fill:var(--ok);--soft:var(--ok)}:host([state=error]){--fill:var(--err);--soft:var(--err)}:host([state=interrupted]){--fill:var(--hold);--soft:var(--hold)}:host([state=paused]),:host([state=cancelled]){--fill:var(--edge)}
@media(any-pointer:coarse){button{min-height:44px}}
@media(prefers-reduced-motion){i{transition:none}}
@media(forced-colors:active){[part=bar]{forced-color-adjust:none;--fill:CanvasText;--track:Canvas;--trail:GrayText;--edge:CanvasText}}`;

/** A page that is made on a server has no elements yet. */
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {}));

/** `<dumbwaiter-progress upload="ID">`: an upload's name, percent, bar, words and, where it is sent from here, its buttons. */
export class DumbwaiterProgress extends Base {
  static observedAttributes = ["upload", "server"];
  /** @type {Progress} */
  #progress = new Progress();
  #stop = () => {};
  /** Which upload its attributes name. */
  #followed = "";
  #drawnAt = 0;
  /** When the texts are drawn that had to wait. @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #shown = "";
  /** Its elements by their part. @type {Record<string, any>} */
  #parts = {};
  /** Draws; all at once unless it is a change that asks for it. */
  #draw = (/** @type {Event | void} */ change) => this.#paint(!change);

  /** What is shown: an `Upload` sent from here, or whatever else makes progress. */
  get progress() {
    return this.#progress;
  }

  set progress(progress) {
    this.#progress.removeEventListener("change", this.#draw);
    this.#progress = progress;
    this.#followed = "";
    if (!this.shadowRoot?.isConnected) return;
    progress.addEventListener("change", this.#draw);
    this.#draw();
  }

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    bars.add(this.#draw);
    this.attributeChangedCallback();
  }

  disconnectedCallback() {
    this.#stop();
    bars.delete(this.#draw);
    this.#progress.removeEventListener("change", this.#draw);
  }

  attributeChangedCallback() {
    this.#stop();
    const [id, server] = [this.getAttribute("upload"), this.getAttribute("server")];
    if (!this.shadowRoot?.isConnected) return;
    const followed = id ? `${id} ${server}` : "";
    // One that was only moved goes on where it stood; what is named no more would stand there as if it were told of.
    const progress = this.#followed === followed ? this.#progress : new Progress();
    if (id) this.#stop = watch(id, (record, { live }) => progress.told(record, live), server ? { server } : {});
    this.progress = progress;
    this.#followed = followed;
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const make = (/** @type {string} */ tag, /** @type {string} */ part, /** @type {(HTMLElement | string)[]} */ ...inner) => {
      const element = (this.#parts[part] = document.createElement(tag));
      element.setAttribute("part", part);
      element.append(...inner);
      return element;
    };
    const [go, cancel] = [make("button", "button go"), make("button", "button cancel")];
    // The second click of a double click may fall on the button that has taken the first one's place.
    go.onclick = ({ detail }) => detail < 2 && this.#act(this.#progress.ended || this.#progress.state === "paused" ? "resume" : "pause");
    cancel.onclick = ({ detail }) => detail < 2 && this.#act("cancel");
    root.append(
      make("p", "line", make("span", "title", make("bdi", "name", make("span", "stem"), make("span", "end"))), make("span", "percent")),
      make("div", "bar", make("i", "sent"), make("i", "kept")),
      make("p", "line", make("span", "words", make("bdi", "status"), " ", make("code", "code")), make("span", "acts", go, cancel)),
      make("em", "spoken"), make("em", "aloud"));
    const { bar, spoken, aloud } = this.#parts;
    [bar.role, spoken.role, aloud.role] = ["progressbar", "status", "alert"];
    // The focus moves on by itself, and a key that is held down would press one button after the other.
    this.#parts.acts.onkeydown = (/** @type {KeyboardEvent} */ { repeat }) => !repeat;
    // Until there are words for them.
    go.hidden = cancel.hidden = true;
  }

  /** @param {"pause" | "resume" | "cancel"} act */
  #act(act) {
    /** @type {Upload} */ (this.#progress)[act]();
    const { "button go": go, "button cancel": cancel } = this.#parts;
    // A button that is gone gives the focus to the one that is left.
    if (go.hidden !== cancel.hidden) (go.hidden ? cancel : go).focus();
  }

  /** Draws what is known; the texts only if it is time for them, or something has happened. */
  #paint(now = false) {
    const progress = this.#progress;
    const { state, error, phase, name } = progress;
    const { bar, status, percent, code } = this.#parts;
    bar.style.setProperty("--kept", `${100 * (phase ?? progress.kept)}%`);
    bar.style.setProperty("--sent", `${100 * (progress.ended ? progress.kept : phase === null ? progress.gone : 1)}%`);
    const shown = [state, progress.reason, progress.live, progress.silent, progress.resumable].join();
    const wait = this.#drawnAt + TEXTS_EVERY_MS - performance.now();
    if (!now && shown === this.#shown && wait > 0) return void (this.#later ??= setTimeout(this.#draw, wait));
    clearTimeout(this.#later);
    this.#later = undefined;
    [this.#shown, this.#drawnAt] = [shown, performance.now()];
    this.setAttribute("state", state);
    // Cut in the middle where room is short, since the ending says what it is.
    [this.#parts.title.title, this.#parts.stem.textContent, this.#parts.end.textContent] = /** @type {RegExpExecArray} */ (/^(.*?)(.{0,8})$/su.exec(name));
    percent.textContent = state === "waiting" || state === "cancelled" || error?.early ? "" : `${progress.percent}\u00a0%`;
    bar.ariaLabel = name || "…";
    bar.ariaValueNow = state === "processing" && phase === null ? null : progress.percent;
    if (!speech) return;
    const said = speech.statusWords(progress);
    status.textContent = [`${GLYPHS[state] ?? ""} ${said.text}`.trim(), said.size, said.speed, said.left].filter(Boolean).join(" · ").replace(". ·", " ·");
    code.textContent = error?.code ?? "";
    bar.ariaValueText = said.spoken;
    this.#offer(speech);
    (this.#parts.voice ??= new speech.BarVoice(this.#parts.spoken, this.#parts.aloud)).tell(progress, said);
  }

  /** Shows the buttons that can do something; there are none for what is not sent from here. @param {NonNullable<typeof speech>} speech */
  #offer({ actsOf, say }) {
    const progress = this.#progress;
    const acts = progress instanceof Upload ? actsOf(progress) : ["", ""];
    for (const [at, part] of ["button go", "button cancel"].entries()) {
      const button = this.#parts[part];
      button.hidden = !acts[at];
      button.ariaLabel = `${(button.textContent = say(/** @type {any} */ (acts[at])))} ${progress.name}`;
    }
  }
}

globalThis.customElements?.define("dumbwaiter-progress", DumbwaiterProgress);

// ---- Forms -----------------------------------------------------------------------------------------------------

/** @typedef {Partial<Options> & {progress?: DumbwaiterProgress}} FormOptions `progress` is the bar to use; unless said, one in the form, or a new one at its end */

/**
 * Gives a form a bar: it is sent by script from now on, and then the browser does what it would have done without.
 *
 * On the form, and bubbling from there: `dumbwaiter-start`, `dumbwaiter-done` and `dumbwaiter-error`. Whoever prevents the
 * default of one of the last two does himself what comes after. The same as the attribute `data-dumbwaiter`.
 * @param {HTMLFormElement} form @param {FormOptions} [options] @returns {() => void} undoes it
 */
export function enhance(form, options = {}) {
  const submit = (/** @type {SubmitEvent} */ event) => submitted(event, options);
  form.addEventListener("submit", submit);
  return () => form.removeEventListener("submit", submit);
}

/** @param {SubmitEvent} event @param {FormOptions} options */
function submitted(event, options) {
  const { submitter } = event;
  const form = /** @type {HTMLFormElement} */ (event.target);
  const said = (/** @type {string} */ name) => submitter?.getAttribute(`form${name}`) ?? form.getAttribute(name) ?? "";
  if (event.defaultPrevented || !/^post$/i.test(said("method")) || !/^(_self)?$/i.test(said("target"))) return;
  event.preventDefault();
  const tag = "dumbwaiter-progress";
  const bar = /** @type {DumbwaiterProgress} */ (options.progress ?? form.querySelector(tag) ?? form.appendChild(document.createElement(tag)));
  const { progress } = bar;
  if (progress instanceof Upload && !progress.ended) {
    // Pressed twice; but one that rests gives way to what the form says now.
    if (progress.state !== "paused") return;
    progress.cancel();
  }
  const action = bare(new URL(said("action") || document.URL, document.baseURI));
  const data = new FormData(form, submitter);
  const upload = new Upload(data, { ...options, action, browse: true });
  if (data.get("X-Progress-ID") === "") data.set("X-Progress-ID", upload.progressId);
  bar.progress = upload;
  tell(form, "start", { upload });
  upload.addEventListener("change", () => {
    // By then its place in the queue is free, and nobody asks whether to leave the page.
    if (upload.state === "done" || upload.state === "error") queueMicrotask(() => answered(form, upload, `${data.get("next")}`, action));
  });
}

/** Whether nobody prevented what comes after. @param {Element} element @param {string} what @param {object} [detail] */
function tell(element, what, detail) {
  return element.dispatchEvent(new CustomEvent(`dumbwaiter-${what}`, { bubbles: true, cancelable: true, detail }));
}

/** What a browser does with an answer. @param {HTMLFormElement} form @param {Upload} upload @param {string} next @param {string} action */
function answered(form, upload, next, action) {
  const { record, answer, error } = upload;
  if (!tell(form, error ? "error" : "done", error ? { upload, error } : { upload, record, answer })) return;
  const reply = error?.reply ?? answer;
  const to = reply?.field("Dumbwaiter-Location") ?? (reply?.redirected && reply.url);
  // An address that is a script is none, as for any redirect.
  if (to && /^http/.test(new URL(to, action).protocol)) go(new URL(to, action));
  // An app's words on what it does not take; what is out of order, the bar says better. Another origin's page is not ours to show.
  else if (reply?.page?.body.firstChild && reply.status < 500 && reply.status !== 413 && new URL(action).origin === location.origin) show(reply.page, action);
  else if (error) return;
  // As the server itself does for a form without script: only to a path of this origin.
  else if (/^\/(?![/\\\s])/.test(next)) go(new URL(next, action));
  // Not `form.reset`, which is a button where one is called so.
  else HTMLFormElement.prototype.reset.call(form);
}

/** @param {URL} url */
function go(url) {
  const here = bare(url) === bare(location);
  location.assign(url);
  // Otherwise the page that is there would only be scrolled.
  if (here && url.hash) location.reload();
}

/** An address without its fragment. @param {URL | Location} url */
function bare({ href }) {
  return href.replace(/#.*/, "");
}

/** Shows a page in the place of this one. Its scripts do not run; those that are here go on. @param {Document} page @param {string} url */
function show(page, url) {
  bare(location) === url || history.pushState(null, "", url);
  // Back is another page, which is no longer here. Of several that were shown the last one says.
  onpopstate = () => bare(location) === url || location.reload();
  // Parsed for a script, it holds what is for browsers without.
  for (const plain of page.querySelectorAll("noscript")) plain.remove();
  for (const style of page.querySelectorAll("style,[rel=stylesheet]"))
    if (![...document.head.children].some((one) => one.isEqualNode(style))) document.head.append(style);
  document.title = page.title;
  document.body.replaceWith(page.body);
  scrollTo(0, 0);
  /** @type {HTMLElement | null} */ (document.querySelector("[aria-invalid=true],[autofocus]"))?.focus();
  tell(document.body, "shown");
}

// After all that scripts of the page do with it, as late as they may have begun to listen on the document.
globalThis.addEventListener?.("submit", (event) => {
  const server = /** @type {HTMLFormElement} */ (event.target).dataset?.dumbwaiter;
  if (server !== undefined) submitted(event, server ? { server } : {});
});
