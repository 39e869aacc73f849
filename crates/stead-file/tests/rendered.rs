//! Errors as `miette` draws them, for whoever wants them drawn; the command line prints them plain.

mod common;

use common::{compare, context};
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::path::Path;

#[test]
fn miette_draws_every_problem() {
    let text = "[machines.box]\nmemroy = \"8gb\"\nports = [\"8080:80\", \"8080:81\"]\n";
    let report = stead_file::read(text, &context()).unwrap_err();
    let mut drawn = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_wrap_lines(false)
        .render_report(&mut drawn, &report)
        .unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rendered.txt");
    assert_eq!(compare(&kept, &drawn), None);
}

#[test]
fn a_report_says_how_much_is_wrong() {
    let said = |text: &str| stead_file::read(text, &context()).unwrap_err().to_string();
    assert_eq!(said("x = 1"), "stead.toml has one error");
    assert_eq!(said("x = 1\ny = 2"), "stead.toml has 2 errors");
    assert_eq!(said("x = 1\n[machines.a]\ncpus = 8"), "stead.toml has one error and one warning");
}
