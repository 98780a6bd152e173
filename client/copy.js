/** Copying a link, with what the browser allows: over plain http it gives scripts no clipboard. */

/**
 * Copies `text`, or shows it selected so that a person can.
 * @param {string} text
 * @param {HTMLInputElement} field hidden until it is needed
 * @returns {Promise<boolean>} whether it is copied
 */
export async function copy(text, field) {
  if (navigator.clipboard && (await navigator.clipboard.writeText(text).then(() => true, () => false))) return true;
  const before = document.activeElement;
  field.value = text;
  field.hidden = false;
  field.select();
  // Deprecated, and the one way that plain http leaves.
  if (!document.execCommand("copy")) return false;
  field.hidden = true;
  if (before instanceof HTMLElement) before.focus();
  return true;
}
