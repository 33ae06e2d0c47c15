//! The arguments with values from a fixed set.

/// An enum together with the word that each of its variants is written as.
macro_rules! words {
    (
        $(#[$of_enum:meta])*
        pub enum $Enum:ident { $($(#[$of_variant:meta])* $Variant:ident = $word:literal,)+ }
    ) => {
        $(#[$of_enum])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $Enum { $($(#[$of_variant])* $Variant,)+ }

        impl $Enum {
            /// Every value's word, as [`Self::from_word`] takes them.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The value that `word` stands for, if there is one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$Variant),)+
                    _ => None,
                }
            }

            /// The word that this value is written as.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$Variant => $word,)+ }
            }
        }

        impl core::fmt::Display for $Enum {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What the kernel does once it has booted.
    #[derive(Default)]
    pub enum Mode {
        /// Show how the kernel patches itself, and check it.
        #[default]
        Run = "run",
        /// Run the self-tests.
        Selftest = "selftest",
        /// Print the self-tests' paths.
        List = "list",
        /// Repeat the console's lines until `quit`.
        Echo = "echo",
        /// Count what things cost, in instructions.
        Bench = "bench",
        /// Compare the calls of two CPUs with those of one.
        Throughput = "throughput",
        /// Enable and disable a patch under load, again and again.
        Soak = "soak",
        /// Judge each variant by each conformance case.
        Matrix = "matrix",
        /// Do every disturbing thing at every instruction of a patched call.
        Explore = "explore",
        /// Show a call of a patched function instruction by instruction.
        Step = "step",
        /// Do what is typed on the console.
        Shell = "shell",
    }
}

impl Mode {
    /// The smallest image that can do it.
    #[must_use]
    pub const fn image(self) -> Image {
        match self {
            Self::Run | Self::Shell => Image::Klplab,
            Self::Bench | Self::Throughput | Self::Matrix | Self::Explore | Self::Step => {
                Image::Lab
            }
            Self::Selftest | Self::List | Self::Echo | Self::Soak => Image::Test,
        }
    }
}

words! {
    /// An image of the kernel, from the smallest: each can do all that those before it can.
    #[derive(Default, Ord, PartialOrd)]
    pub enum Image {
        /// What patches itself: the demonstration, and the shell.
        #[default]
        Klplab = "klplab",
        /// With the laboratory, which judges, disturbs, steps and measures patched calls.
        Lab = "klplab-lab",
        /// With the tests in the kernel.
        Test = "klplab-test",
    }
}

words! {
    /// The least severe log level that is still printed.
    #[derive(Default)]
    pub enum LogLevel {
        /// What went wrong.
        Error = "error",
        /// And what may go wrong.
        Warn = "warn",
        /// And what the kernel does.
        #[default]
        Info = "info",
        /// And what helps to find a mistake.
        Debug = "debug",
        /// And every step.
        Trace = "trace",
    }
}

words! {
    /// Whether the console output is coloured.
    #[derive(Default)]
    pub enum Color {
        /// If the kernel thinks that a terminal is behind the console.
        Auto = "auto",
        /// Always.
        Always = "always",
        /// Never: a kernel can't see what is behind its console.
        #[default]
        Never = "never",
    }
}

words! {
    /// How a stepped call goes.
    #[derive(Default)]
    pub enum Way {
        /// By the short way, when nothing moves.
        #[default]
        Settled = "settled",
        /// While a transition runs.
        Transition = "transition",
        /// With a tracer on the function.
        Traced = "traced",
        /// Without any patch.
        Rest = "rest",
    }
}

words! {
    /// Where the console's input comes from.
    #[derive(Default)]
    pub enum Input {
        /// A terminal: what is typed is shown.
        #[default]
        Terminal = "terminal",
        /// A file: lines up to ^D.
        Script = "script",
    }
}

words! {
    /// By which tables addresses are translated.
    #[derive(Default)]
    pub enum Mmu {
        /// By the tree, if the processor has it, else by the hashed table.
        #[default]
        Auto = "auto",
        /// By the radix tree, of POWER9 and later.
        Radix = "radix",
        /// By the hashed table.
        Hash = "hash",
        /// By none: real mode.
        Off = "off",
    }
}

words! {
    /// How the boot stage enters the kernel for the second time.
    pub enum Reenter {
        /// With a flattened device tree instead of Open Firmware, in little
        /// endian.
        FlatTree = "flat-tree",
        /// Through Open Firmware again, with the CPU in little-endian mode.
        LittleEndian = "little-endian",
        /// With a flattened device tree, in big endian.
        FlatTreeBigEndian = "flat-tree-big-endian",
    }
}
