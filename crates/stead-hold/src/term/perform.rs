//! What sequences mean: from the parser to the model.

use super::model::Model;
use super::modes::Modes;
use super::reply::Request;
use super::{palette, reply, sgr};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Hyperlink;
use alacritty_terminal::vte::ansi::{CharsetIndex, CursorShape, StandardCharset};
use alacritty_terminal::vte::{Params, Perform};

/// Most bytes of a device control string that are kept.
const MAX_CONTROL_STRING: usize = 4096;

impl Perform for Model {
    fn print(&mut self, c: char) {
        Model::print(self, c);
    }

    fn execute(&mut self, byte: u8) {
        self.last = None;
        match byte {
            0x07 => self.signals.push(super::Signal::Bell),
            0x08 => self.move_columns(-1),
            b'\t' => self.tab(true, 1),
            b'\n' | 0x0b | 0x0c => {
                self.line_feed();
                if self.modes.has(Modes::NEW_LINE) {
                    self.carriage_return();
                }
            }
            b'\r' => self.carriage_return(),
            0x0e => self.charset = CharsetIndex::G1,
            0x0f => self.charset = CharsetIndex::G0,
            _ => {}
        }
    }

    fn hook(&mut self, _: &Params, intermediates: &[u8], _: bool, action: char) {
        self.last = None;
        self.control_string = match (intermediates, action) {
            ([b'$'], 'q') => Some((Request::Setting, Vec::new())),
            ([b'+'], 'q') => Some((Request::Capability, Vec::new())),
            _ => None,
        };
    }

    fn put(&mut self, byte: u8) {
        if let Some((_, text)) = &mut self.control_string
            && text.len() < MAX_CONTROL_STRING
        {
            text.push(byte);
        }
    }

    fn unhook(&mut self) {
        self.last = None;
        if let Some((request, text)) = self.control_string.take() {
            self.answer_request(request, &text);
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], bell_terminated: bool) {
        self.last = None;
        self.operating_system_command(params, bell_terminated);
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let last = self.last.take();
        if ignore {
            return;
        }
        let mut values = params.iter().map(|p| p[0]);
        let first = values.next().unwrap_or(0);
        let second = values.next().unwrap_or(0);
        let count = usize::from(first.max(1));
        let rows = i32::from(first.max(1));
        match (intermediates, action) {
            ([], '@') => self.insert_chars(count),
            ([], 'A') => self.move_rows(-rows),
            ([], 'B') => self.move_rows(rows),
            ([], 'C' | 'a') => self.move_columns(rows),
            ([], 'D') => self.move_columns(-rows),
            ([], 'E') => {
                self.move_rows(rows);
                self.carriage_return();
            }
            ([], 'F') => {
                self.move_rows(-rows);
                self.carriage_return();
            }
            ([], 'G' | '`') => {
                let line = self.grid.cursor.point.line;
                self.set_cursor(line.0, count - 1);
            }
            ([], 'H' | 'f') => self.go_to(rows - 1, usize::from(second.max(1)) - 1),
            ([], 'I') => self.tab(true, count),
            ([] | [b'?'], 'J') => self.erase_in_display(first),
            ([] | [b'?'], 'K') => match first {
                0 => self.erase_in_line(self.rest_of_line()),
                1 => self.erase_in_line(self.start_of_line()),
                2 => self.erase_in_line(0..self.cols()),
                _ => {}
            },
            ([], 'L') => self.shift_lines(false, count),
            ([], 'M') => self.shift_lines(true, count),
            ([], 'P') => self.delete_chars(count),
            ([], 'S') => self.scroll(true, count),
            ([], 'T') if params.len() <= 1 => self.scroll(false, count),
            ([], 'X') => self.erase_chars(count),
            ([], 'Z') => self.tab(false, count),
            ([], 'b') => {
                if let Some(c) = last {
                    (0..count).for_each(|_| Model::print(self, c));
                    self.last = None;
                }
            }
            ([], 'd') => {
                let column = self.grid.cursor.point.column;
                self.go_to(rows - 1, column.0);
            }
            ([], 'e') => {
                let point = self.grid.cursor.point;
                self.set_cursor(point.line.0 + rows, point.column.0);
            }
            ([], 'g') => match first {
                0 => self.set_tab(false),
                3 => self.tabs.fill(false),
                _ => {}
            },
            ([b'?'], 'W') if first == 5 => {
                self.tabs = (0..self.cols()).map(super::model::default_tab).collect();
            }
            ([], 'h' | 'l') => {
                for mode in params.iter().map(|p| p[0]) {
                    match mode {
                        4 => self.modes.set(Modes::INSERT, action == 'h'),
                        20 => self.modes.set(Modes::NEW_LINE, action == 'h'),
                        _ => {}
                    }
                }
            }
            ([b'?'], 'h' | 'l') => {
                params.iter().for_each(|p| self.set_private_mode(p[0], action == 'h'));
            }
            ([], 'm') => sgr::apply(&mut self.grid.cursor.template, params),
            ([b'>'], 'm') if matches!(first, 0 | 4) => self.modify_other_keys = second.min(3) as u8,
            ([b'>'], 'n') if first == 4 => self.modify_other_keys = 0,
            ([b'!'], 'p') => self.soft_reset(),
            ([b' '], 'q') => self.set_cursor_style(first),
            ([], 'r') => self.set_region(first, second),
            ([], 's') => self.save_cursor(),
            ([], 'u') => self.restore_cursor(),
            ([], 't') if matches!((first, second), (22, 0 | 2)) => self.push_title(),
            ([], 't') if matches!((first, second), (23, 0 | 2)) => self.pop_title(),
            ([b'='], 'u') => self.keyboard().set(first as u8 & 31, second),
            ([b'>'], 'u') => self.keyboard().push(first as u8 & 31),
            ([b'<'], 'u') => self.keyboard().pop(count),
            _ => self.answer(intermediates, action, first, second),
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        self.last = None;
        if ignore {
            return;
        }
        match (intermediates, byte) {
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'D') => self.line_feed(),
            ([], b'E') => {
                self.carriage_return();
                self.line_feed();
            }
            ([], b'H') => self.set_tab(true),
            ([], b'M') => self.reverse_line_feed(),
            ([], b'Z') => self.answer(&[], 'c', 0, 0),
            ([], b'=') => self.modes.set(Modes::APP_KEYPAD, true),
            ([], b'>') => self.modes.set(Modes::APP_KEYPAD, false),
            ([], b'c') => self.full_reset(),
            ([], b'n') => self.charset = CharsetIndex::G2,
            ([], b'o') => self.charset = CharsetIndex::G3,
            ([b'#'], b'8') => self.align(),
            ([b'%'], b'@' | b'G') => {
                self.charset = CharsetIndex::G0;
                self.grid.cursor.charsets[CharsetIndex::G0] = StandardCharset::Ascii;
            }
            ([set @ (b'(' | b')' | b'*' | b'+')], name) => {
                let index = match set {
                    b'(' => CharsetIndex::G0,
                    b')' => CharsetIndex::G1,
                    b'*' => CharsetIndex::G2,
                    _ => CharsetIndex::G3,
                };
                self.grid.cursor.charsets[index] = match name {
                    b'0' => StandardCharset::SpecialCharacterAndLineDrawing,
                    _ => StandardCharset::Ascii,
                };
            }
            _ => {}
        }
    }
}

impl Model {
    fn carriage_return(&mut self) {
        self.grid.cursor.point.column = Column(0);
        self.grid.cursor.input_needs_wrap = false;
    }

    fn erase_in_display(&mut self, what: u16) {
        let line = self.grid.cursor.point.line;
        match what {
            0 => {
                self.erase_in_line(self.rest_of_line());
                self.erase_lines(line + 1..Line(self.rows()));
            }
            1 => {
                self.erase_in_line(self.start_of_line());
                self.erase_lines(Line(0)..line);
            }
            2 => self.erase_lines(self.whole_region()),
            _ => {}
        }
    }

    fn set_cursor_style(&mut self, style: u16) {
        let shape = match style {
            1 | 2 => CursorShape::Block,
            3 | 4 => CursorShape::Underline,
            5 | 6 => CursorShape::Beam,
            _ => {
                self.cursor_style = None;
                return;
            }
        };
        self.cursor_style = Some((shape, style % 2 == 1));
    }

    fn set_private_mode(&mut self, mode: u16, on: bool) {
        match mode {
            6 => {
                self.modes.set(Modes::ORIGIN, on);
                self.go_to(0, 0);
            }
            9 | 1000 | 1002 | 1003 | 1005 | 1006 | 1015 | 1016 => self.modes.set_mouse(mode, on),
            47 | 1047 | 1049 if on => {
                if mode == 1049 {
                    self.save_cursor();
                }
                self.enter_alternate();
            }
            47 | 1047 | 1049 => {
                self.leave_alternate();
                if mode == 1049 {
                    self.restore_cursor();
                }
            }
            1007 => self.modes.alternate_scroll = Some(on),
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            _ => {
                if let Some(bit) = Modes::private(mode) {
                    self.modes.set(bit, on);
                }
            }
        }
    }

    fn operating_system_command(&mut self, params: &[&[u8]], bell: bool) {
        let number = params[0];
        let rest = params.get(1..).unwrap_or_default();
        match number {
            b"0" | b"2" => self.set_title(&String::from_utf8_lossy(&rest.join(&b';'))),
            b"4" => {
                for pair in rest.chunks_exact(2) {
                    if let Some(index) = number_of(pair[0]).filter(|index| *index < 256) {
                        self.color(index, pair[1], bell, &format!("4;{index}"));
                    }
                }
            }
            b"8" if !rest.is_empty() => {
                let uri = printable(&rest[1..].join(&b';'));
                let id = rest[0].split(|b| *b == b':').find_map(|part| part.strip_prefix(b"id="));
                let id = id.filter(|id| !id.is_empty()).map(printable);
                let link = (!uri.is_empty()).then(|| Hyperlink::new(id, uri));
                self.grid.cursor.template.set_hyperlink(link);
            }
            b"10" | b"11" | b"12" => {
                let first = number_of(number).unwrap_or(10);
                for (code, spec) in (first..=12).zip(rest) {
                    self.color(palette::FOREGROUND + code - 10, spec, bell, &code.to_string());
                }
            }
            b"104" => {
                if rest.iter().all(|index| index.is_empty()) {
                    self.palette.reset_indexed();
                }
                rest.iter()
                    .filter_map(|index| number_of(index))
                    .for_each(|i| self.palette.reset(i));
            }
            b"7501" if rest == [b"?"] => self.replies.extend_from_slice(reply::PROGRAM_STATUS),
            b"110" => self.palette.reset(palette::FOREGROUND),
            b"111" => self.palette.reset(palette::BACKGROUND),
            b"112" => self.palette.reset(palette::CURSOR),
            _ => {
                if let Some(signal) = super::signal::of_command(number, rest) {
                    self.signals.push(signal);
                }
            }
        }
    }

    fn color(&mut self, index: u16, spec: &[u8], bell: bool, code: &str) {
        if spec == b"?" {
            self.answer_color(index, code, bell);
        } else if let Some(color) = palette::parse_color(spec) {
            self.palette.set(index, color);
        }
    }
}

/// Text without what would end a sequence that it is put into.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect()
}

fn number_of(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
