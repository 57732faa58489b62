//! Inputs near those of the corpus never break what must hold for every input: `fuzz/src/lib.rs`, which cargo-fuzz runs too.
//!
//! Five seconds in all; `PUM_FUZZ_SECONDS=600 cargo test -p pum --test fuzz` goes on for longer. What failed is left in a file
//! that is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)]
mod inputs;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Pieces that mean something to one of the readers.
const WORDS: [&str; 40] = [
    "'",
    "\"",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    ";",
    "(",
    ")",
    "\\",
    "\\.\n",
    "\n",
    "\r\n",
    "copy t from stdin;\n",
    "E'",
    "U&\"",
    "begin atomic",
    "end",
    "create function f() ",
    "-- pum: no-transaction\n",
    "%(SRID)s",
    "%%",
    "%",
    "\u{feff}",
    "\0",
    "é",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "1e999",
    "\"schema\"",
    "delta_",
    ".pre.sql",
    "1.10.0",
    "host=",
];

fn below(rng: &mut TestRng, bound: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap() % bound.max(1)
}

/// The input with a few changes.
fn near(input: &[u8], other: &[u8], rng: &mut TestRng) -> Vec<u8> {
    let mut data = input.to_vec();
    for _ in 0..=below(rng, 4) {
        let place = below(rng, data.len() + 1);
        let end = place + below(rng, (data.len() - place).min(40) + 1);
        let new: Vec<u8> = match below(rng, 6) {
            0 => WORDS[below(rng, WORDS.len())].as_bytes().to_vec(),
            1 => Vec::new(),
            2 => vec![rng.next_u32().to_le_bytes()[0]],
            3 => {
                let begin = below(rng, other.len() + 1);
                other[begin..begin + below(rng, other.len() - begin + 1)].to_vec()
            }
            4 => data[place..end].repeat(2),
            _ => data[place..end].iter().map(|byte| byte ^ 0x20).collect(),
        };
        data.splice(place..end, new);
    }
    data
}

#[test]
fn what_must_hold_holds_near_the_corpus() {
    let seconds = std::env::var("PUM_FUZZ_SECONDS").map_or(5.0, |text| text.parse().expect("a number of seconds"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, holds) in inputs::TARGETS {
        let mut directories = vec![root.join("fuzz/corpus").join(name)];
        if name == "script" {
            directories.push(root.join("examples/water/deltas"));
        }
        let mut paths: Vec<_> = directories
            .iter()
            .flat_map(|directory| fs::read_dir(directory).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let known: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(!known.is_empty(), "{name} has no corpus");
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos()
            .to_le_bytes();
        let mut rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
        let share = Duration::from_secs_f64(seconds / f64::from(u32::try_from(inputs::TARGETS.len()).unwrap()));
        let end = Instant::now() + share;
        let mut count: u64 = 0;
        let near_ones = std::iter::repeat_with(|| {
            let one = &known[below(&mut rng, known.len())];
            let other = &known[below(&mut rng, known.len())];
            near(one, other, &mut rng)
        });
        for input in known.iter().cloned().chain(near_ones) {
            if count >= known.len() as u64 && Instant::now() > end {
                break;
            }
            count += 1;
            if catch_unwind(|| holds(&input)).is_err() {
                let place = std::env::temp_dir().join(format!("pum-fuzz-{name}.input"));
                fs::write(&place, &input).unwrap();
                panic!("{name} fails for the input in {}", place.display());
            }
        }
        println!("{name}: {count} inputs");
    }
}
