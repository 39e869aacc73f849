//! The modes of a terminal.

/// What the mouse reports, by the number of the private mode that asked for it; 0 is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mouse(pub u16);

/// Modes that are on or off, and the few that have values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    pub(super) bits: u16,
    /// 0, 9, 1000, 1002 or 1003.
    pub mouse: Mouse,
    /// How it reports: 0, 1005, 1006, 1015 or 1016.
    pub mouse_encoding: u16,
    /// Mode 1007, if the program ever set or reset it.
    pub alternate_scroll: Option<bool>,
}

impl Default for Modes {
    fn default() -> Self {
        Modes {
            bits: Self::WRAP | Self::SHOW_CURSOR,
            mouse: Mouse::default(),
            mouse_encoding: 0,
            alternate_scroll: None,
        }
    }
}

impl Modes {
    /// Cursor keys send application sequences (DECCKM).
    pub const APP_CURSOR: u16 = 1;
    /// The keypad sends application sequences (DECKPAM).
    pub const APP_KEYPAD: u16 = 1 << 1;
    /// Printing moves what follows to the right (IRM).
    pub const INSERT: u16 = 1 << 2;
    /// A line feed also returns the carriage (LNM).
    pub const NEW_LINE: u16 = 1 << 3;
    /// Positions count from the region that scrolls (DECOM).
    pub const ORIGIN: u16 = 1 << 4;
    /// Printing goes on in the next line (DECAWM).
    pub const WRAP: u16 = 1 << 5;
    /// The cursor is seen (DECTCEM).
    pub const SHOW_CURSOR: u16 = 1 << 6;
    /// Pasted text comes in brackets.
    pub const PASTE: u16 = 1 << 7;
    /// The terminal reports when it gets and loses the focus.
    pub const FOCUS: u16 = 1 << 8;
    /// Foreground and background change places (DECSCNM).
    pub const REVERSE: u16 = 1 << 9;
    /// The cursor blinks (mode 12).
    pub const BLINK: u16 = 1 << 10;
    /// An update is under way (mode 2026).
    pub const UPDATE: u16 = 1 << 11;

    /// Private modes that are on or off, by number.
    pub const PRIVATE: [(u16, u16); 10] = [
        (1, Self::APP_CURSOR),
        (5, Self::REVERSE),
        (6, Self::ORIGIN),
        (7, Self::WRAP),
        (12, Self::BLINK),
        (25, Self::SHOW_CURSOR),
        (66, Self::APP_KEYPAD),
        (1004, Self::FOCUS),
        (2004, Self::PASTE),
        (2026, Self::UPDATE),
    ];

    /// Whether a mode is on.
    pub fn has(self, mode: u16) -> bool {
        self.bits & mode != 0
    }

    /// Turns a mode on or off.
    pub fn set(&mut self, mode: u16, on: bool) {
        if on {
            self.bits |= mode;
        } else {
            self.bits &= !mode;
        }
    }

    /// The mode behind a private mode's number.
    pub fn private(number: u16) -> Option<u16> {
        Self::PRIVATE.iter().find(|(n, _)| *n == number).map(|(_, mode)| *mode)
    }

    /// Sets or resets what the mouse reports, or how.
    pub fn set_mouse(&mut self, number: u16, on: bool) {
        let value = if on { number } else { 0 };
        match number {
            9 | 1000 | 1002 | 1003 => self.mouse = Mouse(value),
            _ => self.mouse_encoding = value,
        }
    }
}
