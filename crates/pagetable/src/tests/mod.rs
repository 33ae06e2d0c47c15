mod alias;
mod hash;
mod model;
mod radix;
mod ram;

use super::*;
use proptest::prelude::*;
use std::string::ToString;

fn any_rights() -> impl Strategy<Value = Rights> {
    prop::sample::select(&[Rights::Code, Rights::Constants, Rights::Data][..])
}

#[test]
fn no_rights_allow_to_write_and_to_execute() {
    for (rights, letters) in [
        (Rights::Code, "R-X"),
        (Rights::Constants, "R--"),
        (Rights::Data, "RW-"),
    ] {
        assert_eq!(Access::from(rights).to_string(), letters);
    }
}

#[test]
fn access_that_no_rights_allow_has_its_letters_too() {
    let access = |read, write, execute| Access {
        read,
        write,
        execute,
    };
    assert_eq!(access(true, true, true).to_string(), "RWX");
    assert_eq!(access(false, false, false).to_string(), "---");
}
