//! Colours: what the program changed, and what it is told when it asks.

use std::collections::BTreeMap;
use stead_wire::message::Colors;

/// A colour as `[red, green, blue]`.
pub type Rgb = [u8; 3];

/// Index of the foreground; the background and the cursor follow.
pub const FOREGROUND: u16 = 256;
/// Index of the background.
pub const BACKGROUND: u16 = 257;
/// Index of the cursor's colour.
pub const CURSOR: u16 = 258;

/// The colours of a terminal: 0 to 255, then foreground, background and cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette {
    /// What the person's terminal has.
    colors: Colors,
    /// What the program changed; `None` where it took the change back.
    changed: BTreeMap<u16, Option<Rgb>>,
}

impl Palette {
    /// Says what the person's terminal has.
    pub fn set_defaults(&mut self, colors: Colors) {
        self.colors = colors;
    }

    /// Changes a colour.
    pub fn set(&mut self, index: u16, color: Rgb) {
        self.changed.insert(index, Some(color));
    }

    /// Takes a change back.
    pub fn reset(&mut self, index: u16) {
        if let Some(change) = self.changed.get_mut(&index) {
            *change = None;
        }
    }

    /// Takes back the changes of 0 to 255.
    pub fn reset_indexed(&mut self) {
        self.changed.range_mut(..FOREGROUND).for_each(|(_, change)| *change = None);
    }

    /// Takes all changes back.
    pub fn reset_all(&mut self) {
        self.changed.values_mut().for_each(|change| *change = None);
    }

    /// What the program changed; `None` where it took the change back.
    pub fn changes(&self) -> impl Iterator<Item = (u16, Option<Rgb>)> + '_ {
        self.changed.iter().map(|(index, color)| (*index, *color))
    }

    /// The colour that is seen.
    pub fn get(&self, index: u16) -> Rgb {
        if let Some(Some(color)) = self.changed.get(&index) {
            return *color;
        }
        match index {
            FOREGROUND | CURSOR => self.colors.foreground.unwrap_or([0xd0, 0xd0, 0xd0]),
            BACKGROUND => self.colors.background.unwrap_or([0, 0, 0]),
            _ => default_color(index as u8),
        }
    }

    /// Whether the background is dark.
    pub fn is_dark(&self) -> bool {
        let [r, g, b] = self.get(BACKGROUND).map(u32::from);
        r * 299 + g * 587 + b * 114 < 128_000
    }
}

/// xterm's colours.
fn default_color(index: u8) -> Rgb {
    const BASE: [Rgb; 16] = [
        [0, 0, 0],
        [205, 0, 0],
        [0, 205, 0],
        [205, 205, 0],
        [0, 0, 238],
        [205, 0, 205],
        [0, 205, 205],
        [229, 229, 229],
        [127, 127, 127],
        [255, 0, 0],
        [0, 255, 0],
        [255, 255, 0],
        [92, 92, 255],
        [255, 0, 255],
        [0, 255, 255],
        [255, 255, 255],
    ];
    let level = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
    match index {
        0..=15 => BASE[usize::from(index)],
        16..=231 => {
            let n = index - 16;
            [level(n / 36), level(n / 6 % 6), level(n % 6)]
        }
        232.. => [8 + (index - 232) * 10; 3],
    }
}

/// Reads a colour as `rgb:R/G/B` with one to four hexadecimal digits each, or `#RGB` with one to four each.
pub fn parse_color(text: &[u8]) -> Option<Rgb> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(parts) = text.strip_prefix("rgb:") {
        let mut parts = parts.split('/').map(|part| {
            let max =
                16_u32.checked_pow(part.len() as u32).filter(|_| (1..=4).contains(&part.len()))?
                    - 1;
            u32::from_str_radix(part, 16).ok().map(|value| (value * 255 / max) as u8)
        });
        let color = [parts.next()??, parts.next()??, parts.next()??];
        return parts.next().is_none().then_some(color);
    }
    let digits = text.strip_prefix('#')?;
    let each = digits.len() / 3;
    if digits.len() % 3 != 0 || !(1..=4).contains(&each) || !digits.is_ascii() {
        return None;
    }
    let part = |i: usize| {
        let value = u32::from_str_radix(&digits[i * each..(i + 1) * each], 16).ok()?;
        Some(if each == 1 { value << 4 } else { value >> (4 * (each - 2)) } as u8)
    };
    Some([part(0)?, part(1)?, part(2)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read() {
        assert_eq!(parse_color(b"rgb:ff/80/00"), Some([255, 128, 0]));
        assert_eq!(parse_color(b"rgb:ffff/0/8000"), Some([255, 0, 127]));
        assert_eq!(parse_color(b"#102030"), Some([16, 32, 48]));
        assert_eq!(parse_color(b"#abc"), Some([0xa0, 0xb0, 0xc0]));
        for bad in
            [&b"red"[..], b"rgb:1/2", b"rgb:1/2/3/4", b"#12", b"rgb:12345/1/1", b"#\xff\xff\xff"]
        {
            assert_eq!(parse_color(bad), None);
        }
    }

    #[test]
    fn a_change_is_remembered_after_it_is_taken_back() {
        let mut palette = Palette::default();
        palette.set(1, [1, 2, 3]);
        palette.reset_indexed();
        assert_eq!(palette.get(1), [205, 0, 0]);
        assert_eq!(palette.changes().collect::<Vec<_>>(), [(1, None)]);
        assert_eq!(palette.get(231), [255, 255, 255]);
        assert_eq!(palette.get(16), [0, 0, 0]);
        assert!(palette.is_dark());
    }
}
