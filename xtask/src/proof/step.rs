//! One instruction: what it breaks, and what is known after it.

use super::insn::{Action, Address, Insn, Operand, Width};
use super::rule::Rule;
use super::state::{
    BACK_CHAIN, HEADER_END, LR_SAVE, R1, R2, RESERVED, State, TOC_SAVE, Value, Ways,
};

/// Registers that a called function need not keep: r0, r3 to r12.
const VOLATILE: std::ops::RangeInclusive<usize> = 3..=12;

/// The state that an instruction changes, and the rules that it breaks.
pub struct Step<'a> {
    pub state: State,
    /// The code has no TOC: up to the restore, r2 is a volatile register.
    pub without_toc: bool,
    pub broken: &'a mut Vec<Rule>,
}

impl Step<'_> {
    fn breaks(&mut self, rule: Rule) {
        if !self.broken.contains(&rule) {
            self.broken.push(rule);
        }
    }

    /// Everything but branches. If `relocated`, the number in the instruction is
    /// not the one that will be there.
    pub fn execute(&mut self, insn: &Insn, relocated: bool) {
        let before = self.state;
        self.check_r2(insn, &before);
        let value = |r: usize| before.registers[r];
        // Whatever is not said better below.
        let mixed = (0..32)
            .filter(|r| insn.reads & 1 << r != 0)
            .fold(Value::Any, |sum, r| Value::mixed(sum, value(r)));
        let mut result = [mixed; 32];
        match insn.action {
            Action::Unknown => self.breaks(Rule::Unknown),
            Action::Add { rt, base, add } if !relocated => {
                let base = base.map_or(Value::Number(0), value);
                result[rt] = base.plus(before.operand(add));
            }
            Action::Or {
                ra,
                rs,
                value: bits,
            } if !relocated => {
                result[ra] = match value(rs) {
                    value if bits == 0 => value,
                    Value::Number(number) => Value::Number(number | bits),
                    _ => mixed,
                };
            }
            Action::Load {
                rt,
                at,
                width,
                update,
            } => {
                let address = before.address(at);
                if update && let Some(base) = at.base {
                    result[base] = address;
                }
                if let Some(rt) = rt {
                    result[rt] = match relocated {
                        true => Value::Any,
                        false => load(&before, address, width),
                    };
                }
            }
            Action::Store {
                rs,
                at,
                size,
                update,
            } => {
                let address = before.address(at);
                let opens = update && at.base == Some(R1) && rs == Some(R1) && size == 8;
                if relocated && address.is_callers() {
                    self.breaks(Rule::WritesReserved);
                }
                match (opens, value(R1), address) {
                    (true, Value::Stack(0), Value::Stack(to))
                        if to <= -HEADER_END && before.frame.is_none() =>
                    {
                        self.state.frame = Some(-to);
                        self.state.opened = Ways::DONE;
                    }
                    _ => self.store(address, size, rs.map(value)),
                }
                if update && let Some(base) = at.base {
                    result[base] = address;
                }
            }
            Action::ZeroLine { at } => {
                if let Value::Stack(_) | Value::FromCaller = before.address(at) {
                    self.breaks(Rule::WritesReserved);
                }
            }
            Action::FromLr { rt } => result[rt] = before.lr,
            Action::ToLr { rs } => self.state.lr = value(rs),
            _ => {}
        }
        for (register, result) in result.into_iter().enumerate() {
            if insn.writes & 1 << register != 0 {
                self.state.registers[register] = result;
            }
        }
        if insn.writes & 1 << R1 != 0 {
            self.check_r1(&before);
        }
    }

    /// The rules about r2, and how far the restore has come.
    fn check_r2(&mut self, insn: &Insn, before: &State) {
        let r2 = 1 << R2;
        let (reads, writes) = (insn.reads & r2 != 0, insn.writes & r2 != 0);
        if !reads && !writes {
            return;
        }
        match insn.action {
            // The restore's first half. To code without TOC, it may be any load.
            Action::Load {
                rt: Some(R2),
                at,
                width: Width::SignedWord,
                ..
            } if !self.without_toc || before.address(at) == Value::Stack(RESERVED) => {
                if !before.restored.only(Ways::NOT) {
                    self.breaks(Rule::RestoredTwice);
                }
                if at == Address::number(RESERVED) {
                    self.breaks(Rule::ZeroBase);
                } else if before.address(at) != Value::Stack(RESERVED)
                    || !(before.in_frame() || before.is_closed())
                {
                    self.breaks(Rule::BadRestore);
                }
                self.state.restored = match before.is_closed() {
                    true => Ways::HALF_CLOSED,
                    false => Ways::HALF,
                };
            }
            // Its second, with the frame closed: LR itself is the way back.
            Action::Add {
                rt: R2,
                base: Some(a),
                add: Operand::Register(b),
            } if before.restored.only(Ways::HALF_CLOSED) => {
                let (a, b) = (before.registers[a], before.registers[b]);
                let fits = [(a, b), (b, a)].contains(&(Value::Reserved, before.lr));
                if !fits || !before.is_closed() {
                    self.breaks(Rule::BadRestore);
                }
                self.state.restored = Ways::CLOSED;
            }
            // Its second, with the frame open.
            Action::Add {
                rt: R2,
                base: Some(a),
                add: Operand::Register(b),
            } if before.restored.only(Ways::HALF) => {
                let (a, b) = (before.registers[a], before.registers[b]);
                let fits = [(a, b), (b, a)].contains(&(Value::Reserved, Value::SavedLr));
                if !fits || !before.in_frame() {
                    self.breaks(Rule::BadRestore);
                }
                self.state.restored = Ways::DONE;
            }
            _ if before.restored != Ways::NOT => self.breaks(Rule::R2AfterRestore),
            // The module's own TOC, back from where it was saved for a call.
            Action::Load {
                rt: Some(R2),
                at,
                width: Width::Doubleword,
                update: false,
            } if before.in_frame()
                && at.base == Some(R1)
                && at.add == Operand::Number(TOC_SAVE) => {}
            _ if writes && !self.without_toc => self.breaks(Rule::BadRestore),
            _ => {}
        }
    }

    /// The rules about r1, which was written.
    fn check_r1(&mut self, before: &State) {
        let (old, new) = (before.registers[R1], self.state.registers[R1]);
        if new == Value::Stack(0) {
            self.state.frame = None;
        } else if new != old && !(self.state.in_frame() && before.frame.is_none()) {
            self.breaks(Rule::StackPointer);
        }
    }

    /// The rules about memory.
    fn store(&mut self, address: Value, size: i64, value: Option<Value>) {
        let start = match address {
            Value::Stack(start) => start,
            Value::FromCaller => return self.breaks(Rule::WritesReserved),
            _ => return,
        };
        let overlaps = |from: i64, to: i64| start < to && from < start.saturating_add(size);
        if overlaps(RESERVED, LR_SAVE) {
            self.breaks(Rule::WritesReserved);
        }
        if start == LR_SAVE && size == 8 && value == Some(Value::EntryLr) {
            self.state.lr_saved = Ways::DONE;
        } else if overlaps(BACK_CHAIN, BACK_CHAIN + 8) || overlaps(LR_SAVE, HEADER_END) {
            self.breaks(Rule::WritesCallersFrame);
            if overlaps(LR_SAVE, LR_SAVE + 8) {
                self.state.lr_saved = Ways::NOT;
            }
        }
        if let Some(frame) = self.state.frame
            && overlaps(-frame, 8 - frame)
        {
            self.breaks(Rule::WritesBackChain);
        }
    }

    /// A call, which comes back.
    pub fn call(&mut self) {
        if self.state.restored != Ways::NOT {
            self.breaks(Rule::CallAfterRestore);
        }
        if !self.state.in_frame() {
            // What is called would save its LR over ours.
            self.breaks(Rule::NoFrame);
        }
        for register in VOLATILE.chain([0]) {
            self.state.registers[register] = Value::Any;
        }
        if self.without_toc {
            self.state.registers[R2] = Value::Any;
        }
        self.state.lr = Value::Any;
    }

    /// A return.
    pub fn ret(&mut self) {
        let state = self.state;
        // With the frame closed, the restore needs neither of the two.
        if !state.restored.only(Ways::CLOSED) {
            if !state.opened.only(Ways::DONE) {
                self.breaks(Rule::NoFrame);
            }
            if !state.lr_saved.only(Ways::DONE) {
                self.breaks(Rule::LrNotSaved);
            }
        }
        if !state.restored.is_restored() {
            self.breaks(Rule::NotRestored);
        }
        if state.registers[R1] != Value::Stack(0) {
            self.breaks(Rule::Unbalanced);
        }
        if !state.lr.is_way_back() {
            self.breaks(Rule::WrongLr);
        }
    }
}

/// What is loaded from an address: a doubleword, or a sign-extended word.
fn load(state: &State, address: Value, width: Width) -> Value {
    let Value::Stack(at) = address else {
        return Value::Any;
    };
    match (width, at) {
        (Width::SignedWord, RESERVED) => Value::Reserved,
        (Width::Doubleword, LR_SAVE) if state.lr_saved.only(Ways::DONE) => Value::SavedLr,
        (Width::Doubleword, at) if state.frame == Some(-at) => Value::Stack(0),
        _ => Value::Any,
    }
}
