//! The machine shapes that the kernel is booted on, from `tests/machines.toml`.

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use std::fmt::Write as _;

/// The table, as it was when this program was built.
const TABLE: &str = include_str!("../../tests/machines.toml");

/// The firmware that QEMU starts before the kernel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// Built into QEMU; starts the kernel at once.
    Vof,
    /// QEMU's default on pseries; takes seconds.
    Slof,
}

/// A shape of machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// What `--machine` calls it.
    pub name: String,
    /// What it is in the table for.
    pub about: String,
    /// QEMU's name of the machine type: `pseries`, or an older version of it.
    #[serde(rename = "type", default = "newest")]
    pub kind: String,
    /// QEMU's name of the processor.
    pub cpu: String,
    /// The firmware.
    pub firmware: Firmware,
    /// Size of the memory as QEMU takes it: a number and `M` or `G`.
    pub memory: String,
    /// Its CPUs, as QEMU takes them: `4`, or `8,threads=4` for cores of four threads.
    #[serde(default = "one")]
    pub cpus: String,
    /// Whether time counts instructions, at one a nanosecond.
    pub icount: bool,
}

/// CPUs of the demonstration and of the shell, unless others are asked for.
pub const SHOWN: &str = "2";

fn newest() -> String {
    "pseries".into()
}

fn one() -> String {
    "1".into()
}

impl Machine {
    /// All machines, in the table's order.
    ///
    /// # Errors
    /// When the table is malformed; the message says where.
    pub fn all() -> Result<Vec<Machine>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            machine: Vec<Machine>,
        }
        let table: Table = toml::from_str(TABLE).context("tests/machines.toml")?;
        Ok(table.machine)
    }

    /// The machine of that name.
    ///
    /// # Errors
    /// When there is none; the message lists those that there are.
    pub fn find(name: &str) -> Result<Machine> {
        let mut machines = Self::all()?;
        match machines.iter().position(|machine| machine.name == name) {
            Some(index) => Ok(machines.swap_remove(index)),
            None => {
                let mut list = format!("there is no machine `{name}`; known are");
                for Machine { name, about, .. } in &machines {
                    let _ = write!(list, "\n  {name:14} {about}");
                }
                Err(anyhow!(list))
            }
        }
    }

    /// The same machine with other CPUs, if there are any given.
    #[must_use]
    pub fn with_cpus(mut self, cpus: Option<&str>) -> Machine {
        if let Some(cpus) = cpus {
            cpus.clone_into(&mut self.cpus);
        }
        self
    }

    /// The same machine as it is shown to a person: with [`SHOWN`] CPUs, if its row in the table
    /// names none, and time does not count instructions there.
    #[must_use]
    pub fn to_be_shown(self) -> Machine {
        if self.cpus == one() && !self.icount {
            self.with_cpus(Some(SHOWN))
        } else {
            self
        }
    }

    /// How many CPUs it has; none when [`Machine::cpus`] has another form than [`cpus`]
    /// takes.
    #[must_use]
    pub fn cpu_count(&self) -> Option<u32> {
        let number = self.cpus.split(',').next()?;
        number.parse().ok()
    }

    /// Size of the memory in bytes; none when [`Machine::memory`] has another
    /// form than the table's.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        let (number, shift) = match self.memory.strip_suffix('G') {
            Some(number) => (number, 30),
            None => (self.memory.strip_suffix('M')?, 20),
        };
        number.parse::<u64>().ok()?.checked_mul(1 << shift)
    }
}

/// CPUs as they are typed: [`Machine::cpus`].
///
/// # Errors
/// A sentence that says what form they have.
pub fn cpus(text: &str) -> Result<String, String> {
    let (number, threads) = match text.split_once(",threads=") {
        Some((number, threads)) => (number, threads),
        None => (text, "1"),
    };
    let is_count = |text: &str| text.parse::<u32>().is_ok_and(|count| count > 0);
    if is_count(number) && is_count(threads) {
        Ok(text.to_owned())
    } else {
        Err("not a number of CPUs, such as 4, or 8,threads=4 for cores of four threads".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_a_number_and_perhaps_the_threads_of_a_core() {
        for good in ["1", "4", "9", "8,threads=4"] {
            assert_eq!(cpus(good), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "0",
            "x",
            "-1",
            "4,threads=0",
            "4,threads=",
            "4,cores=2",
            "2,",
        ] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_table_is_well_formed() {
        let machines = Machine::all().unwrap();
        for (index, machine) in machines.iter().enumerate() {
            let name = &machine.name;
            assert!(
                machine.memory_bytes().is_some(),
                "{name}: memory {}",
                machine.memory
            );
            assert!(cpus(&machine.cpus).is_ok(), "{name}: cpus {}", machine.cpus);
            assert!(
                !machines[..index].iter().any(|m| m.name == *name),
                "{name} twice"
            );
        }
        assert_eq!(
            Machine::find("default").unwrap().memory_bytes(),
            Some(512 << 20)
        );
    }

    #[test]
    fn an_unknown_machine_is_answered_with_the_known_ones() {
        let error = Machine::find("vax").unwrap_err().to_string();
        for machine in Machine::all().unwrap() {
            assert!(error.contains(&machine.name), "{error}");
        }
    }
}
