#![no_main]

#[path = "../src/configuration.rs"]
mod configuration;

libfuzzer_sys::fuzz_target!(|data: &[u8]| configuration::configuration(data));
