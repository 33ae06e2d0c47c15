//! QEMU's command line. No other place knows its arguments.

use crate::machine::{Firmware, Machine};
use crate::modules::{self, Conventions};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A QEMU to be started.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The program.
    pub program: OsString,
    /// The shape of the machine.
    pub machine: Machine,
    /// The ELF file to boot.
    pub kernel: PathBuf,
    /// The initrd, if there is one.
    pub initrd: Option<PathBuf>,
    /// The boot arguments.
    pub append: String,
    /// Where the guest's report channel is written to, if anywhere.
    pub report: Option<PathBuf>,
    /// The Unix socket that QEMU connects to, for live patches to reach the guest, if they do.
    pub channel: Option<PathBuf>,
    /// The local TCP port at which QEMU waits for a debugger before it lets
    /// the guest run, if it is to.
    pub gdb: Option<u16>,
    /// Whether each CPU has a core of the host's to itself.
    pub spread: bool,
}

impl Qemu {
    /// The QEMU that the environment names (`QEMU`, else the usual one), with the
    /// initrd beside the kernel that has modules of the usual return convention, and
    /// neither report, channel nor debugger.
    #[must_use]
    pub fn new(machine: Machine, kernel: &Path, append: &str) -> Qemu {
        let usual = || "qemu-system-ppc64".into();
        Qemu {
            program: std::env::var_os("QEMU")
                .filter(|name| !name.is_empty())
                .unwrap_or_else(usual),
            machine,
            kernel: kernel.to_owned(),
            initrd: initrd(kernel, &Conventions::usual()),
            append: append.to_owned(),
            report: None,
            channel: None,
            gdb: None,
            spread: false,
        }
    }

    /// The same with another initrd: that with modules of these conventions.
    #[must_use]
    pub fn with_modules(mut self, conventions: &Conventions) -> Qemu {
        self.initrd = initrd(&self.kernel, conventions);
        self
    }

    /// The command, with all its arguments.
    ///
    /// QEMU numbers serial ports in the order it finds them: the first is the
    /// console, vty 0x71000000, the second the report channel, vty 0x71000001, the third the
    /// channel for live patches, vty 0x71000002.
    /// (Named with `-device`, the first would clash with the machine's own
    /// nvram, which is made earlier and takes the first free address.)
    #[must_use]
    pub fn command(&self) -> Command {
        let machine = &self.machine;
        let vof = match machine.firmware {
            Firmware::Vof => "on",
            Firmware::Slof => "off",
        };
        // The capabilities are what TCG lacks: it would warn of the mitigations,
        // and old machine types want transactional memory.
        let shape = format!(
            "{},x-vof={vof},cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,cap-htm=off",
            machine.kind
        );
        let mut command = Command::new(&self.program);
        command.args([
            "-M",
            &shape,
            "-cpu",
            &machine.cpu,
            "-smp",
            &machine.cpus,
            "-m",
            &machine.memory,
        ]);
        command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
        command.args([
            "-chardev",
            "stdio,id=console,signal=off",
            "-serial",
            "chardev:console",
        ]);
        command
            .arg("-chardev")
            .arg(self.report_channel())
            .args(["-serial", "chardev:report"]);
        if let Some(path) = &self.channel {
            let mut channel = OsString::from("socket,id=live,path=");
            channel.push(escaped(path));
            command.arg("-chardev").arg(channel);
            command.args(["-serial", "chardev:live"]);
        }
        // Under a debugger, time counts instructions on every machine: the guest's clock
        // must not run on while the debugger looks at a breakpoint and passes it by.
        if machine.icount || self.gdb.is_some() {
            // With several CPUs, idle time would otherwise be real time, and no two runs alike.
            let time = if machine.cpus == "1" {
                "shift=0"
            } else {
                "shift=0,sleep=off"
            };
            command.args(["-icount", time]);
        }
        if self.spread {
            // Its threads have names then.
            command.args(["-name", "klplab,debug-threads=on"]);
        }
        if let Some(port) = self.gdb {
            command.args(["-gdb", &format!("tcp:127.0.0.1:{port}"), "-S"]);
        }
        command
            .arg("-kernel")
            .arg(&self.kernel)
            .args(["-append", &self.append]);
        if let Some(initrd) = &self.initrd {
            command.arg("-initrd").arg(initrd);
        }
        command
    }

    fn report_channel(&self) -> OsString {
        let Some(path) = &self.report else {
            return "null,id=report".into();
        };
        let mut channel = OsString::from("file,id=report,path=");
        channel.push(escaped(path));
        channel
    }
}

/// A path as a value of an option: QEMU splits at a comma, and takes two for one.
fn escaped(path: &Path) -> OsString {
    match path.to_str() {
        Some(path) => path.replace(',', ",,").into(),
        None => path.into(),
    }
}

/// The initrd of a kernel, if there is one.
fn initrd(kernel: &Path, conventions: &Conventions) -> Option<PathBuf> {
    Some(modules::initrd_of(kernel, conventions)).filter(|initrd| initrd.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(qemu: &Qemu) -> String {
        crate::tool::shell_line(&qemu.command())
    }

    #[test]
    fn the_machine_decides_on_the_arguments() {
        let machine = Machine::find("default").unwrap();
        let mut qemu = Qemu::new(machine, Path::new("k.elf"), "mode=run log=info");
        let plain = line(&qemu);
        assert!(plain.contains(" pseries,x-vof=on,"), "{plain}");
        assert!(plain.contains(" -cpu power9 "), "{plain}");
        assert!(plain.contains(" null,id=report "), "{plain}");
        assert!(
            plain.ends_with(" -kernel k.elf -append 'mode=run log=info'"),
            "{plain}"
        );
        assert!(
            !["icount", "gdb", "live"]
                .iter()
                .any(|word| plain.contains(word)),
            "{plain}"
        );

        qemu.machine.icount = true;
        assert!(line(&qemu).contains(" -icount shift=0 "));
        qemu.machine.cpus = "4,threads=2".into();
        let several = line(&qemu);
        assert!(several.contains(" -smp 4,threads=2 "), "{several}");
        assert!(several.contains(" -icount shift=0,sleep=off "), "{several}");
        qemu.machine.cpus = "1".into();
        qemu.machine.icount = false;
        qemu.machine.firmware = Firmware::Slof;
        qemu.report = Some("a,b".into());
        qemu.channel = Some("c,d".into());
        qemu.gdb = Some(1234);
        qemu.initrd = Some("i.tar".into());
        let other = line(&qemu);
        assert!(other.contains("x-vof=off"), "{other}");
        assert!(other.contains(" -icount shift=0 "), "{other}");
        assert!(other.contains(" file,id=report,path=a,,b "), "{other}");
        let channel = " socket,id=live,path=c,,d -serial chardev:live ";
        assert!(other.contains(channel), "{other}");
        assert!(other.contains(" -gdb tcp:127.0.0.1:1234 -S "), "{other}");
        assert!(other.ends_with(" -initrd i.tar"), "{other}");
    }
}
