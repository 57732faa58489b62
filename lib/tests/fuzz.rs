//! Inputs near those of the corpus never break what must hold for every input: `fuzz/src/lib.rs`, which cargo-fuzz runs too.
//!
//! Six seconds in all; `PUM_FUZZ_SECONDS=600 cargo test -p pum --test fuzz` goes on for longer. What failed is left in a file
//! that is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)]
mod inputs;
#[path = "support/near.rs"]
mod near;

use std::time::Duration;

#[test]
fn what_must_hold_holds_near_the_corpus() {
    let share = near::seconds(6.0) / f64::from(u32::try_from(inputs::TARGETS.len()).unwrap());
    for (name, holds) in inputs::TARGETS {
        let others: &[&str] = if name == "script" {
            &["examples/water/deltas"]
        } else {
            &[]
        };
        near::try_near(name, &near::corpus(name, others), Duration::from_secs_f64(share), holds);
    }
}
