//! [`module!`](crate::module) and [`replacement!`](crate::replacement).

/// Describes the module that this crate becomes. Once a crate.
///
/// `replaces` lists pairs of an old function's path, in brackets which of several
/// functions of that name, and the new function.
#[macro_export]
macro_rules! module {
    (
        name: $name:literal,
        replaces: [$($old:literal $([$position:literal])? => $new:path),* $(,)?] $(,)?
    ) => {
        /// The module's descriptor.
        #[used]
        #[unsafe(export_name = "__klp_info")]
        #[unsafe(link_section = ".klp.info")]
        static KLP_INFO: $crate::Info = {
            static FUNCTIONS: &[$crate::Function] = &[$(
                $crate::Function::new($old, 0 $(+ $position)?, $new as *const ()),
            )*];
            $crate::Info::new($name, FUNCTIONS)
        };

        #[cfg(target_os = "none")]
        #[global_allocator]
        static KLP_HEAP: $crate::kernel::KernelHeap = $crate::kernel::KernelHeap;

        #[cfg(target_os = "none")]
        #[panic_handler]
        fn klp_panicked(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::kernel::panicked(info)
        }
    };
}

/// Makes replacement functions: `extern "C"` functions whose return value is
/// pinned in its registers and whose last act is the return convention.
///
/// The body may `return`, use `?` and loop: it is a closure, and whatever way it
/// ends, the convention follows. `-> hidden T` is for structs of more than 16
/// bytes, which the ABI returns through a hidden first argument.
#[macro_export]
macro_rules! replacement {
    ($(
        $(#[$meta:meta])*
        $visible:vis extern "C" fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> hidden $result:ty $body:block
    )+) => {$(
        $(#[$meta])*
        ///
        /// The caller passes room for the result as a hidden first argument (ELFv2
        /// 2.2.4), which nobody else uses meanwhile.
        $visible extern "C" fn $name(hidden: &mut core::mem::MaybeUninit<$result>, $($argument: $type),*) {
            let body = move || -> $result { $body };
            hidden.write(body());
            $crate::Pinned::finish(())
        }
    )+};
    ($(
        $(#[$meta:meta])*
        $visible:vis extern "C" fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )+) => {$(
        $(#[$meta])*
        $visible extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            let body = move || $(-> $result)? { $body };
            $crate::Pinned::finish(body())
        }
    )+};
}
