#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pum_fuzz::services(data));
