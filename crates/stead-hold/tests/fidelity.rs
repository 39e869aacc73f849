//! A repainted terminal is the same as one that never left.
//!
//! The judge is another implementation, xterm.js. What it alone does differently is kept out of the generated
//! streams; the recordings of real programs are taken as they are.

#[allow(dead_code, reason = "shared with other tests")]
mod common;

use common::oracle::{Case, Oracle};
use common::record::Recording;
use proptest::prelude::*;
use std::fmt::Write;
use std::fs;
use stead_wire::session::Size;

/// A state that another session left a terminal in.
const DIRT: &str = "old text\r\n\x1b[5;9r\x1b[?6;1;2004;1003;1006;1004h\x1b[4h\x1b[20h\x1b[?7;25l\x1b)0\x0e\
    \x1b[1;4:3;31;45mdirty\x1b]8;;http://x\x1b\\ link\x1b7\x1b[?1049h\x1b[2;3r alt\x1b=\x1b[5 q\x1b[?12h\
    \x1b]2;other\x07\x1b]0;unfinished";

/// Plain, wide and combined text.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ -~]{1,10}",
        2 => "[ -~]{20,50}",
        1 => " {3,30}",
        3 => prop::sample::select(vec!["界", "한국", "e\u{301}x", "é", "▒", "x界y", "ａ", "😀"])
            .prop_map(String::from),
    ]
}

/// Left out: overline (53) and the second blink (6), which cells have no room for; the default underline colour (59),
/// which xterm.js takes for white.
fn sgr() -> impl Strategy<Value = String> {
    let parameter = prop_oneof![
        4 => prop::sample::select(vec![0_u16, 1, 2, 3, 4, 5, 7, 8, 9, 21, 22, 23, 24, 25, 27, 28, 29])
            .prop_map(|n| n.to_string()),
        4 => prop_oneof![30..=37_u16, 40..=47_u16, 90..=97_u16, 100..=107_u16].prop_map(|n| n.to_string()),
        1 => prop::sample::select(vec![39_u16, 49]).prop_map(|n| n.to_string()),
        1 => any::<u8>().prop_map(|n| format!("38;5;{n}")),
        1 => any::<u8>().prop_map(|n| format!("48;5;{n}")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("48;2;{r};{g};{b}")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("38:2::{r}:{g}:{b}")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("4:3;58:2::{r}:{g}:{b}")),
        1 => (0..=5_u8).prop_map(|n| format!("4:{n}")),
    ];
    prop::collection::vec(parameter, 0..4).prop_map(|list| format!("\x1b[{}m", list.join(";")))
}

fn number() -> impl Strategy<Value = u16> {
    prop_oneof![3 => 0..6_u16, 2 => 0..30_u16, 1 => Just(500_u16)]
}

fn cursor_to() -> impl Strategy<Value = String> {
    (number(), number()).prop_map(|(a, b)| format!("\x1b[{a};{b}H"))
}

fn one_of(list: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(list).prop_map(String::from)
}

/// Erasing and moving within the screen. Left out: SD (T) on a coloured background, which xterm.js does not
/// extend to the lines that come in.
fn edit() -> impl Strategy<Value = String> {
    let finals: Vec<char> = "@JKLMPSX".chars().collect();
    prop_oneof![
        8 => (prop::sample::select(finals), number())
            .prop_map(|(f, n)| format!("\x1b[{}{f}", if "JK".contains(f) { n % 3 } else { n })),
        1 => number().prop_map(|n| format!("\x1b[m\x1b[{n}T")),
        3 => one_of(&["\r\n", "\n", "\r", "\x08", "\t", "\x0b", "\x07", "\x1bD", "\x1bE", "\x1bM"]),
    ]
}

/// Moves of the cursor.
fn motion() -> impl Strategy<Value = String> {
    let finals: Vec<char> = "ABCDEFGIZ`abcde".chars().filter(|c| !"bc".contains(*c)).collect();
    prop_oneof![
        2 => (prop::sample::select(finals), number()).prop_map(|(f, n)| format!("\x1b[{n}{f}")),
        2 => cursor_to(),
    ]
}

/// Modes, and sequences that come in groups. The groups keep away from these habits of xterm.js:
/// - Saving the cursor leaves out underline style and hyperlink, and keeps a character set that restoring does
///   not take back: both are done with a plain pen.
/// - In origin mode, moves that are relative to the cursor count the origin twice: only absolute ones occur.
/// - Without wrapping, overwriting the second half of a wide character in the last column leaves the first.
/// - Resets leave LNM and the blinking of the cursor on, and RIS leaves it hidden: these are set right before.
/// - In insert mode, nothing tells where a combining character goes after a repaint; RIS and DECALN as usual.
fn group() -> impl Strategy<Value = String> {
    let ascii = || "[!-~]{1,30}";
    prop_oneof![
        3 => (number(), number()).prop_map(|(a, b)| format!("\x1b[{a};{b}r")),
        4 => (
            prop::sample::select(vec![1, 12, 25, 66, 1000, 1002, 1003, 1004, 1006, 1016, 2004, 2026]),
            prop::sample::select(vec!['h', 'l']),
        )
            .prop_map(|(mode, set)| format!("\x1b[?{mode}{set}")),
        2 => one_of(&[
            "\x1b=", "\x1b>", "\x1b[20h", "\x1b[20l", "\x1b[0 q", "\x1b[1 q", "\x1b[4 q", "\x1b[5 q", "\x1b]2;title\x07",
            "\x1b]0;other\x1b\\", "\x1b[>1u", "\x1b[<u", "\x1b[>4;2m", "\x1b]4;1;#ff0000\x07", "\x1b]133;A\x07", "\x1bP+q\x1b\\",
            "\x1b[22;2t\x1b]2;inner\x07", "\x1b[22;2t\x1b]2;inner\x07\x1b[23;2t", "\x1b_Gx\x1b\\", "\x1b[?1;2c",
        ]),
        1 => one_of(&["\x1b[20l\x1b[?12l\x1b[!p", "\x1b[20l\x1b[?12l\x1b[?25h\x1bc", "\x1b[m\x1b[r\x1b#8"]),
        2 => one_of(&["\x1b]8;;http://a/?x;y\x1b\\", "\x1b]8;id=1;http://b\x07", "\x1b]8;;\x1b\\"]),
        2 => (1..60_u16).prop_map(|n| format!("\x1b[{n}b")).prop_flat_map(move |rep| ascii().prop_map(move |t| t + &rep)),
        1 => "[a-z]{1,20}".prop_map(|t| format!("\x1b(0{t}\x1b(B")),
        1 => "[a-z]{1,20}".prop_map(|t| format!("\x1b)0\x0e{t}\x0f\x1b)B")),
        2 => (sgr(), cursor_to()).prop_map(|(s, to)| format!("\x1b]8;;\x07\x1b[m{to}\x1b[31;44;1m\x1b7\x1b[m{s}")),
        2 => Just("\x1b]8;;\x07\x1b[m\x1b8".to_owned()),
        1 => (ascii(), ascii()).prop_map(|(a, b)| format!("\x1b[2K\x1b[?7l{a}\x1b[3G{b}\x1b[?7h")),
        1 => (cursor_to(), ascii(), text()).prop_map(|(to, a, b)| {
            let b: String = b.chars().filter(|c| *c != '\u{301}').collect();
            format!("\x1b[4h{a}{to}{b}\x1b[4l")
        }),
        1 => (1..6_u16, 6..12_u16, prop::collection::vec(prop_oneof![text(), edit(), sgr(), cursor_to()], 0..6))
            .prop_map(|(a, b, inside)| {
                format!("\x1b[{a};{b}r\x1b[?6h{}\x1b[?6l\x1b[r", inside.concat())
            }),
    ]
}

/// Changes of screen. xterm.js keeps region, tabs and saved cursor for each screen, and others for both: the
/// region is reset and the cursor saved around a change, and tab stops change only where screens do not.
fn screens() -> impl Strategy<Value = String> {
    one_of(&[
        "\x1b[r\x1b[m\x1b]8;;\x07\x1b[41m\x1b[?1049h\x1b[m\x1b7",
        "\x1b[r\x1b[m\x1b]8;;\x07\x1b[?1049h\x1b7",
        "\x1b[r\x1b[m\x1b]8;;\x07\x1b[?1047h\x1b7",
        "\x1b[r\x1b[m\x1b]8;;\x07\x1b[?1049l",
        "\x1b[r\x1b[m\x1b]8;;\x07\x1b[?1047l",
        "\x1b[r\x1b[m\x1b]8;;\x07\x1b[?47l",
    ])
}

fn tabs() -> impl Strategy<Value = String> {
    one_of(&["\x1bH", "\x1b[g", "\x1b[3g", "\t", "\x1b[2I"])
}

fn stream(items: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    any::<bool>().prop_flat_map(move |with_screens| {
        let special = if with_screens { screens().boxed() } else { tabs().boxed() };
        let item = prop_oneof![
            6 => text(),
            4 => sgr(),
            4 => edit(),
            3 => motion(),
            3 => group(),
            1 => special,
        ];
        prop::collection::vec(item, items.clone())
    })
}

/// Streams for terminals of two rows or more: in a single row, xterm.js clears the end of the wrong line when a wide
/// character wraps.
///
/// 500 streams, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 500 };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn generated_streams(
        items in stream(1..50),
        (cols, rows) in (2..40_u16, 2..14_u16),
        cut in 0.0..=1.0_f64,
        dirty in any::<bool>(),
    ) {
        let output = items.concat().into_bytes();
        let (before, after) = output.split_at((output.len() as f64 * cut) as usize);
        let dirt = if dirty { DIRT } else { "" };
        let case = Case { size: Size { cols, rows }, before, after, dirt: dirt.as_bytes() };
        let found = Oracle::get().differences(&case);
        prop_assert!(found.is_empty(), "{}\ncut after {}", found.join("\n"), before.escape_ascii());
    }
}

/// Cuts a recording at many places.
fn check((size, output): (Size, Vec<u8>)) {
    const CUTS: usize = 40;
    assert!(!output.is_empty());
    // An odd step, so that cuts fall within sequences too.
    let step = (output.len() / CUTS) | 1;
    for cut in (0..=output.len()).step_by(step) {
        let (before, after) = output.split_at(cut);
        let case = Case { size, before, after, dirt: DIRT.as_bytes() };
        let found = Oracle::get().differences(&case);
        assert!(
            found.is_empty(),
            "cut at {cut} of {}:\n{}\nafter ...{}",
            output.len(),
            found.join("\n"),
            before[before.len().saturating_sub(200)..].escape_ascii()
        );
    }
}

const SIZE: Size = Size { cols: 80, rows: 24 };

/// A folder with a file of some lines to look at.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for n in 1..=200 {
        writeln!(lines, "line {n} é世界\tfn main() {{}}").unwrap();
    }
    fs::write(folder.path().join("text.rs"), lines).unwrap();
    folder
}

#[test]
fn vim() {
    let folder = folder();
    let mut vim = Recording::start(
        SIZE,
        folder.path(),
        &[
            "vim",
            "-N",
            "-u",
            "NONE",
            "-i",
            "NONE",
            "-n",
            "-c",
            "syntax on",
            "-c",
            "set nu title",
            "text.rs",
        ],
    );
    vim.wait("file", |s| s.contains("line 20 "));
    vim.send_and_wait("ihello\r\tworld\x1b", "text", |s| s.contains("world"));
    vim.send_and_wait(":split\r\x06", "second window", |s| s.matches("text.rs").count() > 1);
    vim.send_and_wait(":vsplit\rG", "end of the file", |s| s.contains("line 200 "));
    vim.send_and_wait(":set hlsearch cursorline\r/main\r", "search", |s| s.contains("/main"));
    vim.send(":qa!\r");
    check(vim.finish());
}

#[test]
fn less() {
    let folder = folder();
    let mut less = Recording::start(SIZE, folder.path(), &["less", "text.rs"]);
    less.wait("file", |s| s.contains("line 22 "));
    less.send_and_wait(" ", "next page", |s| s.contains("line 40 "));
    less.send_and_wait("/line 99\r", "search", |s| s.contains("line 99 "));
    less.send_and_wait("G", "end", |s| s.contains("line 200 "));
    less.send_and_wait("bk", "page before", |s| s.contains("line 160 "));
    less.send("q");
    check(less.finish());
}

#[test]
fn htop() {
    let folder = folder();
    let mut htop = Recording::start(SIZE, folder.path(), &["htop", "-d", "2"]);
    htop.wait("meters", |s| s.contains("F10"));
    htop.send_and_wait("t", "tree", |s| s.contains("F5List"));
    htop.send_and_wait("/zz", "search", |s| s.contains("Search"));
    htop.send_and_wait("\r", "keys", |s| s.contains("F1Help"));
    htop.send("q");
    check(htop.finish());
}

#[test]
fn top() {
    let folder = folder();
    let mut top = Recording::start(SIZE, folder.path(), &["top", "-d", "0.2"]);
    top.wait("processes", |s| s.contains("PID") && s.contains("COMMAND"));
    top.send_and_wait("1", "processors", |s| s.contains("%Cpu0"));
    top.send_and_wait("V", "tree", |s| s.contains("`- "));
    top.send("\x03");
    check(top.finish());
}

#[test]
fn tmux() {
    let folder = folder();
    // Keys that come at once are keys, not pasted text.
    let settings = "set -g assume-paste-time 0\nset -g default-command 'bash --norc --noprofile'\n";
    fs::write(folder.path().join("tmux.conf"), settings).unwrap();
    let mut tmux = Recording::start(
        SIZE,
        folder.path(),
        &["tmux", "-f", "tmux.conf", "new-session", "bash --norc --noprofile"],
    );
    tmux.wait("prompt", |s| s.contains("bash-"));
    tmux.send_and_wait("seq 40; echo one''two\r", "output", |s| s.contains("onetwo"));
    tmux.send_and_wait("\x02%", "second pane", |s| s.contains('│'));
    tmux.send_and_wait("printf '\\e[1;35mpu''rple\\e[m\\n'\r", "colour", |s| s.contains("purple"));
    tmux.send_and_wait("\x02\"", "third pane", |s| s.contains('─'));
    tmux.send_and_wait("\x02[", "copy mode", |s| s.contains("[0/"));
    tmux.send_and_wait("q", "end of copy mode", |s| !s.contains("[0/"));
    tmux.send_and_wait("\x02:", "command line", |s| s.lines().last() == Some(":"));
    tmux.send("kill-server\r");
    check(tmux.finish());
}

#[test]
fn bash() {
    // Keys that are typed before bash reads them would be echoed by the terminal driver instead.
    let after =
        |text: &'static str| move |s: &str| s.contains(text) && s.trim_end().ends_with("here>");
    let folder = folder();
    let mut bash = Recording::start(SIZE, folder.path(), &["bash", "--norc", "--noprofile", "-i"]);
    bash.wait("prompt", |s| s.contains('$') || s.contains('#'));
    bash.send_and_wait("PS1='\\[\\e[1;32m\\]here\\[\\e[m\\]> '\r", "new prompt", after("here>"));
    let long =
        "echo 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 en''d";
    bash.send_and_wait(
        &format!("{long}\x01\x06\x06\x06\x06 more\x05\r"),
        "long line",
        after("9 end"),
    );
    bash.send_and_wait("cat te\t | tail -3\r", "completed name", after("line 200 "));
    bash.send_and_wait("\x12tail", "search", |s| s.contains("reverse-i-search"));
    bash.send_and_wait("\r", "output", |s| {
        s.matches("line 200 ").count() > 1 && after("line 200 ")(s)
    });
    bash.send_and_wait("seq 50; printf '\\e[3;7mst''yled\\e[m\\n'\r", "style", after("styled\n"));
    bash.send("exit\r");
    check(bash.finish());
}
