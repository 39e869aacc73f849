// Draws a screen as SVG: `stead screen NAME --format json | node picture.mjs > FILE`.
import { readFileSync } from "node:fs";

const screen = JSON.parse(readFileSync(0, "utf8"));
const wide = 8.4;
const high = 18;
const colors = [
  "#1c1f26", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
  "#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#ffffff",
];
const escape = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);

function color(value, otherwise) {
  if (value === undefined || value === null) return otherwise;
  if (typeof value === "string" && value.startsWith("#")) return value;
  const index = Number(value);
  if (index < 16) return colors[index];
  if (index < 232) {
    const level = (n) => (n === 0 ? 0 : 55 + 40 * n);
    const n = index - 16;
    return `rgb(${level(Math.floor(n / 36))},${level(Math.floor(n / 6) % 6)},${level(n % 6)})`;
  }
  const grey = 8 + 10 * (index - 232);
  return `rgb(${grey},${grey},${grey})`;
}

const width = screen.size.cols * wide + 24;
const height = screen.size.rows * high + 24;
const out = [
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
  `<rect width="100%" height="100%" rx="8" fill="#1c1f26"/>`,
  `<g font-family="ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" xml:space="preserve">`,
];
screen.cells.forEach((row, y) => {
  let x = 0;
  for (const run of row) {
    const attrs = run.attrs ?? [];
    let fg = color(run.fg, "#abb2bf");
    let bg = color(run.bg, undefined);
    if (attrs.includes("inverse")) [fg, bg] = [bg ?? "#1c1f26", fg];
    const cells = [...run.text].length;
    const [left, top] = [12 + x * wide, 12 + y * high];
    if (bg) out.push(`<rect x="${left}" y="${top}" width="${cells * wide}" height="${high}" fill="${bg}"/>`);
    if (run.text.trim()) {
      const style = `${attrs.includes("bold") ? ' font-weight="bold"' : ""}${attrs.includes("dim") ? ' opacity="0.6"' : ""}`;
      out.push(`<text x="${left}" y="${top + 14}" fill="${fg}" textLength="${cells * wide}"${style}>${escape(run.text)}</text>`);
    }
    x += cells;
  }
});
out.push("</g></svg>");
console.log(out.join("\n"));
