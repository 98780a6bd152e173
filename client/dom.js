/** Finding what the page's HTML promises, and what every bar has in common. */

/** The element of this page with that id. @template {Element} T @param {string} id @param {new () => T} type */
export function byId(id, type) {
  return found(document, `#${id}`, type);
}

/** @template {Element} T @param {ParentNode} where @param {string} selector @param {new () => T} type */
export function found(where, selector, type) {
  const element = where.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`the page has no ${selector}`);
  return element;
}

/** Fill and trail of a bar. @param {HTMLElement} bar @param {number} kept 0 to 1 @param {number} sent 0 to 1 */
export function drawBar(bar, kept, sent) {
  bar.style.setProperty("--kept", `${100 * kept}%`);
  bar.style.setProperty("--sent", `${100 * sent}%`);
}

/** The parts of a line of words; those that count have widths in the style sheet, so that none moves the next.
 * @typedef {{text?: string | Node, count?: string, size?: string, speed?: string, left?: string}} Parts */

/** What stands between two parts; at the begin of a line the style sheet puts it out of sight. */
function dot() {
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.textContent = " · ";
  return dot;
}

/** Writes a line in parts. @param {HTMLElement} element @param {Parts} parts empty ones are left out */
export function writeParts(element, parts) {
  const shown = Object.entries(parts).filter(([, text]) => text);
  while (element.children.length > shown.length) element.lastChild?.remove();
  while (element.children.length < shown.length) element.append(document.createElement("span"));
  for (const [at, [kind, text]] of shown.entries()) {
    const part = /** @type {HTMLElement} */ (element.children[at]);
    part.className = `part ${kind}`;
    part.replaceChildren(...(at > 0 ? [dot()] : []), text ?? "");
  }
}
