//! Values of options, as people write them.

use std::time::Duration;

/// Reads `NAME=VALUE`, or `NAME` for one that is set here.
pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        None if !text.is_empty() => std::env::var(text)
            .map(|value| (text.to_owned(), value))
            .map_err(|_| format!("{text} is not set here: write {text}=VALUE")),
        _ => {
            Err("a variable is written NAME=VALUE, or NAME to hand on the one that is set here"
                .into())
        }
    }
}

/// Reads `250ms`, `30s`, `5m`, `2h`, `1d`; a plain number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong_duration())?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86400.0,
        _ => return Err(wrong_duration()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong_duration())
}

fn wrong_duration() -> String {
    "a duration is a number with ms, s, m, h or d, such as 30s".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "-1s", "1y", "1e400"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
