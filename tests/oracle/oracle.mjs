// Compares a terminal that was there from the beginning with one that was repainted in between.
//
// Reads one case a line from standard input, as JSON, and writes one answer a line to standard output:
//
//   {"cols", "rows", "before", "after", "dirt", "repaint"}   bytes as base64
//   {"cut": [...], "end": [...]}                              differences, as sentences; none is good
//
// Terminal A gets `before`, then `after`. Terminal B gets `dirt`, then `repaint`, then `after`. They are compared
// before and after `after`. STEAD_NODE_MODULES is the folder that holds @xterm.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.env.STEAD_NODE_MODULES + "/");
const { Terminal } = require("@xterm/headless");
const { Unicode11Addon } = require("@xterm/addon-unicode11");

const MAX_DIFFERENCES = 6;

// Without scrollback: with it, xterm.js lets a saved cursor move with the text that scrolls.
function open(cols, rows) {
  const terminal = new Terminal({ cols, rows, scrollback: 0, allowProposedApi: true, logLevel: "off",
    windowOptions: { pushTitle: true, popTitle: true } });
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  return terminal;
}

const write = (terminal, base64) =>
  new Promise((done) => terminal.write(Buffer.from(base64, "base64"), done));

function cellsOf(core, buffer) {
  const rows = [];
  const cell = buffer.getNullCell();
  for (let y = 0; y < buffer.length; y++) {
    const line = buffer.getLine(y);
    const row = [];
    for (let x = 0; x < line.length; x++) {
      line.getCell(x, cell);
      // Half of a wide character that lost the other half shows nothing, like a blank.
      const spacer = cell.getWidth() === 0 && x > 0 && line.getCell(x - 1).getWidth() === 2;
      line.getCell(x, cell);
      const lone = cell.getWidth() === 2 && line.getCell(x + 1)?.getWidth() !== 0;
      line.getCell(x, cell);
      const chars = lone ? " " : cell.getChars() || " ";
      const style = [];
      const color = (kind) => {
        const mode = kind === "fg" ? cell.getFgColorMode() : cell.getBgColorMode();
        if (mode) style.push(`${kind}=${mode >> 24}:${kind === "fg" ? cell.getFgColor() : cell.getBgColor()}`);
      };
      color("fg");
      color("bg");
      for (const name of ["Bold", "Italic", "Dim", "Blink", "Inverse", "Invisible", "Strikethrough", "Overline"]) {
        if (cell[`is${name}`]()) style.push(name);
      }
      if (cell.isUnderline()) style.push(`underline=${cell.extended.underlineStyle}:${underlineColor(cell)}`);
      const link = cell.hasExtendedAttrs() && cell.extended.urlId;
      if (link) style.push(`link=${core._oscLinkService.getLinkData(link)?.uri}`);
      row.push(`${spacer ? "" : chars}${style.length ? `{${style}}` : ""}`);
    }
    rows.push(row);
  }
  return rows;
}

function underlineColor(cell) {
  const color = cell.extended.underlineColor;
  const mode = (color >> 24) & 3;
  return color === -1 || mode === 0 ? "default" : `${mode}:${color & (mode === 3 ? 0xffffff : 0xff)}`;
}

// Colour and flags; xterm.js leaves bits of an earlier colour behind a later, smaller one.
function attributes({ fg, bg }) {
  const clean = (bits) => {
    const mode = (bits >> 24) & 3;
    return `${mode}:${mode === 0 ? 0 : bits & (mode === 3 ? 0xffffff : 0xff)}:${bits >>> 26}`;
  };
  return `${clean(fg)} ${clean(bg & ~0x10000000)}`;
}

function stateOf(terminal) {
  const core = terminal._core;
  const { active, normal, alternate } = terminal.buffer;
  const handler = core._inputHandler;
  const internal = core._bufferService.buffer;
  const pen = handler._curAttrData;
  const charsets = core._charsetService;
  const modes = { ...terminal.modes };
  const underline = pen.isUnderline() ? pen.extended.underlineStyle : 0;
  return {
    screens: [cellsOf(core, normal), ...(active.type === "alternate" ? [cellsOf(core, alternate)] : [])],
    rest: {
      screen: active.type,
      cursor: `${active.cursorX},${active.cursorY}`,
      ...modes,
      hidden: core.coreService.isCursorHidden,
      cursorStyle: core.coreService.decPrivateModes.cursorStyle,
      cursorBlink: core.coreService.decPrivateModes.cursorBlink,
      blinkOption: terminal.options.cursorBlink,
      newLine: terminal.options.convertEol,
      mouseEncoding: core.coreMouseService.activeEncoding,
      region: `${internal.scrollTop}-${internal.scrollBottom}`,
      tabs: Object.keys(internal.tabs).map(Number).filter((x) => x < terminal.cols).sort((a, b) => a - b).join(),
      saved: `${Math.min(internal.savedX, terminal.cols - 1)},${internal.savedY} ${attributes(internal.savedCurAttrData)}`,
      pen: `${attributes(pen)} ${underline} ${pen.extended.urlId ? "link" : ""}`,
      charset: `${charsets.glevel} ${[0, 1, 2, 3].map((g) => (charsets._charsets[g] ? "special" : "ascii"))}`,
      title: handler._windowTitle,
    },
  };
}

// xterm.js forgets a link once the first line that it was on has scrolled away, even if it is still open.
function forgotten(cell, other) {
  const plain = (text) => text?.replace(/,?link=[^}]*/, "").replace("{}", "");
  return `${cell}${other}`.includes("link=undefined") && plain(cell) === plain(other);
}

function differences(a, b) {
  const found = [];
  for (const [n, screen] of a.screens.entries()) {
    for (const [y, row] of screen.entries()) {
      for (const [x, cell] of row.entries()) {
        const other = b.screens[n]?.[y]?.[x];
        if (cell !== other && !forgotten(cell, other)) found.push(`screen ${n} row ${y} column ${x}: ${cell} there, ${other} repainted`);
      }
    }
  }
  for (const [key, value] of Object.entries(a.rest)) {
    if (value !== b.rest[key]) found.push(`${key}: ${value} there, ${b.rest[key]} repainted`);
  }
  return found.slice(0, MAX_DIFFERENCES);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { cols, rows, before, after, dirt, repaint } = JSON.parse(line);
  const a = open(cols, rows);
  const b = open(cols, rows);
  await write(a, before);
  await write(b, dirt);
  await write(b, repaint);
  const cut = differences(stateOf(a), stateOf(b));
  await write(a, after);
  await write(b, after);
  const end = differences(stateOf(a), stateOf(b));
  a.dispose();
  b.dispose();
  process.stdout.write(JSON.stringify({ cut, end }) + "\n");
}
