#![no_main]

#[allow(dead_code)]
#[path = "../../crates/fosi-lab/tests/suite/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = readers::minimizer(bytes);
});
