use crate::stack::Stack;
use crate::{Code, Direction, Transition};
use alloc::vec::Vec;

/// Sets `leaving` to the functions that a thread which has still to switch may be
/// in and must not be in: sorted, no duplicates.
pub fn collect(leaving: &mut Vec<Code>, stacks: &[Stack], transition: &Transition) {
    leaving.clear();
    for stack in stacks {
        add(leaving, stack, transition);
    }
    leaving.sort_unstable();
    leaving.dedup();
}

fn add(leaving: &mut Vec<Code>, stack: &Stack, transition: &Transition) {
    let Some(position) = stack.position(transition.patch) else {
        return;
    };
    let entry = stack.entries[position];
    // No thread calls a function that is not the newest. Whether it is still
    // there makes no difference to a thread's choice.
    let newest = position + 1 == stack.entries.len();
    match (transition.direction, transition.reversed) {
        (Direction::Enable, false) => {
            if newest {
                leaving.push(stack.below(position));
            }
            // These will be freed. After a forced transition a thread may still
            // be in one of them, even if it is not the newest.
            if transition.replaces {
                leaving.extend(stack.entries[..position].iter().map(|earlier| earlier.new));
            }
        }
        // This will be freed: as above, not only if it is the newest.
        (Direction::Enable, true) | (Direction::Disable, false) => leaving.push(entry.new),
        (Direction::Disable, true) => {
            if newest {
                leaving.push(stack.below(position));
            }
        }
    }
}
