//! Compiles the replacement functions.

fn main() {
    cpatch::compile(&["src/my_patch.c"]);
}
