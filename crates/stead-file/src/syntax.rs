//! What the parser of TOML complains of, as a person should hear it, and how to read on behind it.

use crate::form::NAME_HELP;
use crate::problem::Problem;
use std::collections::HashSet;
use std::ops::Range;
use toml::de::DeTable;

/// How often the text is read again behind a fault that stops the parser.
const ROUNDS: usize = 50;

/// A text with faults: the problems they are, and the text without the lines that stop the parser, so that the rest
/// can be read. Every place in it is where it was.
pub(crate) fn mend(text: &str, mut faults: Vec<toml::de::Error>) -> (String, Vec<Problem>) {
    if let Some(problem) = other_language(text) {
        return (String::new(), vec![problem]);
    }
    let mut mended = text.to_owned();
    let mut lines = HashSet::new();
    let mut problems = Vec::new();
    for _ in 0..ROUNDS {
        let stop = faults.iter().find_map(|fault| unreadable(&mended, fault));
        for fault in &faults {
            let span = fault.span().unwrap_or(0..0);
            // What comes behind the stop is said again in the next round, if there is anything to it.
            let behind = stop.as_ref().is_some_and(|stop| span.start > stop.end);
            // One mistake often makes several faults; the first on a line is the one to look at.
            if !behind && lines.insert(line_at(text, span.start).start) {
                problems.push(told(text, fault.message(), span));
            }
        }
        let Some(stop) = stop else { break };
        let blank = mended[stop.clone()].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' });
        let blank: String = blank.collect();
        mended.replace_range(stop, &blank);
        faults = DeTable::parse_recoverable(&mended).1;
    }
    (mended, problems)
}

/// A file that is not TOML at all would give an error a line.
fn other_language(text: &str) -> Option<Problem> {
    let mut lines = text.split_inclusive('\n').scan(0, |at, line| {
        *at += line.len();
        Some((*at - line.len(), line))
    });
    let prose = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let (at, line) = lines.find(|(_, line)| !prose(line))?;
    let language = match line.trim() {
        line if line.starts_with('{') => "JSON",
        line if line.ends_with(':') || line == "---" => "YAML",
        _ => return None,
    };
    let span = at..at + line.trim_end().len();
    let mut problem =
        Problem::new(span, format!("this looks like {language}, and a stead file is TOML"));
    problem.help(
        "write `[machines.box]` and below it `memory = \"8gb\"`; `stead init` shows a whole file",
    );
    Some(problem)
}

/// The part of the text that has to go for the parser to read on behind a fault that stops it.
fn unreadable(text: &str, fault: &toml::de::Error) -> Option<Range<usize>> {
    let line = line_at(text, fault.span()?.start);
    if fault.message().starts_with("key with no value") {
        return Some(line);
    }
    if !fault.message().starts_with("unclosed table")
        && !fault.message().starts_with("unclosed array table")
    {
        return None;
    }
    // Without its header, the keys of a table would be taken for those of the table above.
    let end = text[line.end..].find("\n[").map_or(text.len(), |next| line.end + next);
    Some(line.start..end)
}

/// Without the problems on a line that has a fault, or around one: what is read there is a guess.
pub(crate) fn certain(text: &str, faults: &[Problem], problems: &mut Vec<Problem>) {
    let line = |problem: &Problem| line_at(text, problem.span.start).start;
    let lines: HashSet<usize> = faults.iter().map(line).collect();
    let around = |span: &Range<usize>| {
        faults.iter().any(|fault| (span.start..=span.end).contains(&fault.span.start))
    };
    // The parser puts what it made up at the beginning of the text.
    problems.retain(|problem| {
        problem.span != (0..0) && !lines.contains(&line(problem)) && !around(&problem.span)
    });
}

/// The line a place is on, without its end.
fn line_at(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    start..text[at..].find('\n').map_or(text.len(), |newline| at + newline)
}

fn told(text: &str, message: &str, span: Range<usize>) -> Problem {
    let line = line_at(text, span.start);
    let here = text.get(span.clone()).unwrap_or_default();
    let before = text.get(line.start..span.start).unwrap_or_default();
    let what = message.split(", expected").next().unwrap_or(message);
    let mut problem = Problem::new(span.clone(), "");
    let content = &text[line.clone()];
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| content.starts_with(mark)) {
        problem.span = line;
        problem.message = "two versions of the file are left side by side here".into();
        problem.help("keep the lines of one, and remove those of the other and the marks");
        return problem;
    }
    problem.message = match what {
        "string values must be quoted" => return unquoted(problem, here, before),
        "invalid boolean" => return word(problem, here),
        "key with no value" => return no_value(problem, text, line),
        "duplicate key" => return twice(problem, text, line),
        "unclosed table" | "unclosed array table" => {
            let rest = text.get(span.start..line.end).unwrap_or_default();
            if rest.contains(']') {
                problem.help(NAME_HELP);
                "this must not be in the name of a table".into()
            } else {
                problem.help("close it as in `[machines.box]`");
                "`]` is missing behind the name of the table".into()
            }
        }
        "missing comma between array elements" | "unclosed array" => {
            problem.help("write for example `[\"a\", \"b\"]`");
            "`,` or `]` is missing before this".into()
        }
        "missing comma between key-value pairs" | "unclosed inline table" => {
            problem.help("write for example `{ count = 10, age = \"30d\" }`");
            "`,` or `}` is missing before this".into()
        }
        "invalid basic string" | "invalid literal string"
            if text[span.start..].starts_with(|c: char| c.is_control() && c != '\n') =>
        {
            problem.help("remove it, or write it as in \"\\u001b\"");
            "a text must not contain a control character".into()
        }
        "invalid multi-line basic string" | "invalid multi-line literal string" => {
            problem.help("a text ends with the three quotes it began with");
            "the text is not closed".into()
        }
        "invalid basic string" | "invalid literal string" => {
            problem.help("a text ends on its line, with the quote it began with");
            "the text is not closed".into()
        }
        "missing escaped value" => {
            problem
                .help("write `\\\\` for a backslash, or put the text in single quotes: 'C:\\path'");
            "the backslash has no meaning here".into()
        }
        "unexpected key or value" => {
            if before.trim_start().starts_with('[') {
                problem.help("write each key on a line of its own, below the header");
            } else if before.ends_with(|c: char| c.is_ascii_digit())
                && text[span.start..].starts_with(',')
            {
                problem.help("a number is written without `,`");
            } else {
                problem.help("write each key on a line of its own, and texts in quotes");
            }
            "the line should end here".into()
        }
        "unexpected leading zero" => {
            problem.help("leave the 0 out");
            "a number must not begin with 0".into()
        }
        "unquoted keys cannot be empty" => {
            problem.help("write for example `[machines.box]`, or `memory = \"8gb\"`");
            "a name is missing here".into()
        }
        "invalid unquoted key" => {
            problem.help("names and keys are made of letters, digits, `-` and `_`");
            "this must not be in a name".into()
        }
        "invalid key-value pair" => {
            problem.help("write for example `memory = \"8gb\"`");
            "this gives no value to a key".into()
        }
        "extra comma in array" | "extra comma in inline table" => {
            problem.help("remove it");
            "here is a `,` too many".into()
        }
        "redundant numeric sign" => {
            problem.help("remove one");
            "a number has one sign at most".into()
        }
        "radix must be lowercase" => {
            problem.help(format!("write `{}`", here.to_ascii_lowercase()));
            "this must be in small letters".into()
        }
        "`_` may only go between digits" => {
            problem.help("remove one");
            "in a number, one `_` may stand between two digits".into()
        }
        "too few unicode value digits" | "invalid value" if before.contains(['\\']) => {
            problem.help("write for example `\\u00e4`, or the character itself");
            "this is no number of a character".into()
        }
        "cannot recurse further; max recursion depth met" => {
            problem.help("nothing in a stead file is deeper than four");
            "lists and tables are too deep in each other".into()
        }
        extend if extend.starts_with("cannot extend value") => {
            problem.help("give it one value, or a table");
            format!("`{here}` has a value already and cannot get keys")
        }
        other => {
            problem.help("put a text in quotes; `stead init` shows what a file looks like");
            format!("this cannot be read: {other}")
        }
    };
    problem
}

/// A value that is neither in quotes nor a number.
fn unquoted(mut problem: Problem, here: &str, before: &str) -> Problem {
    if here.trim().is_empty() {
        let key = before.trim().trim_end_matches('=').trim_end();
        problem.message = format!("`{key}` has no value");
        problem.help("write one behind `=`, or remove the line");
        return problem;
    }
    if matches!(here.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "true" | "false")
    {
        return word(problem, here);
    }
    problem.message = "a text must be in quotes".into();
    problem.help(format!("write \"{here}\""));
    problem
}

/// A word that was meant as `true` or `false`.
fn word(mut problem: Problem, here: &str) -> Problem {
    let yes = matches!(here.to_ascii_lowercase().as_str(), "yes" | "on" | "true");
    problem.message = format!("`{here}` must be `true` or `false`");
    problem.help(format!("write `{yes}`"));
    problem
}

/// A line that gives nothing a value.
fn no_value(mut problem: Problem, text: &str, line: Range<usize>) -> Problem {
    let content = text[line.clone()].trim();
    let start = line.start + text[line].find(content).unwrap_or_default();
    problem.span = start..start + content.len();
    if content.starts_with("//") || content.starts_with(';') {
        problem.message = "a comment begins with `#`".into();
        problem.help(format!("write `# {}`", content.trim_start_matches(['/', ';', ' '])));
        return problem;
    }
    let end = content.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    let (key, rest) = content.split_at(end.unwrap_or(content.len()));
    let value = rest.trim_start_matches([':', ' ', '\t']);
    problem.message = "`=` is missing".into();
    problem.help(if key.is_empty() || value.is_empty() {
        format!("write a value: `{content} = ...`")
    } else {
        let bare = value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && DeTable::parse(&format!("a = {value}")).is_err();
        if bare {
            format!("write `{key} = \"{value}\"`")
        } else {
            format!("write `{key} = {value}`")
        }
    });
    problem
}

/// A key or a table that is there already.
fn twice(mut problem: Problem, text: &str, line: Range<usize>) -> Problem {
    let content = text[line.clone()].trim();
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let header = content.starts_with('[');
    let what = if header { content.into() } else { name(content) };
    // The first one, as far as one look at the lines above can tell.
    let mut start = line.start;
    while start > 0 {
        let above = line_at(text, start - 1);
        start = above.start;
        let content = text[above.clone()].trim();
        let same = if header { content == what } else { name(content) == what };
        if same {
            problem.also(above, "first here");
            break;
        }
        if !header && content.starts_with('[') {
            break;
        }
    }
    problem.message = format!("`{what}` is there already");
    problem.help(if header { "put its keys below the first one" } else { "remove one of the two" });
    problem
}
