//! Answers to a program that asks its terminal something.

use super::model::Model;
use super::modes::Modes;
use super::sgr;
use alacritty_terminal::vte::ansi::CursorShape;
use std::fmt::Write;

/// The size of a character in pixels that is reported: nobody knows the true one, since several clients with
/// different fonts may look on.
const CELL_PIXELS: (u32, u32) = (20, 10);

/// The answer to the query of the Program Status Protocol (OSC 7501). Programs such as Claude Code report their state
/// only where it comes before the device attributes.
pub const PROGRAM_STATUS: &[u8] =
    b"\x1b]7501;?:states=idle,working,done,blocked,error:kinds=permission,question,auth\x1b\\";

/// A question asked by a device control string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// DECRQSS: the present setting of something.
    Setting,
    /// XTGETTCAP: a terminfo capability.
    Capability,
}

impl Model {
    fn reply(&mut self, text: &str) {
        self.replies.extend_from_slice(text.as_bytes());
    }

    /// Answers a control sequence, if it is a question.
    pub fn answer(&mut self, intermediates: &[u8], action: char, first: u16, second: u16) {
        match (intermediates, action) {
            // A VT220 with colours.
            ([], 'c') if first == 0 => self.reply("\x1b[?62;22c"),
            // The kind and version of xterm that programs take to know what xterm knows.
            ([b'>'], 'c') if first == 0 => self.reply("\x1b[>0;277;0c"),
            ([b'='], 'c') if first == 0 => self.reply("\x1bP!|00000000\x1b\\"),
            ([], 'n') if first == 5 => self.reply("\x1b[0n"),
            ([], 'n') if first == 6 => self.answer_position(""),
            ([b'?'], 'n') if first == 6 => self.answer_position("?"),
            ([b'?'], 'n') if first == 996 => {
                let scheme = if self.palette.is_dark() { 1 } else { 2 };
                self.reply(&format!("\x1b[?997;{scheme}n"));
            }
            ([b'>'], 'q') if first == 0 => {
                self.reply(concat!("\x1bP>|stead(", env!("CARGO_PKG_VERSION"), ")\x1b\\"));
            }
            ([b'?'], 'u') => {
                let flags = self.keyboard().current();
                self.reply(&format!("\x1b[?{flags}u"));
            }
            ([b'?'], 'm') if first == 4 => {
                let value = self.modify_other_keys;
                self.reply(&format!("\x1b[>4;{value}m"));
            }
            ([b'$'], 'p') => {
                let state = match first {
                    4 => 2 - u16::from(self.modes.has(Modes::INSERT)),
                    20 => 2 - u16::from(self.modes.has(Modes::NEW_LINE)),
                    _ => 0,
                };
                self.reply(&format!("\x1b[{first};{state}$y"));
            }
            ([b'?', b'$'], 'p') => {
                let state = self.private_mode_state(first);
                self.reply(&format!("\x1b[?{first};{state}$y"));
            }
            ([b'?'], 'S') if second == 1 => self.reply(&format!("\x1b[?{first};3;0S")),
            ([], 'x') if first <= 1 => self.reply(&format!("\x1b[{};1;1;128;128;1;0x", first + 2)),
            ([], 't') => self.answer_window(first),
            _ => {}
        }
    }

    fn answer_position(&mut self, private: &str) {
        let point = self.grid.cursor.point;
        let top = if self.modes.has(Modes::ORIGIN) { self.region.start.0 } else { 0 };
        let column = point.column.0.min(usize::from(self.size.cols) - 1);
        self.reply(&format!("\x1b[{private}{};{}R", point.line.0 - top + 1, column + 1));
    }

    /// 0 unknown, 1 set, 2 reset.
    fn private_mode_state(&self, mode: u16) -> u16 {
        let on = match mode {
            9 | 1000 | 1002 | 1003 => self.modes.mouse.0 == mode,
            1005 | 1006 | 1015 | 1016 => self.modes.mouse_encoding == mode,
            47 | 1047 | 1049 => self.alternate(),
            1007 => self.modes.alternate_scroll.unwrap_or(true),
            _ => match Modes::private(mode) {
                Some(bit) => self.modes.has(bit),
                None => return 0,
            },
        };
        2 - u16::from(on)
    }

    fn answer_window(&mut self, what: u16) {
        let (rows, cols) = (u32::from(self.size.rows), u32::from(self.size.cols));
        let (height, width) = CELL_PIXELS;
        match what {
            11 => self.reply("\x1b[1t"),
            13 => self.reply("\x1b[3;0;0t"),
            14 => self.reply(&format!("\x1b[4;{};{}t", rows * height, cols * width)),
            15 => self.reply(&format!("\x1b[5;{};{}t", rows * height, cols * width)),
            16 => self.reply(&format!("\x1b[6;{height};{width}t")),
            18 => self.reply(&format!("\x1b[8;{rows};{cols}t")),
            19 => self.reply(&format!("\x1b[9;{rows};{cols}t")),
            // Titles are not told: what was put there could be typed back as a command.
            20 => self.reply("\x1b]L\x1b\\"),
            21 => self.reply("\x1b]l\x1b\\"),
            _ => {}
        }
    }

    /// Answers a question for a colour, ended as the question was.
    pub fn answer_color(&mut self, index: u16, code: &str, bell: bool) {
        let [r, g, b] = self.palette.get(index);
        let end = if bell { "\x07" } else { "\x1b\\" };
        self.reply(&format!("\x1b]{code};rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}{end}"));
    }

    /// Answers a device control string.
    pub fn answer_request(&mut self, request: Request, text: &[u8]) {
        match request {
            Request::Setting => {
                let value = self.setting(text);
                self.reply(&match value {
                    Some(value) => format!("\x1bP1$r{value}\x1b\\"),
                    None => "\x1bP0$r\x1b\\".into(),
                });
            }
            Request::Capability => {
                for name in text.split(|b| *b == b';') {
                    let answer = match capability(name) {
                        Some(value) => {
                            let name = String::from_utf8_lossy(name);
                            format!("\x1bP1+r{name}={}\x1b\\", hex(value.as_bytes()))
                        }
                        None => "\x1bP0+r\x1b\\".into(),
                    };
                    self.reply(&answer);
                }
            }
        }
    }

    fn setting(&self, name: &[u8]) -> Option<String> {
        match name {
            b"m" => {
                let mut text = String::from("0");
                sgr::parameters(&mut text, &sgr::Style::of(&self.grid.cursor.template));
                Some(text + "m")
            }
            b"r" => Some(format!("{};{}r", self.region.start.0 + 1, self.region.end.0)),
            b" q" => {
                let style = match self.cursor_style {
                    None => 1,
                    Some((shape, blinks)) => cursor_style_number(shape, blinks),
                };
                Some(format!("{style} q"))
            }
            b"\"p" => Some("62;1\"p".into()),
            b"\"q" => Some("0\"q".into()),
            _ => None,
        }
    }
}

/// The parameter of DECSCUSR.
pub fn cursor_style_number(shape: CursorShape, blinks: bool) -> u8 {
    let steady = match shape {
        CursorShape::Underline => 4,
        CursorShape::Beam => 6,
        _ => 2,
    };
    steady - u8::from(blinks)
}

/// A capability by its name in hexadecimal digits.
fn capability(name: &[u8]) -> Option<&'static str> {
    let name: Vec<u8> = name
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    match &name[..] {
        b"TN" | b"name" => Some("xterm-256color"),
        b"Co" | b"colors" => Some("256"),
        b"RGB" => Some("8/8/8"),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
