//! Reports, line by line, that can and that can not be.

use super::*;

const BOOT: &str = r#"{"event":"boot","cpu":"c","entry":"e","endian":"big","memory_bytes":1,"timebase_hz":1000,"cpus":1,"symbols":9}
{"event":"measure","name":"n","unit":"u","value":3}
"#;

fn record(event: &str, rest: &str, time: u64) -> String {
    format!("{{\"event\":\"{event}\",{rest},\"time\":{time}}}\n")
}

fn begin(reversed: bool, time: u64) -> String {
    let rest = format!(r#""number":1,"patch":"p","direction":"enable","reversed":{reversed}"#);
    record("transition", &rest, time)
}

fn switch(thread: u32, time: u64) -> String {
    let rest = format!(r#""number":1,"thread":{thread},"name":"t{thread}","cpu":0,"how":"asleep""#);
    record("switch", &rest, time)
}

fn held(thread: u32, time: u64) -> String {
    let rest = format!(
        r#""thread":{thread},"name":"t{thread}","reason":"f is on its stack","function":"f""#
    );
    record("blocked", &rest, time)
}

fn end(time: u64) -> String {
    record(
        "transition_end",
        r#""number":1,"patch":"p","enabled":true"#,
        time,
    )
}

#[test]
fn times_are_from_the_start_and_blocks_last_until_the_switch() {
    let text = [
        BOOT.into(),
        begin(false, 100),
        switch(1, 110),
        held(2, 120),
        held(2, 130),
        switch(2, 150),
        end(170),
    ];
    let read = Demonstration::read(&text.concat()).unwrap();
    let [transition] = &read.transitions[..] else {
        panic!("{read:?}")
    };
    assert_eq!((transition.end, transition.enabled), (70, true));
    assert_eq!(transition.lanes[0].switches[0].time, 10);
    let lane = &transition.lanes[1];
    assert_eq!((lane.name.as_str(), lane.switches[0].time), ("t2", 50));
    let [blocked] = &lane.blocked[..] else {
        panic!("{lane:?}")
    };
    assert_eq!((blocked.from, blocked.to), (20, 50));
    assert_eq!(blocked.function, "f");
    assert_eq!((read.switches(), read.blocked()), (2, 1));
}

#[test]
fn a_turn_ends_blocks_and_sends_threads_back() {
    let text = [
        BOOT.into(),
        begin(false, 0),
        switch(1, 10),
        held(2, 20),
        begin(true, 30),
        switch(1, 40),
        end(50),
    ];
    let read = Demonstration::read(&text.concat()).unwrap();
    let transition = &read.transitions[0];
    assert_eq!(transition.turns, [30]);
    let back: Vec<bool> = transition.lanes[0]
        .switches
        .iter()
        .map(|s| s.back)
        .collect();
    assert_eq!(back, [false, true]);
    let lane = &transition.lanes[1];
    assert_eq!((lane.switches.len(), lane.blocked[0].to), (0, 30));
}

#[test]
fn what_can_not_be_is_refused() {
    for (text, why) in [
        (vec![BOOT.into()], "no transition"),
        (vec![BOOT.into(), begin(false, 1)], "has not ended"),
        (vec![BOOT.into(), switch(1, 1)], "in no transition"),
        (vec![BOOT.into(), begin(false, 9), switch(1, 1)], "before"),
        (vec![begin(false, 9), end(10)], "on which machine"),
        (vec!["half a li".into()], "line 1"),
    ] {
        let error = Demonstration::read(&text.concat()).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains(why), "{said}");
    }
}
