//! Tests of the terminal against itself.

use super::*;
use crate::term::model::Model;
use alacritty_terminal::term::cell::Flags;
use proptest::prelude::*;
use std::fmt::Write as _;

pub(super) fn size(cols: u16, rows: u16) -> Size {
    Size { cols, rows }
}

pub(super) fn terminal(cols: u16, rows: u16, output: &str) -> Terminal {
    let mut terminal = Terminal::new(size(cols, rows));
    terminal.feed(output.as_bytes());
    terminal
}

/// Everything that a repaint has to bring back, as text that can be compared and read.
pub(super) fn state(model: &Model) -> String {
    let mut out = String::new();
    let layout = Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER;
    let grids = [Some(&model.grid), model.primary.as_ref()];
    for (n, grid) in grids.into_iter().flatten().enumerate() {
        for line in 0..model.rows() {
            let row = &grid[Line(line)];
            for cell in &row[..] {
                let mut cell = cell.clone();
                cell.flags.remove(layout);
                let shown = &mut out;
                if cell == alacritty_terminal::term::cell::Cell::default() {
                    shown.push('.');
                } else {
                    let link = cell.hyperlink().map(|l| l.uri().to_owned());
                    let (style, zero) = (sgr::Style::of(&cell), cell.zerowidth().unwrap_or(&[]));
                    let plain = style == sgr::Style::DEFAULT && link.is_none() && zero.is_empty();
                    if plain && cell.flags.is_empty() {
                        shown.push(cell.c);
                    } else {
                        write!(
                            shown,
                            "<{:?} {style:?} {link:?} {zero:?} {:?}>",
                            cell.c, cell.flags
                        )
                        .unwrap();
                    }
                }
            }
            out.push('\n');
        }
        let mut saved = grid.saved_cursor.clone();
        saved.input_needs_wrap = false;
        // Where the hidden primary screen's cursor was does not matter: the cursor comes with the switch.
        for cursor in [&saved, &grid.cursor].into_iter().take(2 - n) {
            let style = sgr::Style::of(&cursor.template);
            let link = cursor.template.hyperlink().map(|l| l.uri().to_owned());
            let (point, wrap) = (cursor.point, cursor.input_needs_wrap);
            writeln!(out, "cursor {point:?} {wrap} {:?} {style:?} {link:?}", cursor.charsets)
                .unwrap();
        }
    }
    writeln!(out, "{:?} {:?} {:?} {:?}", model.modes, model.region, model.tabs, model.charset)
        .unwrap();
    writeln!(out, "{:?} {:?}", model.cursor_style, model.title).unwrap();
    let keyboards = &model.keyboards[..=usize::from(model.alternate())];
    writeln!(out, "{keyboards:?} {}", model.modify_other_keys).unwrap();
    out
}

#[test]
fn text_and_cursor() {
    let terminal = terminal(10, 3, "one\r\n\x1b[1mtwo\x1b[m  \x1b[3;4H界e\u{301}");
    assert_eq!(terminal.text(), ["one", "two", "   界e\u{301}"]);
    assert_eq!(terminal.cursor(), (6, 2, true));
    assert!(!terminal.alternate());
}

/// Repaints into a terminal in some other state and compares.
fn assert_repaints(terminal: &Terminal, dirt: &str) {
    let mut other = Terminal::new(terminal.size());
    other.feed(dirt.as_bytes());
    other.take_replies();
    other.feed(&terminal.repaint());
    assert!(other.pending().is_empty());
    assert_eq!(other.take_replies(), b"");
    // Titles that somebody else saved stay below.
    assert!(other.model.titles.ends_with(&terminal.model.titles));
    // So do colours that this program never touched.
    for (index, _) in terminal.model.palette.changes() {
        assert_eq!(terminal.model.palette.get(index), other.model.palette.get(index));
    }
    let (expected, actual) = (state(&terminal.model), state(&other.model));
    for (n, (a, b)) in expected.lines().zip(actual.lines()).enumerate() {
        assert_eq!(a, b, "line {n} after {}", terminal.repaint().escape_ascii());
    }
}

const DIRT: &str = "\x1b[5;9r\x1b[?6;1;2004;1003;1006h\x1b[4h\x1b[20h\x1b[?7;25l\x1b)0\x0e\x1b[1;4:3;31;45m\
    dirty \x1b]8;;http://x\x1b\\ link\x1b7\x1b[?1049h\x1b[2;3r alt\x1b[3g\x1b[>5u\x1b[>7u\x1b[=3u\x1b=\x1b[5 qabc\
    \x1b[>4;2m\x1b[?1004;12;5h\x1b]0;unfinished";

#[test]
fn repaint_brings_everything_back() {
    for output in [
        "",
        "hello\r\nworld",
        "\x1b[1;31mred\x1b[0;44m blue   \x1b[K\r\n\x1b[48;2;1;2;3m\x1b[2;5Hx\x1b[4X\x1b[m",
        "\x1b[4:3;58:2::1:2:3mcurl\x1b[4:4mdots\x1b[21mdouble\x1b[24;9mgone\x1b[5;7;8;2;3mall",
        "0123456789012345678901234567890123456789",
        "01234567890123456789\x1b[31m",
        "012345678901234567界\x1b[1m",
        "0123456789012345678界e\u{301}",
        "\x1b(0lqqk\x1b(B \x1b)0\x0ex",
        "\x1b]8;id=a;http://a/?b;c\x1b\\link\x1b]8;;\x1b\\ \x1b]8;;http://d\x1b\\more",
        "\x1b[2;4r\x1b[?6h\x1b[2;2Hx",
        "\x1b[3;7H\x1b[1m\x1b7\x1b[m\x1b[H",
        "one\x1b[?1049htwo\x1b[3;3H\x1b7\x1b[>1u\x1b[>3u",
        "one\x1b[32m\x1b[?1049h\x1b[mtwo\x1b[2;3H\x1b[44m\x1b[J",
        "\x1b[>1u\x1b[=8;2u",
        "\x1b[3g\x1b[5G\x1bH\x1b[9G\x1bH",
        "\x1b]2;first\x07\x1b[22;2t\x1b]2;second\x07",
        "\x1b]4;1;#102030\x07\x1b]11;#ffffff\x07\x1b]4;2;#111111\x07\x1b]104;2\x07",
        "\x1b[?1;1000;1006;2004;1004;7l\x1b[?1002;1006;2004h\x1b[?7l\x1b[4 q\x1b[?25l\x1b=",
        "\x1b[?7lxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "\x1b[4habc\x1b[1Gx",
        "\x1b[44m\x1b[2J\x1b[m\x1b[3;4Hhi",
        "    indented\r\n\x1b[7m    \x1b[m    \x1b[4m \x1b[m",
        "\x1b[?1049h\x1b[?1049l",
    ] {
        let mut terminal = terminal(20, 10, output);
        terminal.take_replies();
        for dirt in ["", DIRT, "\x1b[?1049h\x1b[31mx\x1b[>1u\x1b[", "\x1bP1"] {
            assert_repaints(&terminal, dirt);
        }
    }
}

/// A piece of output of the kinds that programs really print, and of some that they do not.
pub(super) fn piece() -> impl Strategy<Value = String> {
    let n = || 0..14_u16;
    prop_oneof![
        8 => "[ -~]{1,12}",
        2 => "[ -~]{20,60}",
        3 => prop::sample::select(vec!["界", "한국", "e\u{301}", "é", "▒", "x界y"]).prop_map(String::from),
        4 => prop::sample::select(vec!["\r\n", "\n", "\r", "\x08", "\t", "\x1bD", "\x1bM", "\x1bE", "\x07"])
            .prop_map(String::from),
        5 => sgr(),
        6 => (prop::sample::select("ABCDEFGHIJKLMPSTXZ@abdef`".chars().collect::<Vec<_>>()), n(), n())
            .prop_map(|(f, a, b)| if "Hf".contains(f) { format!("\x1b[{a};{b}{f}") } else { format!("\x1b[{a}{f}") }),
        2 => (n(), n()).prop_map(|(a, b)| format!("\x1b[{a};{b}r")),
        2 => (
            prop::sample::select(vec![1, 3, 5, 6, 7, 12, 25, 47, 66, 1000, 1002, 1003, 1004, 1006, 1047, 1048, 1049, 2004]),
            any::<bool>(),
        )
            .prop_map(|(m, on)| format!("\x1b[?{m}{}", if on { 'h' } else { 'l' })),
        2 => prop::sample::select(vec![
            "\x1b[4h", "\x1b[4l", "\x1b[20h", "\x1b[20l", "\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1b[g", "\x1b[3g", "\x1bH",
            "\x1b=", "\x1b>", "\x1b(0", "\x1b(B", "\x1b)0", "\x0e", "\x0f", "\x1bn", "\x1b[!p", "\x1b#8", "\x1b[3 q",
            "\x1b[0 q", "\x1b]2;t\x07", "\x1b[22t", "\x1b[23t", "\x1b]8;;http://a\x07", "\x1b]8;;\x1b\\",
            "\x1b]4;3;#123456\x07", "\x1b]104\x07", "\x1b[>1u", "\x1b[=5u", "\x1b[<u", "\x1b[>4;1m", "\x1b[c",
        ])
        .prop_map(String::from),
    ]
}

pub(super) fn sgr() -> impl Strategy<Value = String> {
    let parameter = prop_oneof![
        4 => (0..=9_u16).prop_map(|n| n.to_string()),
        4 => (20..=49_u16).prop_filter("takes more", |n| !matches!(n, 38 | 48)).prop_map(|n| n.to_string()),
        2 => (90..=107_u16).prop_map(|n| n.to_string()),
        1 => any::<u8>().prop_map(|n| format!("38;5;{n}")),
        1 => any::<u8>().prop_map(|n| format!("48;5;{n}")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("48;2;{r};{g};{b}")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("38:2::{r}:{g}:{b}")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("58:2::{r}:{g}:{b}")),
        1 => (0..=5_u8).prop_map(|n| format!("4:{n}")),
        1 => Just("59".to_owned()),
    ];
    prop::collection::vec(parameter, 0..4).prop_map(|list| format!("\x1b[{}m", list.join(";")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn repaint_brings_any_state_back(
        pieces in prop::collection::vec(piece(), 0..60),
        dirt in prop::collection::vec(piece(), 0..20),
        (cols, rows) in (2..30_u16, 1..12_u16),
        (later_cols, later_rows) in (2..30_u16, 1..12_u16),
        resize in any::<bool>(),
    ) {
        let mut terminal = terminal(cols, rows, &pieces.concat());
        if resize {
            terminal.resize(size(later_cols, later_rows));
        }
        assert_repaints(&terminal, &dirt.concat());
    }

    #[test]
    fn where_the_output_is_cut_does_not_matter(
        pieces in prop::collection::vec(piece(), 0..40),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(0..400_usize, 0..8),
    ) {
        let mut output = pieces.concat().into_bytes();
        output.extend(garbage);
        let mut whole = Terminal::new(size(20, 6));
        whole.feed(&output);
        let mut parts = Terminal::new(size(20, 6));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(output.len())).collect();
        cuts.extend([0, output.len()]);
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            parts.feed(&output[pair[0]..pair[1]]);
        }
        prop_assert_eq!(whole.pending(), parts.pending());
        prop_assert_eq!(whole.take_replies(), parts.take_replies());
        prop_assert_eq!(whole.take_signals(), parts.take_signals());
        prop_assert_eq!(state(&whole.model), state(&parts.model));
    }

    #[test]
    fn nothing_makes_it_panic(
        output in prop::collection::vec(any::<u8>(), 0..300),
        pieces in prop::collection::vec((piece(), 1..8_u16, 1..5_u16), 0..20),
    ) {
        let mut terminal = Terminal::new(size(5, 3));
        terminal.feed(&output);
        for (piece, cols, rows) in pieces {
            terminal.feed(piece.as_bytes());
            terminal.resize(size(cols, rows));
            terminal.feed(piece.as_bytes());
            terminal.repaint();
            terminal.text();
            terminal.cells();
            terminal.row_ansi(0, 1, 2);
        }
    }
}

/// Output of which much scrolls away.
fn bulk_piece() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "[ -~]{0,30}",
        2 => (sgr(), "[ -~]{0,10}", sgr()).prop_map(|(a, b, c)| a + &b + &c),
        1 => prop::sample::select(vec!["界界界", "e\u{301}\t", "\u{301}x", "\x1b[K", "\x1b[4Gx\x1b[2X", "\x08\x08", "\x1b[2@", "\x1b[3P"])
            .prop_map(String::from),
    ];
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\x0c"), 1 => Just("")];
    let lines = prop::collection::vec((line, end), 30..160);
    prop_oneof![
        3 => lines.prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect()),
        4 => piece(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn skipping_changes_nothing(
        pieces in prop::collection::vec((bulk_piece(), prop::option::weighted(0.1, (2..40_u16, 1..12_u16))), 1..20),
        chunk in prop_oneof![3 => Just(1_000_000), 1 => 2048..6000_usize, 1 => 1..3000_usize],
    ) {
        let (mut skipping, mut whole) = (Terminal::new(size(20, 6)), Terminal::without_skipping(size(20, 6)));
        let mut stream = String::new();
        for (piece, resize) in pieces {
            stream.push_str(&piece);
            if let Some((cols, rows)) = resize {
                feed_both(&mut skipping, &mut whole, &stream, chunk);
                stream.clear();
                skipping.resize(size(cols, rows));
                whole.resize(size(cols, rows));
            }
        }
        feed_both(&mut skipping, &mut whole, &stream, chunk);
        prop_assert_eq!(skipping.pending(), whole.pending());
        prop_assert_eq!(skipping.take_replies(), whole.take_replies());
        prop_assert_eq!(skipping.take_signals(), whole.take_signals());
        prop_assert_eq!(skipping.model.last, whole.model.last);
        prop_assert_eq!(state(&skipping.model), state(&whole.model));
    }
}

fn feed_both(one: &mut Terminal, other: &mut Terminal, stream: &str, chunk: usize) {
    for part in stream.as_bytes().chunks(chunk) {
        one.feed(part);
        other.feed(part);
    }
}

#[test]
fn most_of_a_flood_is_skipped() {
    let mut terminal = Terminal::new(size(80, 24));
    let flood = "\x1b[1;32mok\x1b[0m some line of a log\r\n".repeat(2000);
    let rest = bulk::skip(&mut terminal.parser, &mut terminal.model, flood.as_bytes());
    assert!(rest.len() < flood.len() / 20, "{} of {}", rest.len(), flood.len());
}

proptest! {
    #[test]
    fn printing_in_runs_changes_nothing(
        pieces in prop::collection::vec(piece(), 0..40),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
        (cols, rows) in (2..30_u16, 1..12_u16),
    ) {
        let mut output = pieces.concat().into_bytes();
        output.extend(garbage);
        // Closes what the garbage opened.
        output.extend(b"\x1b\\\x18.");
        let mut terminal = Terminal::new(size(cols, rows));
        terminal.feed(&output);
        let mut model = Model::new(size(cols, rows), 0);
        let mut parser: Parser = Parser::new();
        for byte in &output {
            parser.advance(&mut model, &[*byte]);
        }
        prop_assert_eq!(&terminal.model.replies, &model.replies);
        prop_assert_eq!(state(&terminal.model), state(&model));
    }
}

#[test]
fn a_wide_character_without_room_and_wrap() {
    let terminal = terminal(5, 2, "\x1b[?7lA0a한국\r\n");
    assert_eq!(terminal.text()[0], "A0a한");
    assert_repaints(&terminal, "");
}
