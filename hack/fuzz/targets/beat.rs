#![no_main]

#[path = "../../../tests/corpus/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::run("beat", data));
