//! Bytes as keys: a terminal sends some keys as several bytes (ECMA-48, 5.4).

/// What was pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    Insert(u8),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Up,
    Down,
    KillToEnd,
    KillToStart,
    KillWord,
    Yank,
    Clear,
    Interrupt,
    /// ^D: deletes, or ends the input on an empty line.
    DeleteOrEnd,
}

/// How much of a sequence has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    #[default]
    Ground,
    /// Behind ESC.
    Escape,
    /// Behind ESC O.
    Single,
    /// Behind ESC [, with the first parameter so far.
    Sequence(u8),
}

impl State {
    /// Takes a byte; a key, when it completes one. A sequence that stands for no key
    /// here is swallowed whole.
    pub fn take(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(self) {
            Self::Ground => self.plain(byte),
            Self::Escape => {
                match byte {
                    b'[' => *self = Self::Sequence(0),
                    b'O' => *self = Self::Single,
                    b'b' => return Some(Key::WordLeft),
                    b'f' => return Some(Key::WordRight),
                    0x08 | 0x7f => return Some(Key::KillWord),
                    // ESC was a key of its own, or of nothing.
                    0..0x20 => return self.plain(byte),
                    _ => {}
                }
                None
            }
            Self::Single => named(byte),
            Self::Sequence(number) => match byte {
                b'0'..=b'9' => {
                    let number = number.saturating_mul(10).saturating_add(byte - b'0');
                    *self = Self::Sequence(number);
                    None
                }
                b'~' => match number {
                    1 | 7 => Some(Key::Home),
                    3 => Some(Key::Delete),
                    4 | 8 => Some(Key::End),
                    _ => None,
                },
                // More parameters: they only say what was held down beside the key.
                b' '..=b'?' => {
                    *self = Self::Sequence(number);
                    None
                }
                b'@'..=b'}' => named(byte),
                // No part of a sequence: it was cut off.
                _ => self.plain(byte),
            },
        }
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b' '..=b'~' => Key::Insert(byte),
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::Interrupt,
            0x04 => Key::DeleteOrEnd,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x0b => Key::KillToEnd,
            0x0c => Key::Clear,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::KillToStart,
            0x17 => Key::KillWord,
            0x19 => Key::Yank,
            0x1b => {
                *self = Self::Escape;
                return None;
            }
            _ => return None,
        })
    }
}

/// The key that a sequence's last byte names.
fn named(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}
