//! A patch of many functions: `klp::module!` takes a literal for each, so this makes
//! the same descriptor from a number.

/// How many bytes a name has.
const BYTES: usize = "bench_many_000".len();

/// The names of the first functions.
pub const fn names<const COUNT: usize>() -> [[u8; BYTES]; COUNT] {
    let mut names = [*b"bench_many_000"; COUNT];
    let mut index = 0;
    while index < COUNT {
        let digits = [index / 100, index / 10 % 10, index % 10];
        let mut digit = 0;
        while digit < 3 {
            names[index][BYTES - 3 + digit] += digits[digit] as u8;
            digit += 1;
        }
        index += 1;
    }
    names
}

/// The descriptor's table: all are replaced by one.
pub const fn functions<const COUNT: usize>(
    names: &'static [[u8; BYTES]; COUNT],
    new: *const (),
) -> [klp::Function; COUNT] {
    let mut functions = [klp::Function::new("", 0, new); COUNT];
    let mut index = 0;
    while index < COUNT {
        if let Ok(name) = str::from_utf8(&names[index]) {
            functions[index] = klp::Function::new(name, 0, new);
        }
        index += 1;
    }
    functions
}

macro_rules! replace_many {
    ($name:literal, $count:literal) => {
        /// The module's descriptor.
        #[used]
        #[unsafe(export_name = "__klp_info")]
        #[unsafe(link_section = ".klp.info")]
        static KLP_INFO: klp::Info = {
            static NAMES: [[u8; 14]; $count] = many::names();
            static FUNCTIONS: [klp::Function; $count] = many::functions(&NAMES, new as *const ());
            static OBJECTS: [klp::Object; 1] =
                [klp::Object::new("", &FUNCTIONS, klp::Callbacks::NONE)];
            klp::Info::new($name, 0, &OBJECTS, &[], &[])
        };

        klp::replacement! {
            /// Returns at once.
            pub extern "C" fn new() {}
        }

        #[cfg(target_os = "none")]
        #[panic_handler]
        fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
            klp::kernel::panicked(info)
        }
    };
}
