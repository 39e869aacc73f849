//! Which of two versions of a Debian package is later.

use std::cmp::Ordering;

/// As dpkg orders them.
pub fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| part(&a.1, &b.1)).then_with(|| part(&a.2, &b.2))
}

/// Text that is no number, then a number, and so on.
fn part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = a.split_at(a.find(|c: char| c.is_ascii_digit()).unwrap_or(a.len()));
        let (text_b, rest_b) = b.split_at(b.find(|c: char| c.is_ascii_digit()).unwrap_or(b.len()));
        let ordered = letters(text_a, text_b);
        if ordered != Ordering::Equal {
            return ordered;
        }
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number_a, next_a) = rest_a.split_at(digits(rest_a));
        let (number_b, next_b) = rest_b.split_at(digits(rest_b));
        let (number_a, number_b) =
            (number_a.trim_start_matches('0'), number_b.trim_start_matches('0'));
        let ordered = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if ordered != Ordering::Equal {
            return ordered;
        }
        (a, b) = (next_a, next_b);
    }
    Ordering::Equal
}

/// A tilde is before the end, the end before letters, letters before everything else.
fn letters(a: &str, b: &str) -> Ordering {
    let rank = |letter: Option<u8>| match letter {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(letter),
        Some(letter) => i32::from(letter) + 256,
    };
    let (mut a, mut b) = (a.bytes(), b.bytes());
    loop {
        let (x, y) = (a.next(), b.next());
        let ordered = rank(x).cmp(&rank(y));
        if ordered != Ordering::Equal || (x.is_none() && y.is_none()) {
            return ordered;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let rising = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0-1+deb12u2",
            "1.0-1+deb12u10",
            "1.0-2",
            "1.0a-1",
            "1.0.1-1",
            "1.10-1",
            "2:0.1-1",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare("1.0-0", "1.0"), Ordering::Equal);
        assert_eq!(compare("01.0", "1.0"), Ordering::Equal);
    }
}
