use super::*;
use proptest::prelude::*;
use std::{string::String, vec::Vec};

const PROMPT: Prompt = Prompt {
    text: "> ",
    style: ("", ""),
};
const WORDS: &[&str] = &["enable", "enabled", "dis", "disable", "help"];

fn offer(offer: &mut Offer<'_>) {
    WORDS.iter().for_each(|word| offer.add(word));
}

/// An editor with its terminal.
struct Desk {
    editor: Editor,
    shown: String,
    events: Vec<Event>,
}

impl Desk {
    fn new() -> Self {
        Desk {
            editor: Editor::new(PROMPT),
            shown: String::new(),
            events: Vec::new(),
        }
    }

    fn press(&mut self, keys: impl AsRef<[u8]>) -> &mut Self {
        for &byte in keys.as_ref() {
            let event = self.editor.feed(byte, &mut self.shown, &mut offer);
            if event == Event::Line {
                self.editor.take();
            }
            self.events.push(event);
        }
        self
    }

    fn state(&self) -> (&str, usize) {
        (self.editor.line(), self.editor.cursor())
    }
}

fn typed(keys: impl AsRef<[u8]>) -> (String, usize) {
    let mut desk = Desk::new();
    desk.press(keys);
    let (line, cursor) = desk.state();
    (line.into(), cursor)
}

#[test]
fn keys_move_and_change() {
    for (keys, line, cursor) in [
        ("abc", "abc", 3),
        ("abc\x7f", "ab", 2),
        ("abc\x08\x08", "a", 1),
        ("abc\x1b[D\x1b[Dx", "axbc", 2),
        ("abc\x1b[D\x7f", "ac", 1),
        ("abc\x01x", "xabc", 1),
        ("abc\x1b[Hx", "xabc", 1),
        ("abc\x1b[1~x", "xabc", 1),
        ("abc\x01\x1b[3~", "bc", 0),
        ("abc\x01\x04", "bc", 0),
        ("abc\x01\x05x", "abcx", 4),
        ("abc\x01\x1bOFx", "abcx", 4),
        ("abc\x02\x02\x0b", "a", 1),
        ("abc\x02\x15", "c", 0),
        ("one two  \x17", "one ", 4),
        ("one two\x17\x17", "", 0),
        ("one two\x17\x01\x19", "twoone ", 3),
        ("one two\x1bbx", "one xtwo", 5),
        ("one two\x01\x1bfx", "onex two", 4),
        // With Control held down: another parameter.
        ("abc\x1b[1;5Dx", "abxc", 3),
        // Keys that there are not.
        ("abc\x1b[15~\x1b[Z\x1bz\x00\x1f", "abc", 3),
        // At the ends nothing happens.
        ("\x7f\x1b[3~\x1b[D\x1b[C\x0b\x15\x17\x19a", "a", 1),
    ] {
        assert_eq!(typed(keys), (line.into(), cursor), "{keys:?}");
    }
}

#[test]
fn enter_ends_a_line_and_control_c_gives_it_up() {
    let mut desk = Desk::new();
    desk.press("help\r").press("dis\x03").press("\x04");
    let ends: Vec<_> = desk
        .events
        .iter()
        .filter(|&&e| e != Event::Typing)
        .collect();
    assert_eq!(ends, [&Event::Line, &Event::Interrupted, &Event::End]);
    assert_eq!(desk.editor.history().collect::<Vec<_>>(), ["help"]);
    // ^D inside a line is no end.
    desk.press("a\x04");
    assert_eq!(desk.events.last(), Some(&Event::Typing));
}

#[test]
fn the_history_goes_both_ways_and_keeps_the_line_being_typed() {
    let mut desk = Desk::new();
    desk.press("one\rtwo\rtwo\r \rthr");
    assert_eq!(desk.press("\x1b[A").state().0, "two");
    assert_eq!(desk.press("\x10").state().0, "one");
    assert_eq!(desk.press("\x10").state().0, "one");
    assert_eq!(desk.press("\x0e").state().0, "two");
    assert_eq!(desk.press("\x1b[B").state().0, "thr");
    assert_eq!(desk.press("\x1b[B").state().0, "thr");
    for line in 0..2 * HISTORY {
        desk.press(std::format!("\x15{line}\r"));
    }
    assert_eq!(desk.editor.history().count(), HISTORY);
    assert_eq!(desk.editor.history().last(), Some("63"));
}

#[test]
fn tab_completes_as_far_as_it_is_sure_and_lists_the_rest() {
    assert_eq!(typed("he\t"), ("help ".into(), 5));
    assert_eq!(typed("e\t"), ("enable".into(), 6));
    assert_eq!(typed("x; he\t"), ("x; help ".into(), 8));
    assert_eq!(typed("x\t"), ("x".into(), 1));
    let mut desk = Desk::new();
    desk.press("dis").shown.clear();
    desk.press("\t");
    assert_eq!(desk.state().0, "dis");
    assert!(desk.shown.contains("\ndis  "), "{:?}", desk.shown);
    assert!(desk.shown.contains("disable"), "{:?}", desk.shown);
    assert!(desk.shown.ends_with("\r> dis\x1b[K"), "{:?}", desk.shown);
}

#[test]
fn candidates_stand_apart_however_long_they_are() {
    for (length, columns) in (1..2 * COLUMNS).zip([COLUMNS, 40, 200, 20].into_iter().cycle()) {
        let names = ["a", "b", "c"].map(|end| std::format!("x{:->length$}", end));
        let mut editor = Editor::new(Prompt {
            text: "> ",
            style: ("", ""),
        })
        .with_columns(columns);
        let mut shown = String::new();
        for byte in *b"x\t\t" {
            editor.feed(byte, &mut shown, &mut |offer| {
                names.iter().for_each(|name| offer.add(name));
            });
        }
        let listed: Vec<&str> = shown.lines().flat_map(str::split_whitespace).collect();
        for name in &names {
            assert!(listed.contains(&name.as_str()), "{name}: {shown:?}");
        }
        let mut list = shown.lines().filter(|line| !line.contains('\r'));
        let fit = list.all(|line| line.len() <= columns);
        assert!(fit || length >= columns, "{shown:?}");
    }
}

#[test]
fn a_key_at_the_end_costs_one_character() {
    let mut desk = Desk::new();
    desk.press("hel").shown.clear();
    desk.press("p");
    assert_eq!(desk.shown, "p");
}

#[test]
fn a_script_is_lines_and_an_end() {
    let feed = |text: &str| -> Vec<Piece> {
        let mut script = Script::new();
        text.bytes().filter_map(|byte| script.feed(byte)).collect()
    };
    let line = |text: &str| Piece::Line(Line::from(text).unwrap());
    assert_eq!(
        feed("a\tb\r\n\n\x03é\n\x04"),
        [line("a b"), line(""), line("???"), Piece::End]
    );
    // The last line need not be ended.
    assert_eq!(feed("a\x04\x04"), [line("a"), Piece::End]);
    let long = "x".repeat(LINE_BYTES);
    assert_eq!(feed(&std::format!("{long}\n")), [line(&long)]);
    assert_eq!(
        feed(&std::format!("{long}x\ny\n")),
        [Piece::TooLong, line("y")]
    );
}

/// What a terminal of endless width would show in its last line, and where its cursor
/// would be.
fn terminal(shown: &str) -> (String, usize) {
    let mut line: Vec<u8> = Vec::new();
    let mut column = 0;
    let mut bytes = shown.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => column = 0,
            b'\n' => (line, column) = (Vec::new(), 0),
            0x07 => {}
            0x1b => {
                assert_eq!(bytes.next(), Some(b'['));
                let mut number = 0;
                while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
                    number = 10 * number + usize::from(digit - b'0');
                }
                match bytes.next() {
                    Some(b'K') => line.truncate(column),
                    Some(b'D') => column -= number,
                    Some(b'H') => column = 0,
                    Some(b'J') => line.clear(),
                    other => panic!("unknown sequence {other:?}"),
                }
            }
            byte => {
                if line.len() <= column {
                    line.resize(column + 1, b' ');
                }
                line[column] = byte;
                column += 1;
            }
        }
    }
    (String::from_utf8(line).unwrap(), column)
}

/// Keys: mostly such that do something.
fn any_keys() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        4 => "[ -~]{1,9}".prop_map(String::into_bytes),
        2 => (0u8..0x20).prop_map(|byte| std::vec![byte]),
        2 => "\x1b\\[[ABCDHF]".prop_map(String::into_bytes),
        1 => any::<u8>().prop_map(|byte| std::vec![byte]),
        1 => Just(b"\t".to_vec()),
        1 => "\x1b\\[[0-9;]{0,4}[ -~]".prop_map(String::into_bytes),
    ];
    prop::collection::vec(key, 0..40).prop_map(|keys| keys.concat())
}

proptest! {
    #[test]
    fn whatever_is_typed_the_line_is_sound_and_shown(keys in any_keys(), columns in 0..300usize) {
        let mut desk = Desk::new();
        desk.editor = desk.editor.with_columns(columns);
        let columns = columns.max(LEAST_COLUMNS);
        desk.editor.show(&mut desk.shown);
        for key in keys {
            desk.press([key]);
            let (line, cursor) = desk.state();
            prop_assert!(cursor <= line.len() && line.len() <= LINE_BYTES);
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let event = *desk.events.last().unwrap();
            if event != Event::Typing {
                desk.editor.show(&mut desk.shown);
            }
            let (shown, column) = terminal(&desk.shown);
            prop_assert!(shown.len() < columns, "{}", shown);
            let text = shown.strip_prefix("> ").unwrap_or("no prompt");
            let (line, cursor) = desk.state();
            let scrolled = cursor + 2 - column;
            prop_assert!(line[scrolled..].starts_with(text), "{:?} {:?}", line, shown);
            prop_assert!(line.len() - scrolled == text.len() || text.len() >= columns - 4);
        }
    }

    #[test]
    fn without_edits_a_line_is_what_was_typed(text in "[ -~]{0,240}") {
        prop_assert_eq!(typed(&text), (text.clone(), text.len()));
    }
}
