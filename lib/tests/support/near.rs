//! Inputs near those of a corpus, and what must hold put to each of them.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Pieces that mean something to one of the readers.
const WORDS: [&str; 58] = [
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
    "port=5432\n",
    "service=a\n",
    "[a]\n",
    "#",
    "=",
    "\t",
    " ",
    "- ",
    ": ",
    "\n  ",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "|\n",
    "---\n",
    "variables:\n  x: ",
    "pg_service: ",
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

/// What a test is given of the time: `PUM_FUZZ_SECONDS`, or the seconds named here.
pub fn seconds(otherwise: f64) -> f64 {
    std::env::var("PUM_FUZZ_SECONDS").map_or(otherwise, |text| text.parse().expect("a number of seconds"))
}

/// The inputs in the corpus of this name, and those in other directories.
pub fn corpus(name: &str, others: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let corpus = format!("fuzz/corpus/{name}");
    let mut paths: Vec<PathBuf> = std::iter::once(corpus.as_str())
        .chain(others.iter().copied())
        .flat_map(|directory| fs::read_dir(root.join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Puts every known input to the test, and inputs near them for so long. What fails is left in a file that is named.
pub fn try_near(name: &str, known: &[Vec<u8>], time: Duration, holds: impl Fn(&[u8]) + RefUnwindSafe) {
    assert!(!known.is_empty(), "{name} has no corpus");
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
        .to_le_bytes();
    let mut rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    let end = Instant::now() + time;
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
