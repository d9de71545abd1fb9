#![no_main]
#[path = "../take.rs"]
mod take;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drop(take::take("token_answer", input)));
