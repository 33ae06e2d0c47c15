use super::*;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::{format, vec::Vec};

fn message(line: &str) -> String {
    parse(line).expect_err("accepted").to_string()
}

#[test]
fn an_empty_line_means_the_defaults() {
    for line in ["", " ", "\0", " \t\r\n\0\0"] {
        assert_eq!(parse(line), Ok(BootArgs::default()));
    }
    let args = BootArgs::default();
    assert_eq!(args.mode, Mode::Run);
    assert_eq!(args.log, LogLevel::Info);
    assert_eq!(args.color, Color::Never);
}

#[test]
fn every_argument_is_parsed() {
    let line = "test=a::b count=12 log=trace mode=selftest color=auto crash=stack-2 variant=mini-frame \
                reenter=flat-tree-big-endian test=c::* \0";
    let args = parse(line).unwrap();
    assert_eq!(args.mode, Mode::Selftest);
    assert_eq!(args.log, LogLevel::Trace);
    assert_eq!(args.color, Color::Auto);
    assert_eq!(args.count.map(u32::from), Some(12));
    assert_eq!(args.crash, Some("stack-2"));
    assert_eq!(args.variant, Some("mini-frame"));
    assert_eq!(args.reenter, Some(Reenter::FlatTreeBigEndian));
    assert_eq!(args.tests(), ["a::b", "c::*"]);
}

#[test]
fn cases_are_for_the_matrix() {
    let args = parse("case=r2-* mode=matrix").unwrap();
    assert_eq!((args.mode, args.case), (Mode::Matrix, Some("r2-*")));
    let error = parse("mode=selftest case=pair").unwrap_err().to_string();
    assert_eq!(
        error,
        "boot argument `case=pair`: mode=selftest asks no cases; allowed: with mode=matrix only"
    );
}

#[test]
fn commands_come_last_and_are_for_the_shell() {
    let args = parse("mode=shell input=script columns=40 -- load kinds;  patches \0").unwrap();
    assert_eq!((args.mode, args.input), (Mode::Shell, Input::Script));
    assert_eq!(args.columns, Some(40));
    assert_eq!(args.commands, Some("load kinds;  patches"));
    // Only a word of its own, and only the first, is not part of a command.
    let args = parse("-- mode=run -- x --y").map_err(|error| error.to_string());
    let error = "boot argument `--`: mode=run takes no commands; allowed: with mode=shell only";
    assert_eq!(args, Err(error.into()));
    let args = parse("mode=shell --").unwrap();
    assert_eq!(args.commands, Some(""));
    let args = parse("mode=shell -- -- x --y").unwrap();
    assert_eq!(args.commands, Some("-- x --y"));
    assert!(parse("mode=shell --x").is_err());
    assert_eq!(parse("mode=shell").unwrap().commands, None);
    // Commands may say anything, and keep their blanks.
    let words: Vec<_> = without_reenter("mode=shell reenter=x --  echo  reenter=y").collect();
    assert_eq!(words, ["mode=shell", "--", "echo  reenter=y"]);
}

#[test]
fn messages_say_what_is_wrong_and_what_is_allowed() {
    let cases = [
        (
            "mode=fly",
            "boot argument `mode=fly`: unknown value `fly`; allowed: run, selftest, list, echo, bench, throughput, soak, matrix, explore, step, shell",
        ),
        (
            "colour=on",
            "boot argument `colour=on`: unknown; allowed: mode, test, count, log, color, crash, variant, case, short, function, way, input, columns, mmu, reenter",
        ),
        (
            "=",
            "boot argument `=`: unknown; allowed: mode, test, count, log, color, crash, variant, case, short, function, way, input, columns, mmu, reenter",
        ),
        (
            "color",
            "boot argument `color`: no value; allowed: auto, always, never",
        ),
        (
            "log=",
            "boot argument `log=`: no value; allowed: error, warn, info, debug, trace",
        ),
        (
            "log=info log=warn",
            "boot argument `log=warn`: given twice; allowed: once",
        ),
        (
            "crash=Now",
            "boot argument `crash=Now`: malformed value `Now`; allowed: a kind of crash, in the characters a-z, 0-9 and -",
        ),
        (
            "count=0",
            "boot argument `count=0`: malformed value `0`; allowed: a whole number from 1 to 4294967295",
        ),
        (
            "columns=19",
            "boot argument `columns=19`: malformed value `19`; allowed: a whole number from 20 to 1000",
        ),
        (
            "reenter=flat\u{7}é",
            "boot argument `reenter=flat\\u{7}\\u{e9}`: unknown value `flat\\u{7}\\u{e9}`; allowed: flat-tree, little-endian, flat-tree-big-endian",
        ),
        (
            "test=a",
            "boot argument `test=a`: mode=run runs no tests; allowed: with mode=selftest or mode=list only",
        ),
        (
            "test=a test=b mode=echo",
            "boot argument `test=a`: mode=echo runs no tests; allowed: with mode=selftest or mode=list only",
        ),
        (
            "mode=run\0color=auto",
            "boot argument `mode=run\\u{0}color=auto`: unknown value `run\\u{0}color=auto`; allowed: run, selftest, list, echo, bench, throughput, soak, matrix, explore, step, shell",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(message(line), expected);
    }
}

#[test]
fn sixteen_tests_fit_and_one_more_does_not() {
    let sixteen = format!("mode=list{}", " test=x".repeat(MAX_TESTS));
    assert_eq!(parse(&sixteen).unwrap().tests().len(), MAX_TESTS);
    let one_more = format!("{sixteen} test=y");
    assert_eq!(
        message(&one_more),
        "boot argument `test=y`: too many; allowed: 16"
    );
}

/// What the table says is what the parser does: each value is accepted and
/// changes what it should, the stated default changes nothing, and the help
/// has it all.
#[test]
fn table_parser_and_help_agree() {
    let help = help().to_string();
    for key in KEYS {
        if let Value::OneOf(words) = key.value {
            assert!(
                help.contains(&format!("{}={} ", key.name, words.join("|"))),
                "{help}"
            );
            let lines: Vec<_> = words
                .iter()
                .map(|word| format!("{}={word}", key.name))
                .collect();
            let parsed: Vec<_> = lines.iter().map(|line| parse(line).unwrap()).collect();
            for (index, args) in parsed.iter().enumerate() {
                assert!(
                    !parsed[..index].contains(args),
                    "{} has no effect",
                    lines[index]
                );
            }
        } else {
            assert!(help.contains(&format!("\n  {}=", key.name)), "{help}");
        }
        if let Some(default) = key.default {
            assert_eq!(
                parse(&format!("{}={default}", key.name)),
                Ok(BootArgs::default())
            );
        }
    }
}

#[test]
fn the_second_entry_loses_only_the_reenter_words() {
    let line = " mode=echo reenter=flat-tree  reenter crash=reenter reenters=x\0";
    let words: Vec<_> = without_reenter(line).collect();
    assert_eq!(words, ["mode=echo", "crash=reenter", "reenters=x"]);
}

#[test]
fn a_star_crosses_path_separators() {
    assert!(matches("*", ""));
    assert!(matches("text::*", "text::write::flushes"));
    assert!(matches("*::flush*", "text::write::flushes"));
    assert!(matches("a*b*b", "axbb"));
    assert!(!matches("a*b*b", "ab"), "one character served two pieces");
    assert!(!matches("ab*ba", "aba"), "head and tail overlapped");
    assert!(!matches("text", "text::write"));
    assert!(!matches("?ext", "text"));
}

#[test]
fn a_pattern_without_star_names_a_test_or_what_lies_below() {
    assert!(select(&[], "any::thing"));
    assert!(select(&["a::b"], "a::b"));
    assert!(!select(&["a::b"], "a::b::c"));
    assert!(select(&["a::"], "a::b"));
    assert!(!select(&["a::"], "ab::c"));
    assert!(!select(&["a:"], "a::b"));
    assert!(select(&["x", "*b"], "a::b"));
}

/// Would take far longer than the age of the world if it tried every way to
/// place the stars.
#[test]
fn many_stars_cost_no_exponential_time() {
    let pattern = "*a".repeat(2_000) + "*b";
    assert!(!matches(&pattern, &"a".repeat(20_000)));
}

/// The meaning of a glob, straight from its definition.
fn naive_matches(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', rest @ ..] => (0..=path.len()).any(|skip| naive_matches(rest, &path[skip..])),
        [c, rest @ ..] => path.first() == Some(c) && naive_matches(rest, &path[1..]),
    }
}

/// Lines made of pieces of right ones, so that many get past the first check.
fn any_line() -> impl Strategy<Value = String> {
    let piece = "mode|test|log|color|--| -- |shell|crash|variant|case|reenter|=|=| | |run|list|echo|info|auto|a-1|little-endian|\0|\\PC|.";
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn globs_agree_with_their_definition(pattern in "[ab*é]{0,7}", path in "[abé]{0,9}") {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        prop_assert_eq!(
            matches(&pattern, &path),
            naive_matches(&chars(&pattern), &chars(&path))
        );
    }

    #[test]
    fn any_line_is_taken_or_refused_in_printable_ascii(line in any_line()) {
        if let Err(error) = parse(&line) {
            let text = error.to_string();
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", text);
            prop_assert!(line.contains(error.argument));
        }
    }

    #[test]
    fn without_reenter_a_good_line_means_the_same(line in any_line()) {
        if let Ok(args) = parse(&line) {
            let rest = without_reenter(&line).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(parse(&rest), Ok(BootArgs { reenter: None, ..args }));
        }
    }
}
