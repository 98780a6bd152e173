/** Pictures to send, drawn by the browser itself: dishes on a table. */

/** Draws a dish and gives it as the bytes of a picture. */
export async function dish(page, { hue = 30, kind = "image/jpeg", width = 640, height = 480, bits = 0 } = {}) {
  const url = await page.evaluate(draw, { hue, kind, width, height, bits });
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/** Runs in the browser. */
function draw({ hue, kind, width, height, bits }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const to = canvas.getContext("2d");
  const side = Math.min(width, height);
  let seed = hue * 7919 + 1;
  const chance = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const round = (x, y, radius, colour) => {
    to.fillStyle = colour;
    to.beginPath();
    to.arc(x, y, radius, 0, 7);
    to.fill();
  };
  to.fillStyle = `hsl(${(hue + 190) % 360} 22% 38%)`;
  to.fillRect(0, 0, width, height);
  round(width / 2, height / 2 + side * 0.03, side * 0.46, "rgb(0 0 0 / 25%)");
  round(width / 2, height / 2, side * 0.45, "#f6f1e7");
  round(width / 2, height / 2, side * 0.35, "#e9e1d2");
  round(width / 2, height / 2, side * 0.32, `hsl(${hue} 62% 46%)`);
  for (let i = 0; i < 70; i++) {
    const [angle, far] = [chance() * 6.3, Math.sqrt(chance()) * side * 0.28];
    const colours = [`hsl(${hue + 22} 80% 58%)`, `hsl(${hue - 18} 68% 36%)`, "hsl(105 42% 38%)", "hsl(8 68% 48%)"];
    round(width / 2 + far * Math.cos(angle), height / 2 + far * Math.sin(angle), side * (0.012 + chance() * 0.03), colours[i % 4]);
  }
  if (bits) {
    // Noise, so that the file is as large as a camera's.
    const noise = to.getImageData(0, 0, width, height);
    for (let i = 0; i < noise.data.length; i++) if (i % 4 < 3) noise.data[i] += (chance() - 0.5) * bits;
    to.putImageData(noise, 0, 0);
  }
  return canvas.toDataURL(kind, 0.9);
}
