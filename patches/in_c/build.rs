//! Compiles the replacement functions.

fn main() {
    cpatch::compile(&["src/in_c.c"]);
}
