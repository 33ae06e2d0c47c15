//! Compiles the replacement functions: for `in_c`, and for its likes at other levels.

fn main() {
    cpatch::compile(&["../in_c/src/in_c.c"]);
}
