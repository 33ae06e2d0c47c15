//! The command line.

use crate::bench::{BenchArgs, bench};
use crate::exercise::{ExerciseArgs, exercise};
use crate::explore::{ExploreArgs, explore};
use crate::image::{self, Image};
use crate::live::{LiveArgs, live};
use crate::matrix::{MatrixArgs, matrix};
use crate::modules::Conventions;
use crate::outcome::{EXIT_CODES, NOT_STARTED};
use crate::report::{ReportArgs, report};
use crate::run::{RunArgs, run};
use crate::shell::{ShellArgs, shell};
use crate::step::{StepArgs, step};
use crate::{book, check, disasm, gdb, kernel, machine, map, modules, new, totals};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds, boots, tests and inspects the kernel
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
#[command(about = "Builds, boots, tests and inspects the kernel; without a command: run")]
struct Cli {
    #[command(subcommand)]
    command: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build the kernel and its patch modules, and list the modules
    Build {
        /// The image: klplab, klplab-lab or klplab-test
        #[arg(long, value_name = "NAME", default_value = "klplab", value_parser = image::named)]
        image: Image,
        /// Modules in these return conventions besides the usual one: names with
        /// commas between them, or all
        #[arg(long, value_name = "NAMES", default_value = "epilogue")]
        conventions: Conventions,
    },
    /// Build the kernel and boot it in QEMU
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Boot a kernel that was already linked; cargo's runner for the bare target
    #[command(after_help = EXIT_CODES)]
    Exec {
        /// The ELF file as linked
        elf: PathBuf,
        /// Boot arguments for the kernel
        #[arg(
            value_name = "WORD",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<String>,
    },
    /// Count what things cost, and what each variant costs, and keep that in a file
    #[command(after_help = EXIT_CODES)]
    Bench(BenchArgs),
    /// Judge each variant by each conformance case, and keep the cells in a file
    #[command(after_help = EXIT_CODES)]
    Matrix(MatrixArgs),
    /// Show a call of a patched function instruction by instruction
    #[command(after_help = EXIT_CODES)]
    Step(StepArgs),
    /// Run all tests, those in QEMU included, and print the totals last
    Test {
        /// Only tests with this in their name
        filter: Option<String>,
    },
    /// Disturb a patched call at every instruction, in a guest for each variant
    Explore(ExploreArgs),
    /// Run demonstration, matrix, bench and step, and make a page of what they find
    Report(ReportArgs),
    /// Type commands to the kernel, or pipe them in
    #[command(after_help = EXIT_CODES)]
    Shell(ShellArgs),
    /// Bring an edit of the kernel's source into the kernel that runs
    Live(LiveArgs),
    /// Write the starting file of a variant
    NewVariant {
        /// What it is called: lower-case words with hyphens between them
        #[arg(allow_hyphen_values = true)]
        name: String,
    },
    /// Write the starting files of a patch
    NewPatch {
        /// What it is called: lower-case words with underscores between them
        #[arg(allow_hyphen_values = true)]
        name: String,
        /// What its functions are written in
        #[arg(long, value_enum, default_value_t = new::Language::Rust)]
        language: new::Language,
    },
    /// List the exercises of docs/exercises, or say whether the tree does what they ask
    Exercise(ExerciseArgs),
    /// Check formatting, lints and documentation
    Check,
    /// Print the kernel's disassembly
    Disasm {
        /// The image: klplab, klplab-lab or klplab-test
        #[arg(long, value_name = "NAME", default_value = "klplab", value_parser = image::named)]
        image: Image,
        /// Only functions with this in their name
        symbol: Option<String>,
    },
    /// Make a book of the documents, with the crates' own documentation beside it
    Book,
    /// Show what the kernel is made of, from bottom to top, in lines of code
    Map,
    /// Boot the kernel under gdb, stopped at its first Rust function
    Gdb {
        /// The shape of machine, by its name in tests/machines.toml
        #[arg(long, value_name = "NAME", default_value = "default")]
        machine: String,
        /// Other CPUs than the machine's, such as 4, or 8,threads=4 for cores of four threads
        #[arg(long, value_name = "NUMBER", value_parser = machine::cpus)]
        cpus: Option<String>,
        /// Boot arguments for the kernel
        #[arg(
            long,
            value_name = "WORDS",
            default_value = "",
            hide_default_value = true
        )]
        append: String,
    },
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Clap's own code for a usage error is 2, a verdict of the guest.
            let code = if error.use_stderr() { NOT_STARTED } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let action = cli.command.unwrap_or(Action::Run(cli.run));
    let boots = matches!(
        action,
        Action::Run(_)
            | Action::Exec { .. }
            | Action::Bench(_)
            | Action::Matrix(_)
            | Action::Step(_)
            | Action::Shell(_)
    );
    execute(action).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(if boots { NOT_STARTED } else { 1 })
    })
}

fn execute(action: Action) -> Result<ExitCode> {
    match action {
        Action::Build { image, conventions } => {
            let kernel = kernel::build(image, &conventions)?;
            eprint!("{}", modules::listing(&kernel, &conventions)?);
            println!("{}", kernel.display());
        }
        Action::Run(args) => {
            // Before the build, which takes longer than a look at the table.
            args.shape()?;
            return Ok(
                run(&kernel::build(args.image(), &args.conventions())?, &args)?
                    .exit_code()
                    .into(),
            );
        }
        Action::Exec { elf, words } => {
            let args = RunArgs {
                append: words.join(" "),
                ..RunArgs::default()
            };
            let kernel = kernel::prepare(&elf)?;
            modules::pack_for(&kernel, &args.conventions())?;
            return Ok(run(&kernel, &args)?.exit_code().into());
        }
        Action::Bench(args) => return Ok(bench(&args)?.exit_code().into()),
        Action::Matrix(args) => return Ok(matrix(&args)?.exit_code().into()),
        Action::Step(args) => return Ok(step(&args)?.exit_code().into()),
        Action::Test { filter } => return Ok(status(totals::test(filter.as_deref())?)),
        Action::Explore(args) => return Ok(status(explore(&args)?)),
        Action::Report(args) => return Ok(status(report(&args)?)),
        Action::Exercise(args) => return Ok(status(exercise(&args)?)),
        Action::Shell(args) => return Ok(shell(&args)?.exit_code().into()),
        Action::Live(args) => return Ok(status(live(&args)?)),
        Action::NewVariant { name } => new::variant(&name)?,
        Action::NewPatch { name, language } => new::patch(&name, language)?,
        Action::Check => check::check()?,
        Action::Book => println!("{}", book::book()?.display()),
        Action::Map => print!("{}", map::map()?),
        Action::Disasm { image, symbol } => {
            let kernel = kernel::build(image, &Conventions::usual())?;
            disasm::disasm(&kernel, symbol.as_deref())?;
        }
        Action::Gdb {
            machine,
            cpus,
            append,
        } => gdb::gdb(&machine, cpus.as_deref(), &append)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a command that does not boot says when it is done.
fn status(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn no_command_means_run_and_takes_its_options() {
        let cli = Cli::try_parse_from(["xtask", "--machine", "icount", "--gdb"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.run.machine, "icount");
        assert_eq!(cli.run.gdb, Some(1234));
    }
}
