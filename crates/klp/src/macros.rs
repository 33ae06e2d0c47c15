//! [`module!`](crate::module) and [`replacement!`](crate::replacement).

/// Describes the module that this crate becomes. Once a crate.
///
/// Only the name is needed, and it is the crate's; what there is stands in this order:
///
/// ```ignore
/// klp::module! {
///     name: "kinds",
///     // r2 stays the kernel's, which suits every hand-off. The manifest says it too:
///     // `toc = "kernel"` under `[package.metadata.klplab]`.
///     toc: kernel,
///     // Takes the place of all patches before it.
///     replace: true,
///     // The kernel's functions: an old one's path, in brackets which of several of
///     // that path, and the new one.
///     replaces: ["kernel::x" => x, "twins::same"[2] => same],
///     // Any of `klp::Callbacks`, in any order.
///     callbacks: { pre_patch: check, post_patch: begin },
///     // Functions of other modules, which need not be loaded yet.
///     targets: ["other": { replaces: ["other::work" => work], callbacks: { pre_unpatch: end } }],
///     // Statics of type `klp::State`.
///     states: [CONSOLE],
///     // Functions that nothing in the module reaches, and that are to be in it.
///     provides: [fill],
/// }
/// ```
#[macro_export]
macro_rules! module {
    (
        name: $name:literal
        $(, toc: $toc:ident)?
        $(, replace: $replace:literal)?
        $(, replaces: [$($old:literal $([$position:literal])? => $new:path),* $(,)?])?
        $(, callbacks: {$($event:ident: $callback:path),* $(,)?})?
        $(, targets: [$($target:literal: {
            replaces: [$($their_old:literal $([$their_position:literal])? => $their_new:path),* $(,)?]
            $(, callbacks: {$($their_event:ident: $their_callback:path),* $(,)?})?
            $(,)?
        }),* $(,)?])?
        $(, states: [$($state:path),* $(,)?])?
        $(, provides: [$($provided:path),* $(,)?])?
        $(,)?
    ) => {
        /// The module's descriptor.
        #[used]
        #[unsafe(export_name = "__klp_info")]
        #[unsafe(link_section = ".klp.info")]
        static KLP_INFO: $crate::Info = {
            static OBJECTS: &[$crate::Object] = &[
                $crate::__object!("",
                    [$($($old $([$position])? => $new),*)?] {$($($event: $callback),*)?}),
                $($($crate::__object!($target,
                    [$($their_old $([$their_position])? => $their_new),*]
                    {$($($their_event: $their_callback),*)?})),*)?
            ];
            static STATES: &[&$crate::State] = &[$($(&$state),*)?];
            static PROVIDED: &[$crate::Provided] = &[$($(
                $crate::Provided { function: $provided as *const () }
            ),*)?];
            const FLAGS: u32 = 0
                $(| $crate::__toc!($toc))?
                $(| if $replace { $crate::info::REPLACE } else { 0 })?;
            $crate::Info::new($name, FLAGS, OBJECTS, STATES, PROVIDED)
        };

        // The file is called as the crate, and is what the kernel looks for.
        #[cfg(target_os = "none")]
        const _: () = $crate::info::must_be_the_crates($name, env!("CARGO_PKG_NAME"));

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

/// The flag of a TOC that is not the module's own.
#[doc(hidden)]
#[macro_export]
macro_rules! __toc {
    (kernel) => {
        $crate::info::KERNELS_TOC
    };
    ($other:ident) => {
        compile_error!("`toc: kernel` is all that can be said of a module's TOC")
    };
}

/// One [`Object`](crate::Object) of [`module!`](crate::module).
#[doc(hidden)]
#[macro_export]
macro_rules! __object {
    (
        $name:literal,
        [$($old:literal $([$position:literal])? => $new:path),*]
        {$($event:ident: $callback:path),*}
    ) => {{
        static FUNCTIONS: &[$crate::Function] = &[$(
            $crate::Function::new($old, 0 $(+ $position)?, $new as *const ()),
        )*];
        #[allow(clippy::needless_update, reason = "perhaps all are there, perhaps none")]
        const CALLBACKS: $crate::Callbacks = $crate::Callbacks {
            $($event: Some($callback),)*
            ..$crate::Callbacks::NONE
        };
        $crate::Object::new($name, FUNCTIONS, CALLBACKS)
    }};
}

/// Makes replacement functions: `extern "C"` functions that keep their return value
/// pinned in its registers, and end with the return convention.
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
        /// 2.2.4), which no other code uses meanwhile.
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
    // Anything else, so that what is expected is told in a sentence.
    ($($other:tt)*) => {
        compile_error!(
            "a replacement function is written `pub extern \"C\" fn NAME(ARGUMENT: TYPE, ...) -> TYPE { ... }`; \
             it has no generics and no patterns"
        );
    };
}
