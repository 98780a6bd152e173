/** The page: takes files that are dropped, chosen or pasted, sends them, and keeps what is drawn in step. */
import { copy } from "./copy.js";
import { byId } from "./dom.js";
import { isOffline, upload } from "./dumbwaiter.js";
import english from "./dumbwaiter.en.js";
import { setWords } from "./dumbwaiter.words.js";
import { Intake } from "./intake.js";
import { Limits } from "./limits.js";
import { Row } from "./row.js";
import { PageVoice } from "./say.js";
import { Thumbs } from "./thumbs.js";
import { Total } from "./total.js";
import { Unfinished } from "./unfinished.js";
/** @import { Upload } from "./dumbwaiter.js" */
/** @import { Act } from "./row.js" */

/** How often texts change while bars move. */
const TEXTS_EVERY_MS = 1000;

/** Why uploads rest when nobody answers; of all else the server has said why, and each row says it. */
const AWAY = ["connection_lost", "http_502", "http_504"];

/** A line that breaks and comes back so soon is not worth a word. */
const AWAY_MS = 2000;

const OFFLINE = "You are offline. Sending goes on when the connection is back.";
const UNREACHABLE = "The server does not answer. Sending goes on when it is back.";

/** Puts rows, total and drop area together. */
class Page {
  #rows = /** @type {Map<Upload, Row>} */ (new Map());
  #form = byId("form", HTMLFormElement);
  #input = byId("file", HTMLInputElement);
  #list = byId("list", HTMLUListElement);
  #notice = byId("notice", HTMLElement);
  #all = byId("all", HTMLButtonElement);
  #limits = Limits.of(this.#form, this.#input);
  #voice = new PageVoice(byId("status", HTMLElement), byId("alert", HTMLElement));
  #total = new Total(this.#voice, (act, uploads) => this.#forAll(act, uploads));
  #thumbs = new Thumbs();
  #unfinished = new Unfinished(this.#list, () => this.#fit());
  /** Why files wait that could go; empty when nothing keeps them. */
  #hindrance = "";
  /** Since when the server has not answered. @type {number | null} */
  #awaySince = null;
  /** @type {number | undefined} */
  #clock;

  constructor() {
    document.documentElement.classList.add("scripted");
    byId("send", HTMLButtonElement).hidden = true;
    this.#form.onsubmit = (event) => event.preventDefault();
    addEventListener("offline", () => this.#connected());
    addEventListener("online", () => this.#connected());
    // The focus moves on by itself, and a key that is held down would press one button after the other.
    addEventListener("keydown", (event) => event.key === "Enter" && event.repeat && event.preventDefault());
    this.#connected();
    new Intake((files) => this.#add(files), (line) => this.#tell(line));
  }

  /** In the order in which they were added. */
  get #uploads() {
    return [...this.#rows.keys()];
  }

  get #busy() {
    return this.#uploads.some((upload) => !upload.ended);
  }

  /** @param {File[]} files */
  #add(files) {
    if (files.length === 0) return;
    this.#list.append(...files.map((file) => this.#row(file)));
    this.#fit();
    this.#drawTotal(true);
    this.#run();
  }

  /** @param {File} file */
  #row(file) {
    const one = upload(file, { refuse: (file) => this.#limits.refuse(file) });
    one.addEventListener("change", () => this.#onChange(one));
    this.#unfinished.taken(file);
    const row = new Row(one, (row, act) => this.#pressed(row, act));
    this.#rows.set(one, row);
    this.#thumbs.add(file, row.thumb);
    if (one.error) this.#failed(row);
    return row.element;
  }

  /** @param {Row} row */
  #failed(row) {
    this.#voice.failed(`${row.upload.name}: ${row.words.textContent}`);
  }

  /** Texts change by this clock, which stops when there is nothing to tell. A late beat does not make the next one come early. */
  #run() {
    this.#clock ??= setTimeout(() => this.#tick(), TEXTS_EVERY_MS);
  }

  #tick() {
    for (const [upload, row] of this.#rows) if (upload.running) row.draw(true);
    this.#drawTotal(true);
    this.#connected();
    this.#clock = undefined;
    if (this.#busy) this.#run();
  }

  /** The button for all goes when there is nothing for it to do; the focus then goes to the rows. @param {boolean} tick */
  #drawTotal(tick = false) {
    const had = document.activeElement === this.#all;
    this.#total.draw(this.#uploads, tick);
    if (had && this.#all.hidden) this.#focusFrom(this.#list.firstElementChild);
  }

  /** The drop area is large while there is nothing else to see. */
  #fit() {
    const any = this.#list.childElementCount > 0;
    byId("drop", HTMLElement).classList.toggle("small", any);
    byId("more", HTMLElement).hidden = !any;
  }

  /** @param {Upload} upload */
  #onChange(upload) {
    this.#connected();
    const row = this.#rows.get(upload);
    if (!row) return;
    const had = row.element.contains(document.activeElement);
    const was = row.element.classList.contains("error");
    row.draw();
    // What had the focus may have gone: then the row's next control gets it, or the next row's.
    if (had && !row.element.contains(visibleFocus())) this.#focusFrom(row.element);
    if (upload.state === "error" && !was) this.#failed(row);
    this.#drawTotal();
  }

  /** @param {Row} row @param {Act} act */
  #pressed(row, act) {
    const next = row.element.nextElementSibling;
    if (act === "copy") return this.#copy(row);
    if (act === "pause") return row.upload.pause();
    if (act === "resume" || act === "retry") {
      this.#retry([row.upload]);
      return (act === "retry" ? row.away : row.rest).focus();
    }
    if (act === "cancel") row.upload.cancel();
    else this.#remove(row);
    this.#focusFrom(next);
  }

  /** @param {Row} row */
  #remove(row) {
    this.#thumbs.remove(row.thumb);
    this.#rows.delete(row.upload);
    row.element.remove();
    this.#fit();
    this.#drawTotal(true);
  }

  /** @param {Upload[]} uploads */
  #retry(uploads) {
    for (const upload of uploads) upload.resume();
    this.#run();
  }

  /** @param {"cancel" | "retry"} act @param {Upload[]} uploads */
  #forAll(act, uploads) {
    if (act === "retry") this.#retry(uploads);
    // The last first, so that none that waits begins in the place of one that is gone.
    else for (const upload of [...uploads].reverse()) upload.cancel();
    this.#drawTotal(true);
  }

  /** @param {Row} row */
  async #copy(row) {
    const copied = await copy(row.link.href, row.field);
    const outcome = copied ? "link copied" : "copy the selected link";
    row.told(outcome);
    this.#voice.say(copied ? "Link copied." : "The link is selected. Copy it.");
  }

  /** Moves the focus to the first control at or below a row, else to the file input. @param {Element | null} element */
  #focusFrom(element) {
    const rows = Array.from(this.#rows.values());
    const from = rows.findIndex((row) => row.element === element);
    const controls = from < 0 ? [] : rows.slice(from).map((row) => row.control);
    (controls.find((control) => control !== undefined) ?? this.#input).focus();
  }

  /** One line on top says why nothing moves, not one in each row. */
  #connected() {
    const was = this.#hindrance;
    const away = this.#uploads.some(({ state, reason }) => (state === "interrupted" || state === "waiting") && AWAY.includes(reason));
    this.#awaySince = away ? (this.#awaySince ?? performance.now()) : null;
    const long = this.#awaySince !== null && performance.now() - this.#awaySince >= AWAY_MS;
    this.#hindrance = isOffline() ? OFFLINE : long ? UNREACHABLE : "";
    if (this.#hindrance === was) return;
    this.#show(this.#hindrance);
    if (this.#hindrance) this.#voice.say(this.#hindrance);
    else if (this.#busy) this.#voice.say(was === OFFLINE ? "You are online again. Sending goes on." : "The server is back. Sending goes on.");
  }

  /** Says why something was not taken. @param {string} line empty to take it away */
  #tell(line) {
    this.#show(line);
    this.#voice.alert(line);
  }

  /** Shows one line above everything. @param {string} line empty to take it away */
  #show(line) {
    this.#notice.hidden = line === "";
    this.#notice.textContent = line;
  }
}

/** What has the focus and can be seen; a control that is hidden keeps it for a moment. */
function visibleFocus() {
  const focused = document.activeElement;
  return focused instanceof HTMLElement && !focused.hidden ? focused : null;
}

// The page is English, and speaks at once.
setWords(english);
new Page();
