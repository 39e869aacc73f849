//! Text from a machine that a terminal shows.

/// So long a line of evidence may be.
const LONG: usize = 400;

/// The text without what a terminal acts on or shows other than it is, and not too long.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONG + 8));
    for (count, letter) in text.chars().enumerate() {
        if count == LONG {
            out.push('…');
            break;
        }
        out.push(if harmless(letter) { letter } else { '?' });
    }
    out
}

/// Neither a control character nor one that turns around or hides its neighbours.
fn harmless(letter: char) -> bool {
    let hidden = matches!(
        u32::from(letter),
        0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF
            | 0xFFF9..=0xFFFC | 0xE0000..=0xE0FFF
    );
    !letter.is_control() && !hidden
}

/// Some of many, by name, and how many more.
pub fn some<T: AsRef<str>>(all: &[T]) -> String {
    let shown: Vec<&str> = all.iter().take(5).map(AsRef::as_ref).collect();
    match all.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
