/**
 * Small pictures of pictures, made by the browser from the file itself.
 *
 *     a row comes into view → waits → one at a time: size looked at → decoded small, off the page's thread → drawn
 *
 * Pictures have bounds: a file too large, or one with too many pixels, is not decoded at all; and only so many small
 * pictures are kept, those seen last. SVG is left alone: it is a program more than a picture.
 */

/** What every browser decodes, and nothing that can carry a script. */
const TYPES = ["image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"];
/** The largest file that is read for its picture. */
const MOST_BYTES = 32_000_000;
/** The most pixels that are decoded: four bytes each, for a moment. */
const MOST_PIXELS = 64_000_000;
/** How many small pictures are kept. */
const MOST_KEPT = 120;
/** The side of a small picture in pixels: 40 on the page, twice as many for fine screens. */
const SIDE = 80;

/** Draws the pictures of rows that are in view. */
export class Thumbs {
  #files = /** @type {WeakMap<Element, File>} */ (new WeakMap());
  /** What is drawn, the one seen last at the end. */
  #kept = /** @type {Set<HTMLElement>} */ (new Set());
  #queue = /** @type {Set<HTMLElement>} */ (new Set());
  #busy = false;
  #watch = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px" });

  /** Draws the file's picture in `place` whenever that is in view, if it has one. @param {File} file @param {HTMLElement} place */
  add(file, place) {
    if (!TYPES.includes(file.type) || file.size === 0 || file.size > MOST_BYTES) return;
    this.#files.set(place, file);
    this.#watch.observe(place);
  }

  /** Forgets a place. @param {HTMLElement} place */
  remove(place) {
    this.#watch.unobserve(place);
    this.#files.delete(place);
    this.#queue.delete(place);
    this.#kept.delete(place);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const place = /** @type {HTMLElement} */ (target);
      if (!isIntersecting) this.#queue.delete(place);
      else if (!this.#kept.delete(place)) this.#queue.add(place);
      else this.#kept.add(place);
    }
    if (!this.#busy) this.#work();
  }

  /** One after the other: a page that sends files has better things to do. */
  async #work() {
    this.#busy = true;
    for (const place of this.#queue) {
      this.#queue.delete(place);
      const file = this.#files.get(place);
      const picture = file && (await small(file).catch(() => null));
      if (picture && this.#files.has(place)) this.#draw(place, picture);
      // What cannot be decoded is not tried again.
      else this.remove(place);
      picture?.close();
    }
    this.#busy = false;
  }

  /** @param {HTMLElement} place @param {ImageBitmap} picture */
  #draw(place, picture) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(picture);
    place.append(canvas);
    this.#kept.add(place);
    for (const oldest of this.#kept) {
      if (this.#kept.size <= MOST_KEPT) break;
      this.#kept.delete(oldest);
      oldest.querySelector("canvas")?.remove();
    }
  }
}

/** The file's picture, small. @param {File} file @returns {Promise<ImageBitmap | null>} `null` for one that is too large */
async function small(file) {
  const { width, height } = await sizeOf(file);
  if (width * height === 0 || width * height > MOST_PIXELS) return null;
  // The shorter side fills the square, unless the longer one would be more than twice that.
  const scale = Math.min(1, SIDE / Math.min(width, height), (2 * SIDE) / Math.max(width, height));
  const resize = { resizeWidth: Math.max(1, Math.round(width * scale)), resizeHeight: Math.max(1, Math.round(height * scale)) };
  return createImageBitmap(file, { ...resize, resizeQuality: "medium" });
}

/** Width and height as shown, read from the file's head: an image that nobody paints is not decoded. @param {File} file */
async function sizeOf(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((resolve, reject) => {
      [image.onload, image.onerror] = [resolve, reject];
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(url);
  }
}
