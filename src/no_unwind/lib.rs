//! An unwinder that does not unwind, for programs whose panics abort: `extern crate no_unwind as _;`
//!
//! std comes compiled, with all that prints a backtrace in it: a reader of DWARF, of zlib and of mangled names, and
//! libgcc's unwinder below them. Release binaries of wspipe have no tables for it (build.rs) and no names, so a
//! backtrace would be empty; but std cannot know, and link-time optimisation keeps what may be called. Where the
//! unwinder is seen to call nobody back, all of it goes: 0.21 MB of 1.5.
//!
//! The functions are those of the Itanium C++ ABI, "Exception Handling", level I, with what GCC adds. All of them are here:
//! libgcc has them in one object, and one that were missing would bring the others a second time. They are not exported
//! (build.rs): libraries that are loaded have an unwinder of their own. Elsewhere than on
//! Linux with glibc, and where panics unwind, there is nothing in this crate.
//!
//! There is no unsafe code: the attribute is called so because a name can be taken twice, which the linker refuses here.

#![cfg(all(
    target_os = "linux",
    target_env = "gnu",
    not(target_arch = "arm"),
    panic = "abort",
    not(debug_assertions)
))]

use std::{
    ffi::{c_int, c_void},
    process,
};

/// What a walk that has come to the outermost frame says.
const END_OF_STACK: c_int = 5;

/// A context or an exception, which nobody has here.
type Pointer = *mut c_void;

/// There is no frame to walk to.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: Pointer, _argument: Pointer) -> c_int {
    END_OF_STACK
}

/// What only somebody who unwinds, or is called back by [`_Unwind_Backtrace`], could call.
macro_rules! nobody_calls {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $returned:ty)?;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) $(-> $returned)? {
            process::abort()
        }
    )*};
}

nobody_calls! {
    _Unwind_RaiseException(_exception: Pointer) -> c_int;
    _Unwind_ForcedUnwind(_exception: Pointer, _stop: Pointer, _argument: Pointer) -> c_int;
    _Unwind_Resume(_exception: Pointer);
    _Unwind_Resume_or_Rethrow(_exception: Pointer) -> c_int;
    _Unwind_DeleteException(_exception: Pointer);
    _Unwind_GetGR(_context: Pointer, _index: c_int) -> usize;
    _Unwind_SetGR(_context: Pointer, _index: c_int, _value: usize);
    _Unwind_GetIP(_context: Pointer) -> usize;
    _Unwind_GetIPInfo(_context: Pointer, _before: *mut c_int) -> usize;
    _Unwind_SetIP(_context: Pointer, _value: usize);
    _Unwind_GetCFA(_context: Pointer) -> usize;
    _Unwind_GetLanguageSpecificData(_context: Pointer) -> Pointer;
    _Unwind_GetRegionStart(_context: Pointer) -> usize;
    _Unwind_GetDataRelBase(_context: Pointer) -> usize;
    _Unwind_GetTextRelBase(_context: Pointer) -> usize;
    _Unwind_FindEnclosingFunction(_pc: Pointer) -> Pointer;
}
