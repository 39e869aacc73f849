//! Select graphic rendition: from parameters to a pen, and from a pen to parameters.

use super::model::BLINK;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::Params;
use alacritty_terminal::vte::ansi::{Color, NamedColor, Rgb};
use std::fmt::Write;

/// The flags of a cell that are attributes rather than layout.
const ATTRIBUTES: Flags = Flags::from_bits_retain(
    Flags::INVERSE.bits()
        | Flags::BOLD_ITALIC.bits()
        | Flags::DIM.bits()
        | Flags::HIDDEN.bits()
        | Flags::STRIKEOUT.bits()
        | Flags::ALL_UNDERLINES.bits()
        | BLINK.bits(),
);

/// Attributes, with the parameter that turns each on.
pub const NAMES: [(Flags, &str, &str); 12] = [
    (Flags::BOLD, "1", "bold"),
    (Flags::DIM, "2", "dim"),
    (Flags::ITALIC, "3", "italic"),
    (Flags::UNDERLINE, "4", "underline"),
    (Flags::DOUBLE_UNDERLINE, "4:2", "double-underline"),
    (Flags::UNDERCURL, "4:3", "undercurl"),
    (Flags::DOTTED_UNDERLINE, "4:4", "dotted-underline"),
    (Flags::DASHED_UNDERLINE, "4:5", "dashed-underline"),
    (BLINK, "5", "blink"),
    (Flags::INVERSE, "7", "inverse"),
    (Flags::HIDDEN, "8", "hidden"),
    (Flags::STRIKEOUT, "9", "strike"),
];

/// How a cell looks, apart from its text and hyperlink.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Of the text.
    pub fg: Color,
    /// Behind it.
    pub bg: Color,
    /// Of the underline, if not that of the text.
    pub underline: Option<Color>,
    /// Attributes.
    pub flags: Flags,
}

impl Style {
    /// No colours, no attributes.
    pub const DEFAULT: Style = Style {
        fg: Color::Named(NamedColor::Foreground),
        bg: Color::Named(NamedColor::Background),
        underline: None,
        flags: Flags::empty(),
    };

    /// The style of a cell.
    pub fn of(cell: &Cell) -> Self {
        Style {
            fg: cell.fg,
            bg: cell.bg,
            underline: cell.underline_color(),
            flags: cell.flags & ATTRIBUTES,
        }
    }
}

/// Writes the sequence that leads from one style to another; nothing if they are the same.
pub fn transition(out: &mut String, from: &Style, to: &Style) {
    if from == to {
        return;
    }
    out.push_str("\x1b[");
    let start = out.len();
    let same_but_colors =
        from.flags == to.flags && (from.underline == to.underline || to.underline.is_some());
    if *to == Style::DEFAULT {
    } else if *from == Style::DEFAULT {
        parameters(out, to);
        out.remove(start);
    } else if same_but_colors {
        if from.fg != to.fg {
            color(out, to.fg, 30);
        }
        if from.bg != to.bg {
            color(out, to.bg, 40);
        }
        if let Some(underline) = to.underline.filter(|_| from.underline != to.underline) {
            color(out, underline, 50);
        }
        out.remove(start);
    } else {
        out.push('0');
        parameters(out, to);
    }
    out.push('m');
}

/// Writes the parameters of a style, each after a semicolon.
pub fn parameters(out: &mut String, style: &Style) {
    for (flag, parameter, _) in NAMES {
        if style.flags.contains(flag) {
            out.push(';');
            out.push_str(parameter);
        }
    }
    if style.fg != Style::DEFAULT.fg {
        color(out, style.fg, 30);
    }
    if style.bg != Style::DEFAULT.bg {
        color(out, style.bg, 40);
    }
    if let Some(underline) = style.underline {
        color(out, underline, 50);
    }
}

/// `base` is 30, 40 or 50: text, background, underline.
fn color(out: &mut String, color: Color, base: u16) {
    // Colons for underlines: who does not know the parameter then skips all of it.
    let result = match color {
        Color::Spec(Rgb { r, g, b }) if base == 50 => write!(out, ";58:2::{r}:{g}:{b}"),
        Color::Indexed(n) if base == 50 => write!(out, ";58:5:{n}"),
        Color::Spec(Rgb { r, g, b }) => write!(out, ";{};2;{r};{g};{b}", base + 8),
        Color::Indexed(n) => write!(out, ";{};5;{n}", base + 8),
        Color::Named(name) => match name as u16 {
            n @ 0..8 => write!(out, ";{}", base + n),
            n @ 8..16 => write!(out, ";{}", base + 60 + n - 8),
            _ => write!(out, ";{}", base + 9),
        },
    };
    debug_assert!(result.is_ok(), "writing to a string");
}

/// Applies the parameters of a sequence to a pen.
pub fn apply(pen: &mut Cell, params: &Params) {
    let mut params = params.iter();
    while let Some(param) = params.next() {
        match *param {
            [0] => {
                pen.fg = Style::DEFAULT.fg;
                pen.bg = Style::DEFAULT.bg;
                pen.flags = Flags::empty();
                pen.set_underline_color(None);
            }
            [1] => pen.flags.insert(Flags::BOLD),
            [2] => pen.flags.insert(Flags::DIM),
            [3] => pen.flags.insert(Flags::ITALIC),
            [4, 0] | [24] => pen.flags.remove(Flags::ALL_UNDERLINES),
            [4, 2] | [21] => underline(pen, Flags::DOUBLE_UNDERLINE),
            [4, 3] => underline(pen, Flags::UNDERCURL),
            [4, 4] => underline(pen, Flags::DOTTED_UNDERLINE),
            [4, 5] => underline(pen, Flags::DASHED_UNDERLINE),
            [4, ..] => underline(pen, Flags::UNDERLINE),
            [5] => pen.flags.insert(BLINK),
            [7] => pen.flags.insert(Flags::INVERSE),
            [8] => pen.flags.insert(Flags::HIDDEN),
            [9] => pen.flags.insert(Flags::STRIKEOUT),
            [22] => pen.flags.remove(Flags::DIM_BOLD),
            [23] => pen.flags.remove(Flags::ITALIC),
            [25] => pen.flags.remove(BLINK),
            [27] => pen.flags.remove(Flags::INVERSE),
            [28] => pen.flags.remove(Flags::HIDDEN),
            [29] => pen.flags.remove(Flags::STRIKEOUT),
            [n @ 30..=37] => pen.fg = Color::Named(named(n - 30)),
            [n @ 40..=47] => pen.bg = Color::Named(named(n - 40)),
            [n @ 90..=97] => pen.fg = Color::Named(named(n - 90 + 8)),
            [n @ 100..=107] => pen.bg = Color::Named(named(n - 100 + 8)),
            [39] => pen.fg = Style::DEFAULT.fg,
            [49] => pen.bg = Style::DEFAULT.bg,
            [59] => pen.set_underline_color(None),
            [what @ (38 | 48 | 58), ref sub @ ..] => {
                let color = if sub.is_empty() {
                    extended(&mut params.by_ref().map(|p| p[0]))
                } else {
                    // The colour space between the kind and the colour may be left out.
                    let skip = usize::from(sub.len() > 4);
                    extended(
                        &mut sub[..1].iter().chain(&sub[1 + skip.min(sub.len() - 1)..]).copied(),
                    )
                };
                match (what, color) {
                    (38, Some(color)) => pen.fg = color,
                    (48, Some(color)) => pen.bg = color,
                    (58, color @ Some(_)) => pen.set_underline_color(color),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn underline(pen: &mut Cell, style: Flags) {
    pen.flags.remove(Flags::ALL_UNDERLINES);
    pen.flags.insert(style);
}

fn extended(values: &mut dyn Iterator<Item = u16>) -> Option<Color> {
    let byte = |values: &mut dyn Iterator<Item = u16>| u8::try_from(values.next()?).ok();
    match values.next()? {
        2 => Some(Color::Spec(Rgb { r: byte(values)?, g: byte(values)?, b: byte(values)? })),
        5 => byte(values).map(Color::Indexed),
        _ => None,
    }
}

fn named(n: u16) -> NamedColor {
    use NamedColor as C;
    const NAMES: [NamedColor; 16] = [
        C::Black,
        C::Red,
        C::Green,
        C::Yellow,
        C::Blue,
        C::Magenta,
        C::Cyan,
        C::White,
        C::BrightBlack,
        C::BrightRed,
        C::BrightGreen,
        C::BrightYellow,
        C::BrightBlue,
        C::BrightMagenta,
        C::BrightCyan,
        C::BrightWhite,
    ];
    NAMES[usize::from(n)]
}
